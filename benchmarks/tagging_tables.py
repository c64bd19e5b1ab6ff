"""The tables of the tagging benchmark, from the results that are there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from tagging_data import ClipSet
from tagging_models import Model

from ecotf.evaluation.segment_intervals import Resampling
from ecotf.evaluation.segment_metrics import clip_metrics, wilson_interval

BASELINE = "statistics"
NOTES = "## What did not work"
HEAD = """\
# Tagging from few clips

`ECOTF_YAMNET=FILE ECOTF_BIRDNET=FILE python benchmarks/tagging.py --data ../shared/data --runs runs/tagging` trains
each model on real recordings and judges it on clips of folds that it did not see. Every training goes through a
recipe and a run folder, as `ecotf train` does it. Within the training folds, validation clips choose the epoch
(where the recipe keeps the best one) and the thresholds; no training sees the tested fold, and a teacher of
scores was trained on the same training clips and no others. Accuracy: the class with the greatest score, 95 %
Wilson interval. mAP: mean over the classes of the average precision over the clips of all folds together, 95 %
bootstrap interval over clips. `p`: exact McNemar test of right and wrong against logistic regression, clip by clip.
Seconds are those of one fold, of the training with its evaluation, on a busy two-core machine with one thread, and
processor seconds in brackets; a model on embeddings includes the embedding of all clips where nobody had embedded
them before.
"""


def write_report(sets: Mapping[str, ClipSet], models: Mapping[str, Model], results: Path, output: Path) -> None:
    """Write one table for each set; what follows `NOTES` in ``output`` is kept."""
    parts = [HEAD]
    for clips in sets.values():
        lines = table_of(clips, models, results)
        if lines:
            parts.append("\n".join(lines) + "\n")
    old = output.read_text(encoding="utf-8") if output.exists() else ""
    notes = old[old.index(NOTES) :] if NOTES in old else f"{NOTES}\n"
    output.write_text("\n".join([*parts, notes]), encoding="utf-8")


def table_of(clips: ClipSet, models: Mapping[str, Model], results: Path) -> list[str]:
    """Return the lines of a set: its title and one row for each model with results."""
    found = {key: pooled(results, clips, key) for key in models}
    found = {key: one for key, one in found.items() if one is not None}
    if not found:
        return []
    counts = clips.table["label"].value_counts()
    lines = [
        f"## {clips.title}", "",
        f"{len(clips.table)} clips of {clips.seconds:g} s, {counts.min()} of a class, {len(clips.folds)} folds. Goals: "
        f"{clips.goals}.", "",
        "| model | | parameters | epochs | accuracy | mAP | p | seconds of training (processor) |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    base = found.get(BASELINE)
    lines += [row(clips, key, models[key], one, base) for key, one in found.items()]
    return lines


def pooled(results: Path, clips: ClipSet, key: str) -> dict[str, Any] | None:
    """Join the folds of a model that are done; None where there are none."""
    kept = [json.loads(path.read_text()) for path in sorted(results.glob(f"{clips.name}_*_{key}.json"))
            if path.stem.split("_", 2)[2] == key]  # fmt: skip
    if not kept:
        return None
    scores = pd.concat([pd.DataFrame(one["scores"], one["recordings"], one["classes"]) for one in kept])
    costs = pd.DataFrame([one["cost"] for one in kept])
    truth = clips.table.set_index("recording")["label"].reindex(scores.index)
    return {"scores": scores, "truth": truth, "costs": costs, "folds": len(kept)}


def row(clips: ClipSet, key: str, model: Model, one: dict[str, Any], base: dict[str, Any] | None) -> str:
    """Return the row of a model."""
    scores, truth, costs = one["scores"], one["truth"], one["costs"]
    right = scores.idxmax(axis=1) == truth
    low, high = wilson_interval(int(right.sum()), len(right))
    targets = (truth.to_numpy()[:, None] == np.array(clips.classes)[None, :]).astype(int)
    metrics = clip_metrics(
        targets, scores.to_numpy(), clips.classes, Resampling(scores.index.tolist(), "recording", 1000, 1979)
    )
    title = model.title + ("" if one["folds"] == len(clips.folds) else f" (folds done: {one['folds']})")
    numbers = costs["parameters"].dropna() if "parameters" in costs else pd.Series(dtype=float)
    epochs = costs["epochs"].dropna() if "epochs" in costs else pd.Series(dtype=float)
    cells = [
        title, model.kind, f"{int(numbers.iloc[0]):,}" if len(numbers) else "",
        f"{epochs.max():.0f}" if len(epochs) and epochs.max() else "",
        f"{right.mean():.3f} [{low:.3f}, {high:.3f}]", mean_ap(metrics), against(right, base),
        f"{costs['seconds'].mean():.0f} ({costs['processor_s'].dropna().astype(float).mean():.0f})",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def mean_ap(metrics: Mapping[str, Any]) -> str:
    """Return mAP with its interval."""
    low, high = metrics["cmap_interval"]
    return f"{metrics['cmap']:.3f} [{low:.3f}, {high:.3f}]"


def against(right: pd.Series, base: dict[str, Any] | None) -> str:
    """Return the p of McNemar's exact test against the baseline; empty for itself and where folds differ."""
    if base is None:
        return ""
    there = base["scores"].idxmax(axis=1) == base["truth"]
    if set(there.index) != set(right.index) or right.equals(there):
        return ""
    there = there[right.index]
    gained, lost = int((right & ~there).sum()), int((~right & there).sum())
    chance = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    return "< 0.001" if chance < 0.001 else f"{chance:.3f}"
