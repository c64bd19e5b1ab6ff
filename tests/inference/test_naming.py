"""From candidates to detections: thresholds are kept to, and a call is never both named and unnamed."""

from __future__ import annotations

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from ecotf.detection.naming import UNNAMED_LABEL, name_calls

THRESHOLDS = {"Pip45": 0.5, "Rhi": 0.7, "call": 0.4}
COLUMNS = ["start_s", "end_s", "low_hz", "high_hz", "label", "score"]


def candidates(*rows: tuple[float, float, str, float]) -> pd.DataFrame:
    return pd.DataFrame([(start, end, 40e3, 80e3, label, score) for start, end, label, score in rows], columns=COLUMNS)


def labels_of(table: pd.DataFrame) -> list[tuple[float, str]]:
    return list(zip(table["start_s"], table["label"], strict=True))


def test_each_label_has_its_own_threshold_and_a_score_at_it_is_kept():
    table = candidates((1, 2, "Pip45", 0.5), (3, 4, "Pip45", 0.499), (5, 6, "Rhi", 0.5), (7, 8, "Rhi", 0.7))
    assert labels_of(name_calls(table, THRESHOLDS)) == [(1, "Pip45"), (7, "Rhi")]


def test_a_call_without_a_sure_name_is_a_bat():
    table = candidates((1, 2, "call", 0.9), (1, 2, "Pip45", 0.3), (3, 4, "call", 0.9), (3.1, 3.5, "Pip45", 0.6))
    assert labels_of(name_calls(table, THRESHOLDS)) == [(1, UNNAMED_LABEL), (3.1, "Pip45")]
    assert labels_of(name_calls(table, THRESHOLDS, unnamed=False)) == [(3.1, "Pip45")]


def test_a_long_call_far_back_still_names():
    """The species' box that overlaps need not be the last that began before the call."""
    table = candidates((0, 10, "Rhi", 0.8), (1, 2, "Pip45", 0.9), (8, 9, "call", 0.9))
    assert labels_of(name_calls(table, THRESHOLDS)) == [(0, "Rhi"), (1, "Pip45")]


def test_nothing_comes_of_nothing():
    found = name_calls(candidates(), THRESHOLDS)
    assert len(found) == 0
    assert list(found.columns) == COLUMNS


def test_a_label_without_a_threshold_is_never_a_detection():
    assert len(name_calls(candidates((1, 2, "Nyc", 1.0)), THRESHOLDS)) == 0


rows = st.tuples(
    st.integers(0, 30), st.integers(1, 8), st.sampled_from(list(THRESHOLDS)), st.sampled_from([0.1, 0.4, 0.5, 0.7, 1.0])
)


@settings(deadline=None)
@given(st.lists(rows, max_size=12))
def test_as_a_plain_loop_would(found):
    table = candidates(*((float(start), float(start + length), label, score) for start, length, label, score in found))
    kept = [row for row in table.itertuples() if row.score >= THRESHOLDS[row.label]]
    species = [row for row in kept if row.label != "call"]
    expected = [(row.start_s, row.end_s, row.label, row.score) for row in species]
    for call in (row for row in kept if row.label == "call"):
        if not any(row.start_s < call.end_s and row.end_s > call.start_s for row in species):
            expected.append((call.start_s, call.end_s, UNNAMED_LABEL, call.score))
    named = name_calls(table, THRESHOLDS)
    assert sorted(named[["start_s", "end_s", "label", "score"]].itertuples(index=False, name=None)) == sorted(expected)
    assert named["start_s"].is_monotonic_increasing
    assert list(named.columns) == COLUMNS
