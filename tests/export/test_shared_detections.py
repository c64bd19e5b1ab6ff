"""When a detection of the file is one of the run."""

from __future__ import annotations

import pandas as pd
import pytest

from ecotf.export.prove.parity import TOLERANCES, alike, failures, shared
from ecotf.export.stages.stage import DEFAULT

COLUMNS = ["recording", "label", "start_s", "end_s", "low_hz", "high_hz"]
ONE = ("a.wav", "bat", 1.0, 2.0, 2e4, 5e4)


def table(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.mark.parametrize(
    ("device", "share"),
    [
        ([ONE], 1.0),
        ([("a.wav", "bat", 1.000009, 1.999991, 20000.05, 49999.95)], 1.0),
        ([("a.wav", "bat", 1.00002, 2.0, 2e4, 5e4)], 0.0),
        ([("a.wav", "bat", 1.0, 2.0, 2e4, 50001.0)], 0.0),
        ([("a.wav", "owl", 1.0, 2.0, 2e4, 5e4)], 0.0),
        ([("b.wav", "bat", 1.0, 2.0, 2e4, 5e4)], 0.0),
        ([], 0.0),
        ([ONE, ONE], 0.5),  # the same detection twice is one too many
        ([ONE, ("a.wav", "bat", 3.0, 4.0, 2e4, 5e4)], 0.5),
    ],
)
def test_share_of_all_detections(device, share):
    assert shared(table(ONE), table(*device)) == share
    assert shared(table(*device), table(ONE)) == share


def test_nothing_at_all_is_the_same():
    assert shared(table(), table()) == 1.0


def test_events_that_share_half_of_their_time_are_counted_one_for_one():
    columns = ["recording", "label", "start_s", "end_s", "score"]
    desktop = pd.DataFrame([("a", "owl", 0, 2, 0.9), ("a", "owl", 1, 3, 0.8), ("b", "owl", 0, 1, 0.7)], columns=columns)
    device = pd.DataFrame([("a", "owl", 0.5, 2.4, 0.9), ("b", "wren", 0, 1, 0.7)], columns=columns)
    assert alike(desktop, device) == 1 and alike(desktop, desktop) == 3 and alike(desktop, device[:0]) == 0
    empty = {"labels": {}, "alike": 10, "n_detections": [30, 20]}
    report = {
        "front_end": None, "trees": None, "network": {"max": 0, "rms": 0, "agreement": 1}, DEFAULT: {},
        "detections": empty, "tolerances": TOLERANCES["int8"].model_dump(),
    }  # fmt: skip
    (said,) = failures(report, lambda row: 1)
    assert said == "of 30 and 20 events 10 are common to the run and the file, 0.25 of all; at least 0.8 is asked for"

    def of(alike: int, *found: int) -> list[str]:
        return failures({**report, "detections": {**empty, "alike": alike, "n_detections": list(found)}}, lambda row: 1)

    assert not of(19, 20, 20) and not of(0, 0, 0)
    assert not of(1, 3, 1), "among few, two may be lost"
    assert of(0, 1, 0) == ["of 1 and 0 events none is common to the run and the file"], "but not all"


@pytest.mark.parametrize("few", [3, 6, 7, 9, 11])
def test_two_of_few_may_fall_to_the_last_bit(few):
    def said(lost: int) -> list[str]:
        row = {"ap": (None, None), "precision": (None, None), "recall": (1.0, (few - lost) / few)}
        detections = {"labels": {"owl": row}, "n_detections": [few, few]}
        report = {
            "front_end": None, "trees": None, "network": {"max": 0, "rms": 0, "agreement": 1}, DEFAULT: {},
            "detections": detections, "tolerances": TOLERANCES["int8"].model_dump(),
        }  # fmt: skip
        return failures(report, lambda row: few)

    assert said(2) == [] and len(said(3)) == 1
