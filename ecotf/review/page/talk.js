// Ask the server, tell it decisions, and tell the person what went wrong.

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer. Start it again: all decisions are kept.");
  }
  const kind = answer.headers.get("content-type") || "";
  if (answer.ok) return kind.startsWith("application/json") ? answer.json() : answer.arrayBuffer();
  const text = kind.startsWith("application/json") ? (await answer.json()).error : await answer.text();
  throw new Error(text);
}

function view(name, query = {}) {
  return ask(`view/${name}?${new URLSearchParams(query)}`);
}

// One after the other, however fast keys are pressed. The answer comes when the decision is on the disk.
let waiting = Promise.resolve();
function decide(decision) {
  const body = JSON.stringify(decision);
  const told = waiting.then(() => ask("decide", { method: "POST", headers: { "content-type": "application/json" }, body }));
  waiting = told.catch(() => {});
  return told;
}

let silence = 0;
function say(text, wrong = false) {
  const place = document.getElementById("message");
  place.textContent = text;
  place.hidden = !text;
  place.classList.toggle("wrong", wrong);
  clearTimeout(silence);
  if (text) silence = setTimeout(() => { place.hidden = true; }, wrong ? 12000 : 5000);
}

// What is not caught is said, too: nothing fails in silence.
window.addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  say(event.reason && event.reason.message || String(event.reason), true);
});

// An element; what is text stays text, so a name is never markup.
function el(tag, facts = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(facts)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(made.style, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...inside.flat().filter((one) => one !== null && one !== undefined));
  return made;
}

function seconds(value) {
  const whole = Math.floor(value / 60);
  return whole ? `${whole}:${(value % 60).toFixed(1).padStart(4, "0")} min` : `${value.toFixed(2)} s`;
}

function khz(value) {
  return value >= 1000 ? `${+(value / 1000).toPrecision(3)} kHz` : `${Math.round(value)} Hz`;
}

function lastPart(path) {
  return path.split(/[\\/]/).pop();
}

function many(count, one, several = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : several}`;
}
