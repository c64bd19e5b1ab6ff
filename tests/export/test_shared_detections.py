"""When a detection of the file is one of the run."""

from __future__ import annotations

import pandas as pd
import pytest

from ecotf.export.prove.parity import shared

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
