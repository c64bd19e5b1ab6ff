"""What the recorder's tests share: boards and their clocks, calls, models, and what stands in a folder at the end."""

from __future__ import annotations

import csv
import errno
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ecotf_recorder.event_facts import EventFacts
from ecotf_recorder.facts import SegmentFacts
from ecotf_recorder.scoring.held import Detection
from ecotf_recorder.store.notebook import Notebook
from ecotf_recorder.times.clock import Clock, steady
from recorder_stand_ins import NOON, right_since_2020


def call(start_s: float, score: float = 0.9, label: str = "Myotis myotis") -> Detection:
    return Detection(start_s, start_s + 0.004, 30_000.0, 60_000.0, label, score, 0.95)


def labelled(start_s: float, label: str = "bat", score: float = 0.9) -> Detection:
    return call(start_s, score, label)


class Hands:
    """Set both clocks of a board."""

    def __init__(self, wall: float = NOON) -> None:
        self.steady, self.wall = 100.0, wall

    def clock(self) -> Clock:
        return Clock(lambda: self.steady, lambda: self.wall, "abcd1234", right_since_2020)


class WallHands:
    """Set the wall clock of a board; both clocks go on."""

    def __init__(self, wall: float) -> None:
        self.wall, self.began = wall, steady()

    def clock(self) -> Clock:
        return Clock(steady, lambda: self.wall + steady() - self.began, "abcd1234", right_since_2020)


class Board:
    """A board whose clock is right; its steady clock begins anew with every boot."""

    def __init__(self) -> None:
        self.now, self.boots, self.is_set = 0.0, 0, True
        self.boot()

    def boot(self) -> None:
        self.boots, self._born = self.boots + 1, self.now - 20

    @property
    def steady(self) -> float:
        return self.now - self._born

    def clock(self) -> Clock:
        wall = lambda: NOON + self.now if self.is_set else self.steady  # noqa: E731
        return Clock(lambda: self.steady, wall, f"boot-{self.boots}", right_since_2020)


def full(*_) -> None:
    """Stands for whatever writes to a disk that is full."""
    raise OSError(errno.ENOSPC, "No space left on device")


def written(folder, n: int = 5) -> None:
    """A notebook with ``n`` detections that were kept."""
    notebook = Notebook(folder, Hands().clock())
    stretch = notebook.begin("night", NOON, 100.0, "release")
    notebook.add(stretch, "night", NOON, [call(i) for i in range(n)], "synchronised")
    notebook.close()


def rows(folder) -> list[list[str]]:
    with open(folder / "detections.csv", newline="") as file:
        return list(csv.reader(file))[1:]


def records(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def table(tmp_path) -> pd.DataFrame:
    return pd.read_csv(tmp_path / "state" / "detections.csv")


def gaps(tmp_path) -> list[list[str]]:
    with open(tmp_path / "state" / "gaps.csv", newline="") as file:
        return list(csv.reader(file))[1:]


def health(tmp_path) -> dict:
    return json.loads((tmp_path / "state" / "health.json").read_text())


def clip_facts(**changes: Any) -> SegmentFacts:
    """What a model of two species says of itself, with four frames in a segment of a second, but for ``changes``."""
    facts = SegmentFacts(
        name="a", run="b", precision="f32", kind="segments", sample_rate_hz=1000, takes="int16", species=("a", "b"),
        thresholds={"a": 0.5, "b": 0.5}, unnamed=False, window_s=0.1, samples=1000,
        segment_samples=1000, margin_samples=0, segment_s=1.0, repeats=False,
        frame_times_s=np.array([0.125, 0.375, 0.625, 0.875]), frame_s=0.25,
        band_hz=(0.0, 1.0), reports_events=False, events=EventFacts(0.1, 0.01, 0.4, 0.5),
        boxes=None,
    )  # fmt: skip
    return replace(facts, **changes)
