"""The two directions of the few-shot benchmark: which classes are trained on, and which come only in episodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from birds_runs import short_clips

from ecotf.audio.recording import open_recording
from ecotf.datasets.manifest import Manifest, make_manifest


@dataclass(frozen=True)
class Direction:
    """Classes to train on, and others to be tested on.

    Attributes
    ----------
    train
        ``recording, label``.
    test
        ``recording, label, group``; clips of a class with the same group are never both in support and queries.
    """

    name: str
    title: str
    train: pd.DataFrame
    test: pd.DataFrame

    def sounds(self, rate: int) -> Iterator[np.ndarray]:
        """Read the tested clips, float32 ``[samples]`` each."""
        for path in self.test["recording"]:
            sound = open_recording(path).read(channel="mix", sample_rate=rate)
            yield np.ascontiguousarray(sound, np.float32)

    def manifest(self, voices: Path | None = None) -> Manifest:
        """Return what is trained on, with simulated voices (``role`` simulated) where their folder is given."""
        rows = self.train.assign(role="")
        if voices is not None:
            rows = pd.concat([rows, _voices(voices).assign(role="simulated")], ignore_index=True)
        return _whole(rows)


def voices_alone(voices: Path) -> Manifest:
    """Return a manifest of simulated voices, without roles: they are all there is."""
    return _whole(_voices(voices))


def _voices(folder: Path) -> pd.DataFrame:
    made = pd.read_csv(folder / "manifest.csv")[["recording", "label"]]
    return made.assign(recording=[str((folder / name).resolve()) for name in made["recording"]])


def _whole(rows: pd.DataFrame) -> Manifest:
    rows = rows.assign(start_s=0.0, end_s=np.nan, group=rows["recording"])
    return make_manifest(rows, "/", "benchmark")


def directions(data: Path) -> dict[str, Direction]:
    """Read both directions by name.

    ESC-50 has several clips of some recordings, always in one fold, and their names are gone; so its groups are folds.
    """
    animals, others, birds = (short_clips(data, f"fewshot/{name}/") for name in _FOLDERS)
    columns = ["recording", "label"]
    return {
        "phoebe": Direction(
            "phoebe",
            "Trained on 11 ESC animals and 5 other sounds, tested on 7 birds of phoebe_xc (10 recordings each)",
            pd.concat([animals, others], ignore_index=True)[columns],
            birds.assign(group=birds["recording"])[[*columns, "group"]],
        ),
        "esc": Direction(
            "esc",
            "Trained on 7 birds of phoebe_xc and 5 other sounds, tested on 11 ESC animals (32 clips each)",
            pd.concat([birds, others], ignore_index=True)[columns],
            animals.assign(group=animals["fold"].astype(int).astype(str))[[*columns, "group"]],
        ),
    }


_FOLDERS = ("esc50_animals", "esc10_other", "phoebe_xc")
