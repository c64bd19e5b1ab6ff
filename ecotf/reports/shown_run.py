"""A run as the report shows it: its letter, what it was trained and judged on, and the material of its task."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecotf.errors import ConfigError
from ecotf.runs import RunFolder
from ecotf.runs.splits import Splits, read_splits
from ecotf.tasks.base import get_task
from ecotf.tasks.recipes import read_run_recipe
from ecotf.tasks.reported import Material

LETTERS = string.ascii_uppercase
_FEW_RECORDINGS = 20
SIDES = ("train", "valid", "test")


@dataclass(frozen=True)
class ShownRun:
    """A run in the report.

    Attributes
    ----------
    letter
        What the report calls it: A, B, ...
    name
        Recipe and time.
    classes
        Those that it learned.
    judged_on
        ``test``, ``valid``, or None where there was nothing to judge on.
    """

    letter: str
    path: Path
    name: str
    classes: tuple[str, ...]
    recipe: Any
    splits: Splits
    judged_on: str | None
    cost: dict[str, Any]
    unfitted: tuple[str, ...]
    threshold_notes: tuple[str, ...]
    material: Material

    @property
    def labels(self) -> list[str]:
        """The classes that have figures, in their order."""
        return [one.label for one in self.material.classes]

    def contents(self, side: str) -> dict[str, str]:
        """Return what identifies each recording of a side, to its name; the same sound is the same anywhere."""
        own = self.splits.table[self.splits.table["split"] == side]
        return {digest or name: name for name, digest in zip(own["recording"], own["digest"], strict=True)}


def read_runs(folders: Sequence[Path], clips: int) -> list[ShownRun]:
    """Read runs of any task, each with its share of the clips to listen to.

    Raises
    ------
    ConfigError
        A folder is no run, half written or given twice; or there are none, or too many.
    """
    if not folders:
        raise ConfigError("no run to report on; give at least one run folder")
    if len(folders) > len(LETTERS):
        raise ConfigError(f"{len(folders)} runs: a report shows at most {len(LETTERS)}")
    seen: dict[Path, Path] = {}
    for folder in folders:
        whole = folder.resolve()
        if whole in seen:
            raise ConfigError(f"{folder}: this run is given twice")
        seen[whole] = folder
    runs = [RunFolder.open(folder) for folder in folders]
    share = [clips // len(runs) + (number < clips % len(runs)) for number in range(len(runs))]
    return [_read(run, letter, most) for run, letter, most in zip(runs, LETTERS, share, strict=False)]


def _read(run: RunFolder, letter: str, most: int) -> ShownRun:
    import pandas as pd

    recipe = read_run_recipe(run.path)
    metrics, fitted = run.read_json("metrics.json"), run.read_json("thresholds.json")
    if not run.has("history.csv"):
        raise ConfigError(
            f"{run.path}: made from published weights, neither trained nor judged here; nothing to report"
        )
    try:
        return ShownRun(
            letter,
            run.path,
            f"{recipe.name}, {run.path.resolve().name}",
            # As text: a class may be called "007".
            tuple(pd.read_csv(run.file("labels.csv"), dtype=str, keep_default_na=False)["label"]),
            recipe,
            read_splits(run.path),
            metrics["judged_on"]["split"],
            metrics["cost"],
            tuple(fitted["unfitted"]),
            tuple(fitted.get("notes", ())),
            get_task(recipe.task).report_material(run.path, most),
        )
    except KeyError as error:
        raise ConfigError(f"{run.path}: metrics.json or thresholds.json has no {error}; copy the run again") from None


def differences(runs: Sequence[ShownRun]) -> list[str]:
    """Say, one sentence each, why figures of these runs cannot simply be compared."""
    found = []
    first = runs[0]
    for run in runs[1:]:
        found += _between(first, run)
    for run in runs:
        for other in runs:
            if run is other or run.judged_on is None:
                continue
            learned = {digest for side in other.material.learned for digest in other.contents(side)}
            known = learned & run.contents(run.judged_on).keys()
            if known:
                found.append(
                    f"{len(known)} of the {len(run.contents(run.judged_on))} recordings that {run.letter} was judged "
                    f"on were trained on by {other.letter}."
                )
    for run in runs:
        if run.judged_on == "valid":
            found.append(
                f"{run.letter} had no test recordings: its figures are on the validation recordings, which also chose "
                "epochs and thresholds. They are too good."
            )
        elif run.judged_on is None:
            found.append(f"{run.letter} had no recordings to be judged on: no figure says how good it is.")
        if run.judged_on is not None and len(run.contents(run.judged_on)) < _FEW_RECORDINGS:
            found.append(
                f"{run.letter} was judged on only {len(run.contents(run.judged_on))} recordings: its intervals are "
                "rough, and likely too narrow."
            )
    return found


def _between(first: ShownRun, run: ShownRun) -> list[str]:
    found = []
    if first.material.unit != run.material.unit:
        found.append(f"{first.letter} counts {first.material.unit}, {run.letter} counts {run.material.unit}.")
    if first.judged_on is not None and run.judged_on is not None:
        mine, theirs = first.contents(first.judged_on).keys(), run.contents(run.judged_on).keys()
        if mine != theirs:
            found.append(
                f"{first.letter} and {run.letter} were judged on different recordings: {len(mine & theirs)} are in "
                f"both, {len(mine - theirs)} only in {first.letter}, {len(theirs - mine)} only in {run.letter}. Their "
                "figures cannot be compared."
            )
    if set(first.classes) != set(run.classes):
        found.append(f"{first.letter} and {run.letter} have different classes; means over classes cannot be compared.")
    return found
