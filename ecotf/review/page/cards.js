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

function counted(title, one, facts) {
  if (!facts.different) return null;
  const lines = facts.most.map(([name, count]) => el("li", { title: name }, el("span", {}, lastPart(name)), el("b", {}, String(count))));
  const rest = facts.different - facts.most.length;
  if (rest > 0) lines.push(el("li", { class: "note" }, `and ${many(rest, `more ${one}`)}`));
  return el("div", { class: "counted" }, el("h3", {}, `${title} (${facts.different})`), el("ul", {}, lines));
}

function below(item) {
  const time = item.time ? ` · ${item.time.slice(0, 16).replace("T", " ")}` : "";
  return `${lastPart(item.recording)} · ${seconds(item.start_s)}${time}`;
}

function thumbs(items, chosen) {
  return el("div", { class: "thumbs" }, items.map((item) => {
    const made = thumb(item.clip, below(item), chosen);
    made.title = `${item.recording}, ${seconds(item.start_s)}${item.probability ? `, ${Math.round(100 * item.probability)} % sure` : ""}`;
    return made;
  }));
}
