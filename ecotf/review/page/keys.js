// The keys of the page, and the help that lists them.

let busy = ""; // what is waited for; keys do nothing meanwhile
const actions = []; // {keys, shown, what, title, act}

// `keys` are values of KeyboardEvent.key; `what` is said in the help, below `title`.
function onKey(title, keys, what, act, shown = keys) {
  actions.push({ title, keys, what, act, shown });
}

function openHelp() {
  const parts = [];
  for (const title of new Set(actions.map((one) => one.title))) {
    const rows = actions.filter((one) => one.title === title).map((one) => el("tr", {},
      el("th", { scope: "row" }, one.shown.map((name) => el("kbd", {}, name))), el("td", {}, one.what)));
    parts.push(el("section", {}, el("h3", {}, title), el("table", {}, el("tbody", {}, rows))));
  }
  document.getElementById("keys").replaceChildren(...parts);
  document.getElementById("help").showModal();
}

function isWriting(element) {
  return element instanceof HTMLInputElement || element instanceof HTMLTextAreaElement || element instanceof HTMLSelectElement;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target) || document.querySelector("dialog[open]")) return;
  const found = actions.find((one) => one.keys.includes(event.key));
  if (!found) return;
  if ((event.key === " " || event.key === "Enter") && event.target.closest("button:not(.thumb), a, summary")) return; // its own
  event.preventDefault();
  if (busy) { say(`One moment: ${busy} …`); return; }
  Promise.resolve(found.act(event)).catch((error) => say(error.message, true));
});
