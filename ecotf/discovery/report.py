"""What the iterations gave: a table for programs, and a page of text that says whether iterating helped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.discovery.folder import ITERATIONS
from ecotf.discovery.loop import Iteration
from ecotf.evaluation.agreement import agreement, coverage_curve
from ecotf.files import atomic_file

if TYPE_CHECKING:
    import pandas as pd

REPORT = "report.txt"
_FIGURES = ("clusters", "noise", "dbcv", "relative_validity", "stability", "same", "dimensions", "min_size")
_AGREEMENT = ("ami", "nmi", "ari", "accuracy")


def iteration_table(iterations: Sequence[Iteration], chosen: int, labels: np.ndarray) -> pd.DataFrame:
    """Make a row for each iteration.

    Parameters
    ----------
    labels
        The true label of each clip; empty where it has none. Clips without one are left out of what is compared.
    """
    import pandas as pd

    known = np.asarray(labels, str) != ""
    rows = []
    for one in iterations:
        row: dict[str, Any] = {"iteration": one.number, **{name: one.figures[name] for name in _FIGURES}}
        row["chosen"] = one.number == chosen
        if known.any():
            row |= agreement(labels[known], one.labels[known])
            curve = coverage_curve(labels[known], one.labels[known], one.probability[known])
            row |= {f"{name}_at_{100 * share:.0f}": curve[share][name] for share in curve for name in ("ami", "ari")}
        rows.append(row)
    return pd.DataFrame(rows)


def write_report(
    folder: Path, iterations: Sequence[Iteration], chosen: int, clips: pd.DataFrame, learner: str | None
) -> list[str]:
    """Write ``iterations.csv`` and ``report.txt``; returns the lines of the report."""
    table = iteration_table(iterations, chosen, clips["label"].to_numpy(str))
    with atomic_file(folder / ITERATIONS) as partial:
        table.to_csv(partial, index=False)
    lines = report_lines(table, clips, learner)
    with atomic_file(folder / REPORT) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return lines


def report_lines(table: pd.DataFrame, clips: pd.DataFrame, learner: str | None) -> list[str]:
    """Say in lines what was found, and whether iterating helped."""
    chosen = table[table["chosen"]].iloc[0]
    count, noise = int(chosen["clusters"]), float(chosen["noise"])
    lines = [f"{len(clips):,} clips: {count} cluster{'s' * (count != 1)}, {100 * noise:.0f} % left as noise"]
    if count == 0:
        lines.append("all clips are noise: give more clips, or smaller numbers in clustering.min_sizes")
    elif count == 1:
        lines.append("all clips that are no noise are one cluster: perhaps there is one kind of sound")
    titles = ["clusters", "noise", "DBCV", "validity", "stability"]
    keys = ["clusters", "noise", "dbcv", "relative_validity", "stability"]
    if "ami" in table:
        titles += ["AMI", "NMI", "ARI", "accuracy", "AMI kept", "NMI kept", "ARI kept", "accuracy kept"]
        keys += [*_AGREEMENT, *(f"{name}_kept" for name in _AGREEMENT)]
    lines += ["", "iteration  " + "  ".join(f"{title:>9}" for title in titles)]
    for _, row in table.iterrows():
        cells = [_cell(row[key], key) for key in keys]
        mark = " *" if row["chosen"] else "  "
        lines.append(f"{int(row['iteration']):>7}{mark}  " + "  ".join(
            f"{cell:>{max(9, len(title))}}" for cell, title in zip(cells, titles, strict=True)
        ))  # fmt: skip
    lines.append(f"* is the result, chosen without labels{'' if learner is None else f'; what learned was {learner}'}")
    if "ami" in table:
        lines.append(
            "AMI, NMI, ARI, accuracy: over all clips, of which noise is one wrong cluster; kept: without noise"
        )
        for share in (100, 80, 60):
            lines.append(f"the surest {share:3} % of the clips: AMI {chosen[f'ami_at_{share}']:.3f}, "
                         f"ARI {chosen[f'ari_at_{share}']:.3f}")  # fmt: skip
    return [*lines, *_whether_it_helped(table)]


def _whether_it_helped(table: pd.DataFrame) -> list[str]:
    """Compare the result with the first clustering."""
    if len(table) < 2:
        return []
    first, result = table.iloc[0], table[table["chosen"]].iloc[0]
    if int(result["iteration"]) == 0:
        return ["iterating did not help: the first clustering is the result"]
    noise = f"noise went from {100 * first['noise']:.0f} to {100 * result['noise']:.0f} %"
    if "ami" in table:
        change = result["ami"] - first["ami"]
        if math.isnan(change) or abs(change) < 0.005:
            return [
                f"iterating changed little: AMI over all clips {first['ami']:.3f}, then {result['ami']:.3f}; {noise}"
            ]
        word = "helped" if change > 0 else "did harm"
        return [f"iterating {word}: AMI over all clips went from {first['ami']:.3f} to {result['ami']:.3f}; {noise}"]
    return [
        f"by figures without labels: {noise}, stability from {first['stability']:.2f} to {result['stability']:.2f}; "
        "DBCV grows by learning alone, so whether the clusters are better, only labels can say"
    ]


def _cell(value: float, key: str) -> str:
    if isinstance(value, float) and math.isnan(value):
        return "-"
    if key == "clusters":
        return str(int(value))
    return f"{100 * value:.0f} %" if key == "noise" else f"{value:.3f}"
