// Fields that complete what is written: names that were given before, and clusters to choose from.

// The line that is what is written comes first (a cluster by its number, too), then lines that begin with it, then
// those that hold it.
function matching(lines, written) {
  const plain = written.trim().toLowerCase();
  const rank = (line) => {
    const text = line.text.toLowerCase();
    if (text === plain || String(line.value) === plain) return 0;
    return text.startsWith(plain) ? 1 : text.includes(plain) ? 2 : 3;
  };
  return [0, 1, 2].flatMap((wanted) => lines.filter((line) => rank(line) === wanted)).slice(0, 8);
}

// `lines()` gives {text, value}; `taken(line or null, written, event)` is called at Enter.
// With `must`, the first line is marked at once, and Enter takes nothing else.
function completing(input, found, lines, taken, must = false) {
  let marked = must ? 0 : -1, shown = [];
  const draw = () => {
    shown = must || input.value.trim() ? matching(lines(), input.value) : [];
    if (!must && shown.length === 1 && shown[0].text === input.value) shown = [];
    marked = Math.min(marked, shown.length - 1);
    if (must && marked < 0 && shown.length) marked = 0;
    found.replaceChildren(...shown.map((line, i) => el("li", {
      role: "option", id: `${found.id}-${i}`, "aria-selected": String(i === marked), class: i === marked ? "now" : "",
      onpointerdown: (event) => { event.preventDefault(); input.value = line.text; finish(line, event); },
    }, line.text)));
    found.hidden = !shown.length;
    input.setAttribute("aria-expanded", String(Boolean(shown.length)));
    if (marked >= 0) input.setAttribute("aria-activedescendant", `${found.id}-${marked}`);
    else input.removeAttribute("aria-activedescendant");
  };
  const close = () => { shown = []; found.hidden = true; };
  const finish = (line, event) => { close(); taken(line, input.value, event); };
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-controls", found.id);
  input.addEventListener("input", () => { marked = must ? 0 : -1; draw(); });
  input.addEventListener("focus", () => { marked = must ? 0 : -1; draw(); });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return; // the Enter that ends a letter of several strokes
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      marked = shown.length ? (marked + (event.key === "ArrowDown" ? 1 : shown.length + (marked < 0 ? 0 : -1))) % shown.length : -1;
      draw();
    } else if (event.key === "Tab" && shown.length && !event.shiftKey) {
      input.value = shown[Math.max(marked, 0)].text; marked = -1; draw();
    } else if (event.key === "Enter") {
      if (must && marked < 0) { event.preventDefault(); return; }
      finish(marked >= 0 ? shown[marked] : null, event);
    } else return;
    event.preventDefault();
  });
  return draw;
}

let askedLines = [], askedEnd = null;

// Ask for one of several lines; gives its value, or null.
function choose(title, lines) {
  const dialog = document.getElementById("ask"), input = document.getElementById("ask-text");
  document.getElementById("ask-title").textContent = title;
  askedLines = lines;
  input.value = "";
  if (!askedEnd) {
    completing(input, document.getElementById("ask-found"), () => askedLines, (line) => { askedEnd(line ? line.value : null); dialog.close(); }, true);
    dialog.addEventListener("close", () => askedEnd(null));
  }
  return new Promise((done) => {
    askedEnd = done;
    dialog.showModal();
    input.focus();
  });
}
