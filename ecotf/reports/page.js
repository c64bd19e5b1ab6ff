"use strict";
const cards = [...document.querySelectorAll(".card")];
let now = -1;

function choose(number) {
  if (!cards.length) return;
  if (now >= 0) cards[now].classList.remove("now");
  now = Math.max(0, Math.min(cards.length - 1, number));
  cards[now].classList.add("now");
  cards[now].focus({ preventScroll: true });
  cards[now].scrollIntoView({ block: "nearest" });
}

function toggle(card) {
  const audio = card.querySelector("audio");
  if (!audio) return;
  if (audio.paused) audio.play(); else audio.pause();
}

function stopAll() {
  document.querySelectorAll("audio").forEach((audio) => audio.pause());
}

cards.forEach((card, number) => {
  card.addEventListener("focusin", () => {
    if (now !== number) { if (now >= 0) cards[now].classList.remove("now"); now = number; card.classList.add("now"); }
  });
  const audio = card.querySelector("audio");
  if (!audio) return;
  const picture = card.querySelector(".picture"), head = card.querySelector(".head");
  const draw = () => {
    const known = isFinite(audio.duration) && audio.duration > 0;
    head.style.display = known ? "block" : "none";
    if (known) head.style.left = 100 * audio.currentTime / audio.duration + "%";
    if (!audio.paused) requestAnimationFrame(draw);
  };
  audio.addEventListener("play", () => {
    document.querySelectorAll("audio").forEach((other) => { if (other !== audio) other.pause(); });
    draw();
  });
  audio.addEventListener("seeked", draw);
  picture.addEventListener("click", (event) => {
    const box = picture.getBoundingClientRect(), share = (event.clientX - box.left) / box.width;
    const begin = () => { audio.currentTime = share * audio.duration; audio.play(); };
    if (audio.readyState >= 1) begin();
    else { audio.addEventListener("loadedmetadata", begin, { once: true }); audio.load(); }
  });
});

// Before the controls of the browser's own player, which take the same keys.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !cards.length) return;
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const upright = event.key === "ArrowDown" || event.key === "ArrowUp";
  const inCards = now >= 0 && cards[now].contains(document.activeElement);
  if (event.key === " " && now >= 0) toggle(cards[now]);
  else if (step !== undefined && (inCards || !upright)) { stopAll(); choose(now < 0 ? 0 : now + step); }
  else return;
  event.preventDefault();
  event.stopPropagation();
}, true);
