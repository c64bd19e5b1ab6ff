"""Hard negative mining: what was taken for a call and is none, and calls that were missed, become patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecotf.datasets.manifest import make_manifest
from ecotf.pipelines.patches import PatchTable
from ecotf.tasks.calls.data import TrainingData
from ecotf.tasks.calls.mining import MiningConfig, mine_patches

SPECIES = ("Nyc", "Pip")
CONFIG = MiningConfig(score=0.5, distance_s=0.008, shift_s=0.001)
THRESHOLDS = {"Nyc": 0.3, "Pip": 0.9, "call": 0.4}

ANNOTATIONS = [
    ("a.wav", 1.00, 1.01, "Pip"), ("a.wav", 2.00, 2.01, "Nyc"), ("a.wav", 3.00, 3.01, "Rhi"),
    ("a.wav", 4.00, 4.01, "noise"), ("b.wav", 0.0, 9.0, ""), ("c.wav", 1.00, 1.01, "Pip"),
]  # fmt: skip


@pytest.fixture
def data() -> TrainingData:
    table = pd.DataFrame(ANNOTATIONS, columns=["recording", "start_s", "end_s", "label"]).assign(split="train")
    manifest = make_manifest(table, Path("/nowhere"), "here")
    return TrainingData(manifest, [], SPECIES, ("noise",), pd.DataFrame())


def candidates(*rows: tuple[float, str, float]) -> pd.DataFrame:
    """Candidates 4 ms long, by their middle."""
    found = pd.DataFrame(rows, columns=["middle", "label", "score"])
    return found.assign(start_s=found["middle"] - 0.002, end_s=found["middle"] + 0.002)


SURE = candidates((1.005, "Pip", 0.95), (2.005, "Nyc", 0.5))  # every call of a species that is learned is found


def mine(data: TrainingData, **found: pd.DataFrame) -> PatchTable:
    return mine_patches(data, {f"{name}.wav": table for name, table in found.items()}, CONFIG, THRESHOLDS, 0.003)


def windows_of(mined: PatchTable) -> list[tuple[int, float, list[int]]]:
    rows = zip(mined.recording.tolist(), np.round(mined.time_s, 6).tolist(), mined.species.tolist(), strict=True)
    return sorted(rows)


def test_nothing_is_mined_where_all_is_right(data):
    assert len(mine(data, a=pd.concat([SURE, candidates((1.005, "call", 0.9), (3.005, "call", 0.9))]))) == 0


def test_a_call_where_none_is_becomes_a_negative(data):
    calls = candidates(
        (1.017, "call", 0.9),  # 7 ms after a call: near it
        (1.019, "call", 0.9),  # 9 ms after it
        (0.993, "call", 0.9),  # 7 ms before it
        (0.991, "call", 0.9),  # 9 ms before it
        (4.005, "call", 0.51),  # on an annotated noise
        (6.0, "call", 0.5),  # not above the score
        (6.5, "Pip", 1.0),  # a name alone is not mined
    )
    assert windows_of(mine(data, a=pd.concat([SURE, calls]))) == [(0, t, [0, 0]) for t in (0.991, 1.019, 4.005)]


def test_a_recording_without_calls_is_mined_too(data):
    found = candidates((0.5, "call", 0.9), (1.5, "call", 0.2))
    assert windows_of(mine(data, b=found)) == [(1, 0.5, [0, 0])]


def test_a_missed_call_is_added_early_and_late(data):
    faint = candidates((1.005, "Pip", 0.89), (1.005, "call", 0.9), (2.005, "Nyc", 0.3))
    assert windows_of(mine(data, a=faint)) == [(0, 1.004, [0, 1]), (0, 1.006, [0, 1])]
    elsewhere = candidates((1.020, "Pip", 1.0), (2.005, "Nyc", 0.3))
    assert windows_of(mine(data, a=elsewhere)) == [(0, 1.004, [0, 1]), (0, 1.006, [0, 1])]
    nothing = candidates()
    assert len(mine(data, a=nothing)) == 4  # two calls; the one of a class that is not learned is not missed


def test_a_missed_call_keeps_the_names_of_those_that_call_with_it(data):
    """As in the patches that training began with; otherwise the same sound would be learned both ways."""
    rows = [("a.wav", 1.00, 1.01, "Pip"), ("a.wav", 1.002, 1.012, "Nyc"), ("a.wav", 1.00, 1.03, "Rhi")]
    table = pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label"]).assign(split="train")
    both = TrainingData(make_manifest(table, Path("/nowhere"), "here"), [], SPECIES, (), pd.DataFrame())
    found = candidates((1.007, "Nyc", 0.9))
    assert windows_of(mine(both, a=found)) == [(0, 1.004, [1, 1]), (0, 1.006, [1, 1])]


def test_only_the_recordings_that_were_scored_are_mined(data):
    mined = mine(data, b=candidates(), c=candidates())
    assert set(mined.recording) == {2}
    assert len(mine(data)) == 0
    assert mine(data).species.shape == (0, 2)
