// The map of all clips. Points are written into the pixels of a canvas, so that 50,000 of them stay fluid.

const MIN_R = 1.5, MAX_R = 7;

class PointMap {
  constructor(place, chosen, hovered) {
    this.place = place;
    this.canvas = place.querySelector("canvas");
    this.chosen = chosen; this.hovered = hovered;
    this.n = 0; this.current = null; this.clip = -1; this.names = new Map();
    this.view = { scale: 1, x: 0, y: 0 };
    this.waiting = false;
    new ResizeObserver(() => this.resize()).observe(place);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.colours(); this.draw(); });
    this.listen();
  }

  // Places as float32 x, then y, then clips as int32.
  load(bytes, count) {
    this.n = count;
    this.x = new Float32Array(bytes, 0, count);
    this.y = new Float32Array(bytes, 4 * count, count);
    this.clips = new Int32Array(bytes, 8 * count, count);
    this.cluster = new Int32Array(count);
    this.whole();
  }

  assign(bytes, left) {
    this.cluster = new Int32Array(bytes);
    this.left = left; // the number of what is in no cluster
    this.sums = new Map();
    for (let i = 0; i < this.n; i++) {
      let sum = this.sums.get(this.cluster[i]);
      if (!sum) this.sums.set(this.cluster[i], sum = { x: 0, y: 0, n: 0, lowX: Infinity, highX: -Infinity, lowY: Infinity, highY: -Infinity });
      const x = this.x[i], y = this.y[i];
      sum.x += x; sum.y += y; sum.n++;
      if (x < sum.lowX) sum.lowX = x; if (x > sum.highX) sum.highX = x;
      if (y < sum.lowY) sum.lowY = y; if (y > sum.highY) sum.highY = y;
    }
    this.colours();
    this.draw();
  }

  show(current, clip, names) {
    if (current !== this.current) this.inside = null;
    this.current = current; this.clip = clip; this.names = names;
    this.draw();
  }

  colours() {
    if (!this.sums) return;
    const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
    const style = getComputedStyle(document.documentElement);
    this.ink = style.getPropertyValue("--ink").trim();
    this.paper = style.getPropertyValue("--back").trim();
    const back = dark ? [22, 24, 26] : [255, 255, 255];
    const packed = (rgb, share) => {
      const [r, g, b] = rgb.map((value, i) => Math.round(value * share + back[i] * (1 - share)));
      return (255 << 24 | b << 16 | g << 8 | r) >>> 0;
    };
    this.back = packed(back, 1);
    this.halo = packed(dark ? [255, 255, 255] : [0, 0, 0], 1);
    this.full = new Map(); this.pale = new Map();
    for (const id of this.sums.keys()) {
      const rgb = id === this.left ? (dark ? [110, 110, 110] : [165, 165, 165]) : colourOf(id, dark);
      this.full.set(id, packed(rgb, 1)); this.pale.set(id, packed(rgb, id === this.left ? 0.6 : 0.55));
    }
    // The colour of each point, and the order of painting: what is in no cluster lies below.
    this.fullInk = new Uint32Array(this.n); this.paleInk = new Uint32Array(this.n);
    const below = [], above = [];
    for (let i = 0; i < this.n; i++) {
      const id = this.cluster[i];
      this.fullInk[i] = this.full.get(id); this.paleInk[i] = this.pale.get(id);
      (id === this.left ? below : above).push(i);
    }
    this.order = Int32Array.from(below.concat(above));
    this.inside = null;
  }

  resize() {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const wide = Math.max(1, Math.round(this.place.clientWidth * ratio)), tall = Math.max(1, Math.round(this.place.clientHeight * ratio));
    if (this.canvas.width === wide && this.canvas.height === tall) return;
    this.canvas.width = wide; this.canvas.height = tall; this.ratio = ratio;
    this.image = this.canvas.getContext("2d").createImageData(wide, tall);
    this.pixels = new Uint32Array(this.image.data.buffer);
    if (!this.moved) this.whole(); else this.draw();
  }

  whole() {
    this.moved = false;
    this.fit(bounds(this.x, this.y, this.n), 1);
  }

  // Show one cluster as large as fits, but not larger than a tenth of the map would be.
  centre(id) {
    const sum = this.sums.get(id);
    if (!sum) return;
    this.moved = true;
    const all = bounds(this.x, this.y, this.n);
    this.fit(sum, 0.6, Math.max(all.highX - all.lowX, all.highY - all.lowY) / 10);
  }

  fit(box, share, least = 1e-9) {
    if (!this.n || !this.pixels) return;
    const margin = 24 * this.ratio, wide = this.canvas.width - 2 * margin, tall = this.canvas.height - 2 * margin;
    const spanX = Math.max(box.highX - box.lowX, least), spanY = Math.max(box.highY - box.lowY, least);
    const scale = share * Math.min(wide / spanX, tall / spanY);
    this.view = {
      scale, x: this.canvas.width / 2 - scale * (box.lowX + box.highX) / 2,
      y: this.canvas.height / 2 + scale * (box.lowY + box.highY) / 2,
    };
    this.fitted = this.moved ? this.fitted : scale;
    this.draw();
  }

  zoom(factor, x = this.canvas.width / 2, y = this.canvas.height / 2) {
    const scale = Math.min(Math.max(this.view.scale * factor, this.fitted / 2), this.fitted * 400);
    const real = scale / this.view.scale;
    this.view = { scale, x: x - (x - this.view.x) * real, y: y - (y - this.view.y) * real };
    this.moved = true;
    this.draw();
  }

  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.paint(); });
  }

  radius() {
    const plain = this.n < 1500 ? 4 : this.n < 15000 ? 2.5 : MIN_R;
    return Math.min(MAX_R, plain * Math.sqrt(Math.max(1, this.view.scale / this.fitted) ** 0.6)) * this.ratio;
  }

  paint() {
    if (!this.pixels || !this.order || !this.n) return;
    const began = performance.now();
    const r = this.radius(), pixels = this.pixels;
    pixels.fill(this.back);
    this.stamp(r, this.order, this.current === null ? this.fullInk : this.paleInk);
    if (this.current !== null) {
      if (!this.inside) this.inside = this.order.filter((i) => this.cluster[i] === this.current);
      this.stamp(r + 2 * this.ratio, this.inside, null, this.halo);
      this.stamp(r + 0.5 * this.ratio, this.inside, this.fullInk);
    }
    const context = this.canvas.getContext("2d");
    context.putImageData(this.image, 0, 0);
    this.marks(context, r);
    performance.measure("map", { start: began, end: performance.now() });
  }

  // Write a disc for each of some points, in its own ink or in one for all.
  stamp(r, points, inks, one = 0) {
    const { scale, x: ox, y: oy } = this.view, wide = this.canvas.width, tall = this.canvas.height;
    const offsets = disc(r, wide), reach = Math.ceil(r), pixels = this.pixels, xs = this.x, ys = this.y;
    for (let j = 0; j < points.length; j++) {
      const i = points[j], px = (xs[i] * scale + ox) | 0, py = (oy - ys[i] * scale) | 0;
      if (px < reach || py < reach || px >= wide - reach || py >= tall - reach) continue;
      const at = py * wide + px, ink = inks ? inks[i] : one;
      for (let k = 0; k < offsets.length; k++) pixels[at + offsets[k]] = ink;
    }
  }

  marks(context, r) {
    const size = 12 * this.ratio;
    context.font = `600 ${size}px system-ui, sans-serif`;
    context.textAlign = "center"; context.lineJoin = "round";
    const taken = [];
    const order = [...this.names.keys()].sort((a, b) => (b === this.current) - (a === this.current));
    for (const id of order) {
      const sum = this.sums.get(id);
      if (!sum) continue;
      const x = sum.x / sum.n * this.view.scale + this.view.x, y = this.view.y - sum.lowY * this.view.scale + r + 1.3 * size; // below its points
      const text = this.names.get(id), half = context.measureText(text).width / 2;
      if (taken.some((box) => Math.abs(box.x - x) < box.half + half && Math.abs(box.y - y) < 1.2 * size)) continue;
      taken.push({ x, y, half });
      context.lineWidth = 4 * this.ratio; context.strokeStyle = this.paper; context.fillStyle = this.ink;
      context.strokeText(text, x, y); context.fillText(text, x, y);
    }
    const i = this.clip >= 0 ? this.clips.indexOf(this.clip) : -1;
    if (i >= 0) {
      context.lineWidth = 2.5 * this.ratio; context.strokeStyle = "#d55e00"; context.beginPath();
      context.arc(this.x[i] * this.view.scale + this.view.x, this.view.y - this.y[i] * this.view.scale, r + 5 * this.ratio, 0, 7);
      context.stroke();
    }
  }

  // The clip that is nearest to a place, at most some pixels away; -1 for none.
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const px = (event.clientX - box.left) * this.ratio, py = (event.clientY - box.top) * this.ratio;
    const { scale, x: ox, y: oy } = this.view;
    let best = -1, least = (this.radius() + 6 * this.ratio) ** 2;
    for (let i = 0; i < this.n; i++) {
      const dx = this.x[i] * scale + ox - px, dy = oy - this.y[i] * scale - py, away = dx * dx + dy * dy;
      if (away < least) { least = away; best = i; }
    }
    return best;
  }

  listen() {
    let held = null, travelled = 0;
    this.canvas.addEventListener("pointerdown", (event) => {
      held = event; travelled = 0; this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!held) { const i = this.at(event); this.hovered(i < 0 ? -1 : this.clips[i], i < 0 ? null : this.cluster[i], event); return; }
      const dx = event.clientX - held.clientX, dy = event.clientY - held.clientY;
      travelled += Math.abs(dx) + Math.abs(dy);
      if (travelled < 4) return;
      this.view.x += dx * this.ratio; this.view.y += dy * this.ratio; held = event; this.moved = true;
      this.hovered(-1, null, event);
      this.draw();
    });
    this.canvas.addEventListener("pointerup", (event) => {
      const i = held && travelled < 4 ? this.at(event) : -1;
      held = null;
      if (i >= 0) this.chosen(this.clips[i], this.cluster[i]);
    });
    this.canvas.addEventListener("pointercancel", () => { held = null; });
    this.canvas.addEventListener("pointerleave", (event) => this.hovered(-1, null, event));
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const box = this.canvas.getBoundingClientRect();
      this.zoom(Math.exp(-event.deltaY / 400), (event.clientX - box.left) * this.ratio, (event.clientY - box.top) * this.ratio);
    }, { passive: false });
  }
}

function bounds(x, y, n) {
  const box = { lowX: Infinity, highX: -Infinity, lowY: Infinity, highY: -Infinity };
  for (let i = 0; i < n; i++) {
    if (x[i] < box.lowX) box.lowX = x[i]; if (x[i] > box.highX) box.highX = x[i];
    if (y[i] < box.lowY) box.lowY = y[i]; if (y[i] > box.highY) box.highY = y[i];
  }
  return box;
}

function disc(r, wide) {
  const offsets = [], reach = Math.floor(r);
  for (let dy = -reach; dy <= reach; dy++) for (let dx = -reach; dx <= reach; dx++) if (dx * dx + dy * dy <= r * r) offsets.push(dy * wide + dx);
  return offsets;
}

// Neighbouring numbers get colours far apart: a golden angle of hue, in two lightnesses.
function colourOf(id, dark) {
  const hue = id * 137.508 % 360, light = (dark ? 0.62 : 0.46) + (id % 2 ? 0.08 : -0.04), strength = 0.62 * Math.min(light, 1 - light);
  return [0, 8, 4].map((n) => {
    const k = (n + hue / 30) % 12;
    return 255 * (light - strength * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
  });
}

function cssColour(id) {
  return `rgb(${colourOf(id, window.matchMedia("(prefers-color-scheme: dark)").matches).map(Math.round).join(" ")})`;
}
