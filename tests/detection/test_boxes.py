"""Boxes: measured on blobs whose edges are known, and of two that overlap only the better one stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecotf.detection.boxes import BoxConfig, drop_overlapping, measure_boxes

HOP_S = 0.001
CONFIG = BoxConfig(search_s=0.006, reach_s=0.020, edge=0.5)


def spectrogram(*blobs: tuple[int, int, int, int, float]) -> np.ndarray:
    """Rectangles of (first, last, low, high, level), their inside louder towards the middle slice."""
    values = np.zeros((200, 40), np.float32)
    for first, last, low, high, level in blobs:
        slope = 1 - 0.3 * np.abs(np.linspace(-1, 1, last - first + 1))
        part = values[first : last + 1, low : high + 1]
        np.maximum(part, (level * slope)[:, None], out=part)
    return values


def boxes_at(values: np.ndarray, *centres: int, config: BoxConfig = CONFIG, separate: bool = False) -> list[list[int]]:
    return measure_boxes(values, np.array(centres, int), HOP_S, config, separate).tolist()


@pytest.mark.parametrize("separate", [True, False])
@settings(deadline=None)
@given(
    first=st.integers(0, 180), length=st.integers(1, 18), low=st.integers(0, 35), height=st.integers(1, 5),
    level=st.floats(0.1, 50),
)  # fmt: skip
def test_a_blob_is_its_box(separate, first, length, low, height, level):
    blob = (first, first + length - 1, low, low + height - 1)
    values = spectrogram((*blob, level))
    peak = int(values.max(axis=1).argmax())
    assert boxes_at(values, peak, separate=separate) == [list(blob)]


def test_the_strongest_slice_is_looked_for_nearby():
    values = spectrogram((100, 110, 5, 9, 4.0))
    assert boxes_at(values, 99, 111) == [[100, 110, 5, 9]] * 2
    assert boxes_at(values, 95) == [[100, 110, 5, 9]]  # 6 ms reach its first slices; all of it is above half of them
    far = boxes_at(values, 80)[0]
    assert (far[2], far[3]) == (0, 39)  # nothing sounds there: a box without a band of its own


def test_a_peak_keeps_to_its_own_slice():
    values = spectrogram((100, 104, 5, 9, 2.0), (107, 111, 20, 24, 8.0))
    assert boxes_at(values, 102, separate=True) == [[100, 104, 5, 9]]
    assert boxes_at(values, 102, separate=False) == [[107, 111, 20, 24]]


def test_a_box_reaches_no_farther_than_allowed():
    values = spectrogram((50, 150, 5, 9, 4.0))
    assert boxes_at(values, 100) == [[80, 120, 5, 9]]
    assert boxes_at(values[:110], 100) == [[80, 109, 5, 9]]
    assert boxes_at(values[95:], 5) == [[0, 25, 5, 9]]


def test_the_edge_is_a_share_of_the_peak():
    values = np.zeros((60, 10), np.float32)
    values[20:41, 4] = 10 - np.abs(np.arange(-10, 11))  # a pyramid: 0 to 10 to 0
    values[30, 3], values[30, 5] = 6, 4
    for edge, (first, last, low, high) in {0.5: (26, 34, 3, 4), 0.3: (24, 36, 3, 5), 0.75: (28, 32, 4, 4)}.items():
        assert boxes_at(values, 30, config=BoxConfig(edge=edge)) == [[first, last, low, high]]


def test_peaks_of_one_sound_part_in_the_valley_between_them():
    values = np.zeros((60, 10), np.float32)
    values[20:33, 4] = [5, 6, 7, 8, 7, 6, 5, 6, 7, 6, 5, 5, 5]  # peaks at 23 and 28, valley at 26
    assert boxes_at(values, 23, 28, separate=True) == [[20, 26, 4, 4], [26, 32, 4, 4]]
    assert boxes_at(values, 23, 28, separate=False)[0] == [20, 32, 4, 4]


def test_no_peaks_and_no_slices():
    assert boxes_at(spectrogram()) == []
    assert measure_boxes(np.empty((0, 4), np.float32), np.empty(0, int), HOP_S, CONFIG).shape == (0, 4)
    assert boxes_at(np.full((1, 4), 3, np.float32), 0) == [[0, 0, 0, 3]]


# --- overlapping boxes -----------------------------------------------------------------------------------------------


def kept(*boxes: tuple[int, int, float]) -> list[int]:
    """Boxes as (first, last, score)."""
    table = np.array([(first, last, 0, 0) for first, last, _ in boxes], int).reshape(-1, 4)
    return np.flatnonzero(drop_overlapping(table, np.array([score for *_, score in boxes]))).tolist()


def test_the_better_of_two_that_share_half_of_the_shorter_stays():
    assert kept((0, 9, 0.5), (4, 13, 0.9)) == [1]  # 6 of 10 shared
    assert kept((0, 9, 0.9), (4, 13, 0.5)) == [0]
    assert kept((0, 9, 0.5), (5, 14, 0.9)) == [0, 1]  # 5 of 10 is not over half
    assert kept((0, 99, 0.9), (40, 42, 0.5)) == [0]  # one inside the other
    assert kept((0, 99, 0.5), (40, 42, 0.9)) == [1]
    assert kept((0, 9, 0.5), (0, 9, 0.5)) == [0]  # the same: one stays
    assert kept((0, 9, 0.1), (10, 19, 0.2), (30, 39, 0.3)) == [0, 1, 2]
    assert kept() == []


def test_of_a_chain_only_its_best_stays_where_each_overlaps_the_next():
    """Whether a box stays depends on its neighbours alone, also on those that go themselves."""
    assert kept((0, 9, 0.3), (3, 12, 0.2), (6, 15, 0.1)) == [0]
    assert kept((0, 9, 0.1), (3, 12, 0.9), (6, 15, 0.2)) == [1]


box_lists = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12), st.integers(0, 5)), max_size=10)


@settings(deadline=None)
@given(box_lists)
def test_as_a_plain_loop_would(rows):
    boxes = np.array([(first, first + length, 0, 0) for first, length, _ in rows], int).reshape(-1, 4)
    scores = np.array([score for *_, score in rows], float)
    keep = drop_overlapping(boxes, scores)
    for a in range(len(boxes)):
        beaten = False
        for b in range(len(boxes)):
            shared = min(boxes[a, 1], boxes[b, 1]) - max(boxes[a, 0], boxes[b, 0]) + 1
            shorter = min(boxes[a, 1] - boxes[a, 0], boxes[b, 1] - boxes[b, 0]) + 1
            if a != b and shared > shorter / 2:
                earlier = (boxes[b, 0], b) < (boxes[a, 0], a)
                beaten |= scores[b] > scores[a] or (scores[b] == scores[a] and earlier)
        assert keep[a] == (not beaten)
