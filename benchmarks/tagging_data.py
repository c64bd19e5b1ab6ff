"""The clips and folds of the tagging benchmark: who is trained on, chosen by and tested on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from birds_runs import short_clips

from ecotf.datasets.manifest import Manifest, make_manifest


@dataclass(frozen=True)
class ClipSet:
    """Clips of one class each, with folds.

    Attributes
    ----------
    title, goals
        For the table.
    seconds
        Length of the clips.
    table
        ``recording, label, fold``, and for each fold ``k`` a column ``valid_k`` of what chooses epochs and thresholds
        where ``k`` is tested.
    """

    name: str
    title: str
    goals: str
    seconds: float
    table: pd.DataFrame

    @property
    def folds(self) -> list[int]:
        """The folds, each tested once."""
        return sorted(self.table["fold"].unique().tolist())

    @property
    def classes(self) -> list[str]:
        """The labels, sorted."""
        return sorted(self.table["label"].unique().tolist())

    def manifest(self, fold: int, tested: bool = True) -> Manifest:
        """Return the clips with their sides where ``fold`` is tested; without its clips unless ``tested``."""
        table = self.table
        side = np.where(table["fold"] == fold, "test", np.where(table[f"valid_{fold}"], "valid", "train"))
        rows = pd.DataFrame(
            {"recording": table["recording"], "start_s": 0.0, "end_s": np.nan, "label": table["label"], "split": side}
        )
        rows = rows.assign(group=table["recording"])
        return make_manifest(rows if tested else rows[side != "test"].reset_index(drop=True), "/", "benchmark")


def clip_sets(data: Path) -> dict[str, ClipSet]:
    """Read the sets of clips by name."""
    return {"esc50": esc50_animals(data), "phoebe": phoebe_xc(data)}


def esc50_animals(data: Path) -> ClipSet:
    """11 classes of ESC-50 in its folds 1 to 4, 8 clips of a class in each.

    Clips of one recording are in one fold and next to each other there. The last two of the eight validate, so that at
    most one recording of a class and fold is on both sides of what chooses the epoch; none is on both sides of a test.
    """
    table = short_clips(data, "fewshot/esc50_animals/").sort_values("recording").reset_index(drop=True)
    within = table.groupby(["label", "fold"]).cumcount()
    table = table.assign(fold=table["fold"].astype(int))
    for fold in range(1, 5):
        table[f"valid_{fold}"] = (within >= 6) & (table["fold"] != fold)
    return ClipSet("esc50", "ESC-50, 11 animals", "0.82 from scratch, 0.93 by transfer", 5.0, table)


def phoebe_xc(data: Path) -> ClipSet:
    """7 species x 10 recordings in five folds by recording, dealt with a seed; one recording of a species validates."""
    table = short_clips(data, "fewshot/phoebe_xc/").sort_values("recording").reset_index(drop=True)
    rng = np.random.default_rng(1979)
    place = table.groupby("label")["recording"].transform(lambda names: rng.permutation(len(names)))
    fold, second = place.astype(int) // 2 + 1, place.astype(int) % 2 == 1
    table = table.assign(fold=fold)
    for tested in range(1, 6):
        table[f"valid_{tested}"] = second & (table["fold"] == tested % 5 + 1)
    return ClipSet("phoebe", "phoebe_xc, 7 bird species", "0.95 with BirdNET's embedding", 6.0, table)
