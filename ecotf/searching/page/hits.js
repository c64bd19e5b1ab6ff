// Accept and reject hits, one key each; then the next picks.

const byId = (name) => document.getElementById(name);
const page = { facts: null, state: null, hits: [], at: -1, busy: false };
const REASONS = { nearest: "near to the example", best: "likeliest", margin: "doubtful", diverse: "unlike the others", random: "by chance" };

async function begin() {
  const [facts, state, hits] = await Promise.all([view("facts"), view("state"), view("hits")]);
  Object.assign(page, { facts, state, hits: hits.hits });
  document.title = facts.title;
  byId("title").textContent = facts.title;
  drawHits();
  drawState();
  await choose(Math.max(0, page.hits.findIndex((hit) => hit.answer === null)), false);
  drawCurve(await view("curve"));
}

function mark(hit) {
  return hit.answer === null ? "" : hit.answer ? "✓ " : "✗ ";
}

function below(hit) {
  return `${mark(hit)}${hit.score.toFixed(3)} · ${REASONS[hit.why] || hit.why}${hit.label ? ` · ${hit.label}` : ""}`;
}

function drawHits() {
  byId("grid").replaceChildren(el("div", { class: "thumbs" }, page.hits.map((hit, at) => thumb(hit.clip, below(hit), () => choose(at)))));
}

function drawAnswers() {
  document.querySelectorAll("#grid .thumb").forEach((one, at) => {
    const hit = page.hits[at];
    one.classList.toggle("now", at === page.at);
    one.classList.toggle("accepted", hit.answer === true);
    one.classList.toggle("rejected", hit.answer === false);
    one.querySelector(".below").textContent = below(hit);
    if (at === page.at) one.scrollIntoView({ block: "nearest" });
  });
}

function drawState() {
  const { accepted, rejected, left, undo, rounds } = page.state;
  byId("progress").textContent = `${accepted} accepted, ${rejected} rejected; ${left} of this round left`;
  byId("done").style.width = `${Math.round(100 * (1 - left / Math.max(1, page.hits.length)))}%`;
  byId("undo").disabled = !undo;
  byId("next-round").disabled = !(accepted && rejected) || page.busy;
  byId("rounds").replaceChildren(el("table", { class: "small" }, el("tbody", {},
    rounds.map((one) => el("tr", {}, el("th", { scope: "row" }, `${one.round}`), el("td", {}, REASONS[one.why] || one.why),
      el("td", {}, `${one.accepted} of ${one.decided} accepted`))))));
}

function drawCurve(curve) {
  byId("advice").textContent = curve.advice;
  byId("curve").replaceChildren(curve.points.length ? el("table", { class: "small" },
    el("thead", {}, el("tr", {}, ["decisions", "average precision", "95 %"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, curve.points.map((one) => el("tr", {}, el("td", {}, `${one.decisions}`), el("td", {}, one.ap.toFixed(3)),
      el("td", {}, one.low === null ? "–" : `${one.low.toFixed(3)} to ${one.high.toFixed(3)}`))))) : "");
}

async function choose(at, heardAtOnce = true) {
  if (!page.hits.length) return;
  page.at = Math.max(0, Math.min(page.hits.length - 1, at));
  const hit = page.hits[page.at];
  drawAnswers();
  byId("facts").replaceChildren(el("p", { class: "note" }, [hit.time || "no date is known", `score ${hit.score.toFixed(3)}`,
    REASONS[hit.why] || hit.why].join("; ")));
  if (heardAtOnce) await play(hit.clip);
  else await showClip(hit.clip);
}

async function answer(what) {
  const at = page.at;
  if (at < 0) return;
  take(await decide({ what, row: page.hits[at].clip }));
  const order = [...page.hits.keys()].map((step) => (at + 1 + step) % page.hits.length);
  const next = order.find((one) => page.hits[one].answer === null);
  if (next !== undefined) return choose(next);
  say("All hits of this round are decided. n: the next picks.");
  drawCurve(await view("curve"));
}

function take(told) {
  page.state = told.state;
  for (const hit of page.hits) {
    const known = told.state.answers[hit.clip];
    hit.answer = known === undefined ? null : known;
  }
  drawState();
  drawAnswers();
}

async function undo() {
  const told = await decide({ what: "undo" });
  take(told);
  const at = page.hits.findIndex((hit) => hit.clip === told.row);
  if (at >= 0) await choose(at, false);
}

async function nextRound() {
  if (page.busy) return;
  page.busy = true;
  say("Learning from the decisions, and looking through all rows …");
  try {
    await decide({ what: "next" });
    const [state, hits] = await Promise.all([view("state"), view("hits")]);
    Object.assign(page, { state, hits: hits.hits });
  } finally {
    page.busy = false;
  }
  drawHits();
  drawState();
  say(`${many(page.hits.length, "pick")} of round ${page.state.round}.`);
  await choose(0);
  drawCurve(await view("curve"));
}

onKey("Decide", ["a"], "accept the hit, go to the next", () => answer("accept"));
onKey("Decide", ["r"], "reject the hit, go to the next", () => answer("reject"));
onKey("Decide", ["u"], "undo the last decision", undo);
onKey("Decide", ["n"], "learn, and show the next picks", nextRound);
onKey("Hear and see", [" "], "play or stop", stopOrPlay, ["Space"]);
onKey("Hear and see", ["ArrowRight", "ArrowDown", "j"], "the next hit", () => choose(page.at + 1), ["→", "j"]);
onKey("Hear and see", ["ArrowLeft", "ArrowUp", "k"], "the hit before", () => choose(page.at - 1), ["←", "k"]);
onKey("Hear and see", ["z"], "show lower frequencies larger", zoomPictures);
onKey("Help", ["?"], "this help", openHelp);
byId("accept").addEventListener("click", () => answer("accept"));
byId("reject").addEventListener("click", () => answer("reject"));
byId("undo").addEventListener("click", undo);
byId("next-round").addEventListener("click", nextRound);
byId("open-help").addEventListener("click", openHelp);
begin();
