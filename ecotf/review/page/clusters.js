// Name clusters: the list, the map and the card, and what every key does.

const byId = (name) => document.getElementById(name);
const page = { facts: null, state: null, current: null, clips: [], at: -1, picked: new Set(), all: false, quiet: false, tour: 0 };
const map = new PointMap(byId("map"), (clip, cluster) => chooseCluster(cluster, clip), hover);

const clusterOf = (id) => page.state.clusters.find((one) => one.cluster === id);
const isDone = (one) => Boolean(one.name) || one.noise;
const inOrder = () => [...page.state.clusters].sort((a, b) => b.clips - a.clips || a.cluster - b.cluster);

function titleOf(id) {
  if (id === page.facts.noise) return "not in a cluster";
  const one = clusterOf(id);
  return one && one.name ? `${one.name} (${id})` : `cluster ${id}${one && one.noise ? ", noise" : ""}`;
}

async function begin() {
  const [facts, state, points] = await Promise.all([view("facts"), view("state"), view("points")]);
  Object.assign(page, { facts, state });
  document.title = facts.title;
  byId("title").textContent = facts.title;
  map.load(points, facts.shown);
  map.assign(await view("assigned"), facts.noise);
  if (facts.shown < facts.clips) say(`The map shows ${facts.shown.toLocaleString("en")} of ${facts.clips.toLocaleString("en")} clips.`);
  const first = inOrder().find((one) => !isDone(one)) || inOrder()[0];
  await chooseCluster(first ? first.cluster : facts.noise, null, false);
}

function drawState() {
  const { clusters, left, undo } = page.state;
  const done = clusters.filter(isDone), covered = done.reduce((sum, one) => sum + one.clips, 0);
  const share = Math.floor(100 * covered / Math.max(1, page.facts.clips - left));
  byId("progress").textContent = `${done.length} of ${many(clusters.length, "cluster")} done, ${share} % of their clips`;
  byId("done").style.width = `${share}%`;
  byId("undo").disabled = !undo;
  byId("undo").title = undo ? `takes back: ${undo}` : "nothing to take back";
  const line = (id, clips, name, noise) => el("button", {
    type: "button", class: `line${id === page.current ? " now" : ""}`, "aria-current": id === page.current ? "true" : null,
    title: titleOf(id), onclick: () => chooseCluster(id),
  }, el("i", { class: "dot", style: { background: id === page.facts.noise ? "var(--line)" : cssColour(id) } }),
  el("span", { class: name ? "name" : "name none" }, name || (noise ? `${id}: noise` : id === page.facts.noise ? "not in a cluster" : `${id}`)),
  name || noise ? el("span", { class: "tick", "aria-label": "done" }, "✓") : null, el("span", { class: "count" }, clips.toLocaleString("en")));
  const lines = inOrder().map((one) => line(one.cluster, one.clips, one.name, one.noise));
  if (left) lines.push(line(page.facts.noise, left, "", false));
  const at = byId("list").scrollTop;
  byId("list").replaceChildren(...lines);
  byId("list").scrollTop = at;
  const now = byId("list").querySelector(".now");
  if (now) now.scrollIntoView({ block: "nearest" });
  drawMap();
}

function drawMap() {
  const names = new Map(page.state.clusters.filter((one) => one.name).map((one) => [one.cluster, one.name]));
  if (page.current !== page.facts.noise && page.current !== null && !names.has(page.current)) names.set(page.current, `${page.current}`);
  map.show(page.current, page.at >= 0 ? page.clips[page.at] : -1, names);
}

async function chooseCluster(id, clip = null, heardAtOnce = true) {
  page.tour++;
  const card = await view("card", { cluster: id });
  Object.assign(page, { current: id, card, at: -1, all: false });
  page.picked.clear();
  drawState();
  drawCard();
  const at = clip === null ? 0 : page.clips.indexOf(clip);
  if (at >= 0) await chooseClip(at, heardAtOnce);
  else { // a clip of the map that the card does not show
    page.clips.push(clip);
    byId("shown").append(el("h3", {}, "From the map"), thumbs([{ clip, recording: "", start_s: 0 }], chosenThumb));
    await chooseClip(page.clips.length - 1, heardAtOnce);
  }
}

function drawCard() {
  const { card, current, facts } = page, one = clusterOf(current), left = current === facts.noise;
  const found = el("ul", { id: "name-found", class: "found", role: "listbox", hidden: true });
  const input = el("input", { id: "name", autocomplete: "off", spellcheck: "false", maxlength: 200, "aria-label": `name of cluster ${current}`,
    placeholder: one && one.noise ? "noise; n: give it a name" : "n: write a name", value: one ? one.name : "" });
  completing(input, found, () => page.state.names.map((text) => ({ text })), (line, written, event) => nameIt(line ? line.text : written, event.shiftKey));
  input.addEventListener("keydown", (event) => { if (event.key === "Escape") { input.value = one ? one.name : ""; input.kept = true; input.blur(); input.kept = false; } });
  input.addEventListener("change", () => { if (!input.kept) say("This name is not kept yet: press n, then Enter.", true); });
  const near = card.near.map((id) => el("button", { type: "button", class: "near", onclick: () => chooseCluster(id) },
    el("i", { class: "dot", style: { background: cssColour(id) } }), titleOf(id)));
  byId("card").replaceChildren(...[
    el("div", { class: "top" }, el("h2", {}, left ? "Not in a cluster" : `Cluster ${current}`),
      el("span", { class: "note" }, `${many(card.clips, "clip")} of ${many(card.recordings.different, "recording")}`)),
    left ? el("p", { class: "note" }, "No cluster was found for these clips. Move those that you know (v).") : el("div", { class: "naming" }, input, found),
    near.length ? el("p", { class: "nears" }, el("span", { class: "note" }, "Nearest on the map: "), near) : null,
    el("div", { class: "facts" }, el("div", {}, el("h3", {}, "Hours of the day"), hoursChart(card.hours, card.undated)),
      counted("Sites", "site", card.sites), counted("Recordings", "recording", card.recordings), counted("Known labels", "label", card.labels)),
    el("div", { id: "shown" })].filter(Boolean));
  drawClips();
}

function drawClips(more = null) {
  const { card } = page;
  if (more) {
    page.clips = more.clips.map((item) => item.clip);
    byId("shown").replaceChildren(el("h3", {}, `All clips, the surest first (${more.clips.length} of ${more.all} shown)`), thumbs(more.clips, chosenThumb));
    return;
  }
  page.clips = [...card.central, ...card.doubtful].map((item) => item.clip);
  byId("shown").replaceChildren(
    el("h3", {}, page.current === page.facts.noise ? "Some of the clips" : "Most central clips"), thumbs(card.central, chosenThumb),
    ...(card.doubtful.length && page.current !== page.facts.noise ? [el("h3", {}, "Most doubtful clips"), thumbs(card.doubtful, chosenThumb)] : []));
}

function chosenThumb(clip) {
  page.tour++;
  return chooseClip(page.clips.indexOf(clip));
}

async function chooseClip(at, heardAtOnce = true) {
  if (!page.clips.length) return;
  page.at = Math.max(0, Math.min(page.clips.length - 1, at));
  const clip = page.clips[page.at];
  for (const one of document.querySelectorAll(".thumb")) {
    const now = Number(one.dataset.clip) === clip;
    one.classList.toggle("now", now);
    one.classList.toggle("picked", page.picked.has(Number(one.dataset.clip)));
    if (now) one.scrollIntoView({ block: "nearest" });
  }
  drawMap();
  await (heardAtOnce && !page.quiet ? play(clip) : showClip(clip));
}

// Clips one after the other, until another key is pressed.
async function playAll() {
  const tour = ++page.tour;
  for (let at = Math.max(0, page.at); at < page.clips.length && tour === page.tour; at++) {
    await chooseClip(at, false);
    await play(page.clips[at]);
  }
}

async function step(by) {
  page.tour++;
  if (page.all && page.at + by >= page.clips.length && page.clips.length < page.card.clips) await showAll(page.clips.length);
  await chooseClip(page.at + by);
}

async function showAll(from = 0) {
  const more = await view("clips", { cluster: page.current, from });
  const items = from ? [...page.listed, ...more.clips] : more.clips;
  page.listed = items; page.all = true;
  drawClips({ all: more.all, clips: items });
}

async function toggleAll() {
  const clip = page.clips[page.at];
  if (page.all) { page.all = false; drawClips(); } else await showAll();
  await chooseClip(Math.max(0, page.clips.indexOf(clip)), false);
}

async function done(decision, told) {
  const answer = await decide(decision);
  page.state = answer.state;
  if (answer.moved) map.assign(await view("assigned"), page.facts.noise);
  if (told) say(typeof told === "function" ? told(answer) : told);
  return answer;
}

async function nameIt(name, stay) {
  const id = page.current, before = clusterOf(id).name;
  byId("name").kept = true;
  byId("name").blur();
  if (name.trim() !== before) await done({ what: "name", cluster: id, name }, name.trim() ? `Cluster ${id} is ${name.trim()}.` : `Cluster ${id} has no name.`);
  if (stay || !name.trim()) await chooseCluster(id, null, false); else await nextUnnamed(1);
}

// The next cluster without a name, other than this one; null for none.
function unnamedFrom(by) {
  const order = inOrder(), at = order.findIndex((one) => one.cluster === page.current);
  for (let i = 1; i < order.length; i++) {
    const one = order[(at + by * i + order.length * 2) % order.length];
    if (!isDone(one)) return one.cluster;
  }
  return null;
}

async function nextUnnamed(by) {
  const id = unnamedFrom(by);
  if (id !== null) return chooseCluster(id);
  if (page.current !== page.facts.noise && !isDone(clusterOf(page.current))) { say("This is the last cluster without a name."); return null; }
  say("Every cluster has a name or is noise. Now run: ecotf cluster export");
  drawState(); drawCard();
  return chooseClip(0, false);
}

function nextOfAll(by) {
  const order = [...inOrder().map((one) => one.cluster), ...(page.state.left ? [page.facts.noise] : [])];
  const at = order.indexOf(page.current);
  return chooseCluster(order[(at + by + order.length) % order.length]);
}

function otherClusters() {
  const near = page.card.near, rank = (id) => (near.includes(id) ? near.indexOf(id) : 99);
  return inOrder().filter((one) => one.cluster !== page.current).sort((a, b) => rank(a.cluster) - rank(b.cluster))
    .map((one) => ({ text: `${one.name ? `${one.name} (${one.cluster})` : `${one.cluster}`}`, value: one.cluster }));
}

function inCluster() {
  if (page.current !== page.facts.noise) return true;
  say("These clips are in no cluster. Move those that you know (v).", true);
  return false;
}

async function merge() {
  if (!inCluster()) return;
  const id = page.current, into = await choose(`Merge ${titleOf(id)} into which cluster?`, otherClusters());
  if (into === null) return;
  const following = unnamedFrom(1); // of the list as it is before the merge
  await done({ what: "merge", clusters: [id], into }, `Cluster ${id} is now part of ${titleOf(into)}.`);
  await (isDone(clusterOf(into)) && following !== null ? chooseCluster(following) : chooseCluster(into, null, false));
}

async function split() {
  if (!inCluster()) return;
  const id = page.current;
  busy = "the cluster is split";
  say(`One moment: ${busy} …`);
  await done({ what: "split", cluster: id }, (answer) => `Cluster ${id} is now ${answer.parts} clusters.`).finally(() => { busy = ""; });
  await chooseCluster(id, null, false);
}

async function callNoise() {
  if (!inCluster()) return;
  await done({ what: "noise", cluster: page.current }, `Cluster ${page.current} is noise.`);
  await nextUnnamed(1);
}

async function move() {
  const clips = page.picked.size ? [...page.picked] : [page.clips[page.at]], id = page.current;
  const lines = [...otherClusters(), { text: "new cluster", value: "new" }];
  if (id !== page.facts.noise) lines.push({ text: "not in a cluster", value: page.facts.noise });
  const to = await choose(`Move ${many(clips.length, "clip")} to which cluster?`, lines);
  if (to === null) return;
  await done({ what: "move", clips, to }, `${many(clips.length, "clip")} moved.`);
  await chooseCluster(clusterOf(id) || id === page.facts.noise ? id : inOrder()[0].cluster, null, false);
}

async function undo() {
  const what = page.state.undo;
  if (!what) { say("There is nothing to undo."); return; }
  await done({ what: "undo" }, `Taken back: ${what}.`);
  const id = Number((/cluster (\d+)/.exec(what) || [])[1] ?? page.current);
  await chooseCluster(clusterOf(id) || id === page.facts.noise ? id : inOrder()[0].cluster, null, false);
}

function pick() {
  const clip = page.clips[page.at];
  if (!page.picked.delete(clip)) page.picked.add(clip);
  say(`${many(page.picked.size, "clip")} picked. v moves them.`);
  return chooseClip(page.at, false);
}

async function goTo() {
  const id = await choose("Go to which cluster?", otherClusters());
  if (id !== null) await chooseCluster(id);
}

let hovering = 0;
function hover(clip, cluster, event) {
  const tip = byId("tip");
  clearTimeout(hovering);
  if (clip < 0) { tip.hidden = true; return; }
  hovering = setTimeout(() => {
    const box = byId("map").getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    tip.replaceChildren(el("b", {}, titleOf(cluster)), thumb(clip, "click: play", () => {}));
    tip.style.left = `${Math.min(Math.max(0, x - 90), Math.max(0, box.width - 190))}px`;
    tip.style.top = y > box.height / 2 ? `${y - 140}px` : `${y + 16}px`;
    tip.hidden = false;
  }, 60);
}

const NAMES = "Name", CLIPS = "Clips", CHANGE = "Change clusters", SEE = "See";
onKey(NAMES, ["n"], "name this cluster; Tab completes, Enter keeps and goes on, Shift+Enter keeps and stays", () => { byId("name")?.focus(); byId("name")?.select(); });
onKey(NAMES, ["j"], "next cluster without a name", () => nextUnnamed(1));
onKey(NAMES, ["k"], "previous cluster without a name", () => nextUnnamed(-1));
onKey(NAMES, ["J"], "next cluster", () => nextOfAll(1), ["Shift+J"]);
onKey(NAMES, ["K"], "previous cluster", () => nextOfAll(-1), ["Shift+K"]);
onKey(NAMES, ["g"], "go to a cluster by its number or name", goTo);
onKey(CLIPS, [" "], "play or stop the clip", () => { page.tour++; stopOrPlay(); }, ["Space"]);
onKey(CLIPS, ["ArrowRight"], "next clip", () => step(1), ["→"]);
onKey(CLIPS, ["ArrowLeft"], "previous clip", () => step(-1), ["←"]);
onKey(CLIPS, ["ArrowDown"], "clip below", () => step(3), ["↓"]);
onKey(CLIPS, ["ArrowUp"], "clip above", () => step(-3), ["↑"]);
onKey(CLIPS, ["p"], "play clips one after the other; any of these keys stops", playAll);
onKey(CLIPS, ["a"], "show all clips, or the most central and most doubtful", toggleAll);
onKey(CLIPS, ["q"], "play clips when they are chosen, or be quiet", () => { page.quiet = !page.quiet; sound.pause(); say(page.quiet ? "Quiet: Space plays." : "Clips play when they are chosen."); });
onKey(CHANGE, ["x"], "this cluster is noise", callNoise);
onKey(CHANGE, ["m"], "merge this cluster into another", merge);
onKey(CHANGE, ["s"], "split this cluster", split);
onKey(CHANGE, ["b"], "pick this clip, or put it back", pick);
onKey(CHANGE, ["v"], "move the picked clips, or this one, to another cluster", move);
onKey(CHANGE, ["u"], "undo the last decision; as often as you like", undo);
onKey(SEE, ["f"], "show lower frequencies larger", zoomPictures);
onKey(SEE, ["c"], "show this cluster large on the map", () => map.centre(page.current));
onKey(SEE, ["0"], "show the whole map", () => map.whole());
onKey(SEE, ["+", "="], "nearer on the map; also the mouse wheel", () => map.zoom(1.4), ["+"]);
onKey(SEE, ["-"], "farther on the map", () => map.zoom(1 / 1.4), ["−"]);
onKey(SEE, ["?", "h"], "this help", openHelp);

byId("undo").addEventListener("click", undo);
byId("open-help").addEventListener("click", openHelp);
begin();
