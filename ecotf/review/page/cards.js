// The card of a cluster: its name, its clips, its hours, recordings and sites.

function hoursChart(hours, undated) {
  const most = Math.max(1, ...hours), all = hours.reduce((sum, one) => sum + one, 0);
  if (!all) return el("p", { class: "note" }, "The recordings do not say when they were made.");
  const bars = hours.map((count, hour) => el("i", {
    class: "hour", title: `${String(hour).padStart(2, "0")}:00 to ${String(hour).padStart(2, "0")}:59: ${many(count, "clip")}`,
    style: { height: `${count ? Math.max(6, 100 * count / most) : 0}%` },
  }));
  const peak = hours.indexOf(Math.max(...hours));
  const text = `hours of the day; most clips, ${most} of ${all}, from ${peak}:00 to ${peak}:59` + (undated ? `; ${undated} without a time` : "");
  return el("figure", { class: "hours", role: "img", "aria-label": text },
    el("div", { class: "bars" }, bars),
    el("div", { class: "axis" }, ["0", "6", "12", "18", "24"].map((hour) => el("span", {}, hour))),
    undated ? el("figcaption", { class: "note" }, `${undated} without a time`) : null);
}

// Names of recordings differ at their ends.
function ending(name, most = 19) {
  return name.length > most ? `…${name.slice(1 - most)}` : name;
}

function counted(title, one, facts) {
  if (!facts.different) return null;
  const lines = facts.most.map(([name, count]) => el("li", { title: name }, el("span", {}, ending(lastPart(name))), el("b", {}, String(count))));
  const rest = facts.different - facts.most.length;
  if (rest > 0) lines.push(el("li", { class: "note" }, `and ${many(rest, `more ${one}`)}`));
  return el("div", { class: "counted" }, el("h3", {}, `${title} (${facts.different})`), el("ul", {}, lines));
}

function below(item) {
  const at = Math.floor(item.start_s);
  return `${ending(lastPart(item.recording), 12)} · ${Math.floor(at / 60)}:${String(at % 60).padStart(2, "0")}`;
}

function thumbs(items, chosen) {
  return el("div", { class: "thumbs" }, items.map((item) => {
    const made = thumb(item.clip, below(item), chosen);
    made.title = `${item.recording}, ${seconds(item.start_s)}${item.time ? `, ${item.time}` : ""}${item.probability ? `, ${Math.round(100 * item.probability)} % sure` : ""}`;
    return made;
  }));
}
