// Hear and see one clip at a time. A place for it is <div id="player">; small pictures are made by `thumb`.

const sound = new Audio();
let heard = -1;     // the clip whose sound is loaded
let shownClip = -1; // the clip in the player
let zoom = 1;       // pictures show the band, or its lower half, quarter, eighth
const ZOOMS = [1, 2, 4, 8];
const clipFacts = new Map(); // "number zoom" -> facts

async function factsOf(number) {
  const key = `${number} ${zoom}`;
  if (!clipFacts.has(key)) {
    if (clipFacts.size > 2000) clipFacts.clear();
    clipFacts.set(key, await ask(`clip/${number}?zoom=${zoom}`));
  }
  return clipFacts.get(key);
}

function boxOf(facts) {
  if (!facts.box) return null;
  const [left, top, width, height] = facts.box.map((share) => `${100 * share}%`);
  return el("i", { class: "box", style: { left, top, width, height } });
}

function gone(text) {
  return el("div", { class: "gone" }, `No sound: ${text}.`);
}

// A small picture of a clip; `more` is text below it.
function thumb(number, more, chosen) {
  const head = el("i", { class: "head" });
  const picture = el("div", { class: "picture" }, head);
  const image = el("img", { alt: "spectrogram", loading: "lazy", src: `clip/${number}/picture?zoom=${zoom}` });
  image.addEventListener("error", async () => {
    const facts = await factsOf(number).catch((error) => ({ gone: error.message }));
    picture.replaceChildren(gone(facts.gone || "it cannot be read"));
  });
  image.addEventListener("load", async () => {
    const box = boxOf(await factsOf(number));
    if (box) picture.append(box);
  });
  picture.prepend(image);
  return el("button", { class: "thumb", type: "button", "data-clip": number, onclick: () => chosen(number) }, picture,
    el("span", { class: "below" }, more));
}

// Show a clip in the player, without its sound.
async function showClip(number) {
  shownClip = number;
  const facts = await factsOf(number);
  if (shownClip !== number) return;
  const place = document.getElementById("player");
  const where = el("p", { class: "where", title: facts.recording },
    el("b", {}, lastPart(facts.recording)), ` ${seconds(facts.start_s)} to ${seconds(facts.end_s)}`);
  if (facts.gone) { place.replaceChildren(gone(facts.gone), where); return; }
  const length = facts.end_s - facts.start_s;
  const image = el("img", { alt: "spectrogram of the chosen clip", src: `clip/${number}/picture?zoom=${zoom}` });
  place.replaceChildren(...[
    el("div", { class: "picture large", "data-clip": number, title: "click: play from here", onclick: playFrom }, image, boxOf(facts),
      el("i", { class: "head" }), el("span", { class: "high" }, khz(facts.high_hz)),
      el("span", { class: "low" }, khz(facts.low_hz)),
      el("span", { class: "length" }, length < 1 ? `${Math.round(1000 * length)} ms` : `${length.toFixed(1)} s`)),
    where, facts.about ? el("p", { class: "where" }, facts.about) : null, el("p", { class: "note" }, [...facts.notes, "the box is the clip"].join("; "))].filter(Boolean));
}

// Play a clip and show it; resolves when it has ended or was stopped.
async function play(number, share = 0) {
  sound.pause();
  hideHeads();
  const shown = showClip(number);
  if (heard !== number) { sound.src = `clip/${number}/sound`; heard = number; }
  const facts = await factsOf(number);
  await shown;
  if (facts.gone || heard !== number) return;
  const ended = new Promise((done) => {
    sound.addEventListener("pause", done, { once: true });
    sound.addEventListener("error", done, { once: true });
  });
  try {
    if (share && sound.readyState < 1) await new Promise((done) => sound.addEventListener("loadedmetadata", done, { once: true }));
    sound.currentTime = share ? share * sound.duration : 0;
    await sound.play();
  } catch (error) {
    if (error.name === "NotAllowedError") say("The browser plays sound after the first key or click.");
    else if (error.name !== "AbortError") say("This browser has no sound, or cannot play this clip.", true);
    return;
  }
  drawHead();
  await ended;
}

function playFrom(event) {
  const box = event.currentTarget.getBoundingClientRect();
  play(shownClip, (event.clientX - box.left) / box.width);
}

function stopOrPlay() {
  if (!sound.paused) sound.pause();
  else if (shownClip >= 0) play(shownClip);
}

function drawHead() {
  const share = sound.duration > 0 ? sound.currentTime / sound.duration : 0;
  for (const head of document.querySelectorAll(`[data-clip="${heard}"] .head`)) {
    head.style.display = sound.paused ? "none" : "block";
    head.style.left = `${100 * share}%`;
  }
  if (!sound.paused) requestAnimationFrame(drawHead);
}
sound.addEventListener("pause", drawHead);

function hideHeads() {
  for (const head of document.querySelectorAll(".head")) head.style.display = "none";
}

// Show lower frequencies larger, in all pictures.
function zoomPictures() {
  zoom = ZOOMS[(ZOOMS.indexOf(zoom) + 1) % ZOOMS.length];
  for (const image of document.querySelectorAll(".thumb img")) {
    image.parentElement.querySelectorAll(".box").forEach((box) => box.remove());
    image.src = image.src.replace(/zoom=\d+/, `zoom=${zoom}`);
  }
  if (shownClip >= 0) showClip(shownClip);
  say(zoom === 1 ? "Pictures show all frequencies." : `Pictures show the lower ${{ 2: "half", 4: "quarter", 8: "eighth" }[zoom]} of the frequencies.`);
}
