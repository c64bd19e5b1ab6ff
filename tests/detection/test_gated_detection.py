"""The gate in detection: its threshold, the patches it lets through, and that it changes nothing else."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecotf.detection.buffer import SliceBuffer
from ecotf.detection.candidates import CandidateFinder, DetectionConfig
from ecotf.detection.gate import GateTrack, fit_threshold, largest_threshold, open_patches
from ecotf.detection.scoring import ScoringConfig, Stopwatch
from ecotf.features.gated import Stretch
from ecotf.features.peaks import PeakConfig, find_peaks
from ecotf.pipelines.patches import PatchesConfig

HOP_S, ROWS = 0.0005, 24
FREQUENCIES = 10_000 + 500.0 * np.arange(ROWS)
SLICES = SimpleNamespace(hop_s=HOP_S, offset_s=0.0, frequencies_hz=FREQUENCIES)
PEAKS = PeakConfig(floor=1.0, prominence=0.0)


class Loudness:
    """A detector whose score is how loud the patch is."""

    patches = PatchesConfig(width_s=0.012)
    front_end = SimpleNamespace(hop_s=HOP_S)
    species = ("a",)
    is_cascade = needs_measures = False

    def run(self, patches: np.ndarray) -> list[np.ndarray]:
        loud = 1 - np.exp(-10 * patches.mean(axis=(1, 2, 3)))
        return [np.stack([1 - loud, loud], axis=1).astype(np.float32)]

    def combine(self, outputs: list[np.ndarray], measures: np.ndarray | None = None) -> np.ndarray:
        return outputs[0]


# --- the threshold ---------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(-300, 6000).map(lambda n: n / 100), min_size=1, max_size=500), st.floats(0, 0.2))
def test_the_largest_threshold_that_loses_no_more(of_calls, may_lose):
    values = np.array(of_calls, np.float32)
    threshold = largest_threshold(values, may_lose)
    assert (values < np.float32(threshold)).mean() <= may_lose + 1e-9
    more = np.float32(threshold + 0.02)
    assert (values < more).mean() > may_lose - 1e-9 or (values < more).all()


def test_one_call_in_two_hundred_may_be_lost():
    of_calls = np.arange(1, 201) / 10
    assert largest_threshold(of_calls, 0.005) == 0.2  # 1 of 200
    assert largest_threshold(of_calls[:199], 0.005) == 0.1  # 1 of 199 is more than that
    assert largest_threshold(of_calls, 0.0) == 0.1


def test_fitting_counts_what_it_loses_and_skips():
    first = GateTrack(np.array([0, 0, 9, 0, 0, 0, 0, 0, 4, 0], np.float32), 0.001, 0.0)
    second = GateTrack(np.array([5, 0, 0, 0, 0, 0], np.float32), 0.001, 0.0)
    fitted = fit_threshold(np.array([9.0, 4.0, 5.0]), [first, second], [np.array([2, 5, 8]), np.array([0, 5])], 2, 0.4)
    assert fitted.threshold_db == 5.0
    assert (fitted.calls, fitted.calls_lost, fitted.patches, fitted.patches_skipped) == (3, 1, 5, 3)
    assert fitted.as_text() == "5.00 dB over the running floor; skips 60.0% of 5 patches and loses 33.33% of 3 calls"


def test_the_highest_frame_of_a_call():
    track = GateTrack(np.array([1, 2, 9, 3, 4, 8, 0], np.float32), 0.001, 0.0005)
    starts, ends = np.array([0.0002, 0.0031, 0.0009, 0.1]), np.array([0.0016, 0.0046, 0.0011, 0.2])
    # A call between two frames has the next one; one past the end, the last.
    assert track.of_calls(starts, ends, 0.0).tolist() == [2, 4, 2, 0]
    assert track.of_calls(starts, ends, 0.001).tolist() == [9, 9, 2, 0]
    assert track.of_calls(np.empty(0), np.empty(0), 0.0).tolist() == []
    nothing = GateTrack(np.empty(0, np.float32), 0.001, 0.0)
    assert nothing.of_calls(starts, ends, 0.0).max() < -200


@given(st.lists(st.booleans(), max_size=40), st.lists(st.integers(-5, 45), max_size=8), st.integers(1, 12))
def test_open_patches(reaches, centres, slices):
    is_open = open_patches(np.array(reaches, bool), np.array(centres, int), slices)
    expected = [any(reaches[max(0, c - slices // 2) : max(0, c - slices // 2 + slices)]) for c in centres]
    assert is_open.tolist() == expected


# --- candidates ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def night() -> np.ndarray:
    """Ten seconds of faint noise with a few calls, denoised."""
    rng = np.random.default_rng(5)
    values = np.maximum(rng.normal(0, 0.5, (20_000, ROWS)), 0).astype(np.float32)
    for at in (300, 340, 5000, 9100, 9160, 9800, 19_980):
        values[at : at + 12, 4:12] += rng.uniform(3, 9)
    return values


def search(pieces, scoring, chunk_s=10.0) -> tuple[pd.DataFrame, Stopwatch]:
    watch = Stopwatch()
    config = DetectionConfig(scoring=scoring, floor=0.0)
    found = CandidateFinder(Loudness(), config, PEAKS, SLICES).candidates(pieces, watch, chunk_s)
    return found, watch


def stretches(values, reaches, margin, piece=800) -> list[Stretch]:
    """Pieces near enough to what reaches the gate, as `GatedStream` gives them."""
    kept = []
    for at in range(0, len(values), piece):
        if reaches[max(0, at - margin) : at + piece + margin].any():
            kept.append(Stretch(at, values[at : at + piece], reaches[at : at + piece]))
    return kept


def calls_of(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["label"] == "call"].reset_index(drop=True)


@pytest.mark.parametrize("chunk_s", [0.3, 10.0])
def test_the_gate_keeps_patches_back_and_changes_nothing_else(night, chunk_s):
    reaches = night.max(axis=1) > 3
    margin = CandidateFinder(Loudness(), DetectionConfig(), PEAKS, SLICES).margin
    pieces = stretches(night, reaches, margin)
    assert 3 <= len(pieces) < 20
    whole, _ = search([night], ScoringConfig())
    found, watch = search(pieces, ScoringConfig(), chunk_s)
    peaks = find_peaks(night, HOP_S, PEAKS)
    is_open = open_patches(reaches, peaks, 24)
    assert 7 <= is_open.sum() < len(peaks) / 5
    assert len(calls_of(whole)) == len(peaks)  # one candidate for each, in order
    expected = calls_of(whole)[is_open].reset_index(drop=True)
    pd.testing.assert_frame_equal(calls_of(found), expected, check_exact=False, rtol=0, atol=1e-9)
    assert watch.patches == is_open.sum()
    assert 0 < watch.skipped < len(peaks) - is_open.sum()  # in gaps peaks are not even looked for


def test_on_a_grid_closed_patches_are_no_calls(night):
    """Scores are smoothed over time, so they may differ near a closed patch, but only downwards."""
    reaches = night.max(axis=1) > 3
    scoring = ScoringConfig(at="grid", stride_s=0.002)
    found, watch = search([Stretch(0, night, reaches)], scoring)
    whole, looked = search([night], scoring)
    assert watch.patches + watch.skipped == looked.patches
    assert watch.patches == open_patches(reaches, np.arange(0, len(night), 4), 24).sum() > 0
    loud = calls_of(whole)[calls_of(whole)["score"] > 0.95]
    assert len(loud) >= 5
    assert set(loud["start_s"].round(6)) <= set(calls_of(found)["start_s"].round(6))
    assert len(calls_of(found)) < len(calls_of(whole)) / 5


@pytest.mark.parametrize("scoring", [ScoringConfig(), ScoringConfig(at="grid", stride_s=0.002)], ids=["peaks", "grid"])
def test_nothing_reaches_the_gate(night, scoring):
    found, watch = search([Stretch(0, night, np.zeros(len(night), bool))], scoring)
    assert (len(found), watch.patches) == (0, 0)
    assert watch.skipped > 100


# --- the buffer ------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 40), st.booleans()), max_size=12))
def test_the_buffer_holds_what_came_and_was_not_forgotten(steps):
    buffer, end, first = SliceBuffer(3), 0, 0
    number = np.arange(2000, dtype=np.float32)
    for more, forget, gap in steps:
        if gap:
            first = end = end + 17
            buffer.restart(end)
        piece = np.repeat(number[end : end + more, None], 3, axis=1)
        buffer.add(Stretch(end, piece, number[end : end + more] % 2 == 0))
        end += more
        first = max(first, min(end, first + forget))
        buffer.forget(first)
        assert (buffer.first, buffer.end) == (first, end)
        assert buffer.values[:, 1].tolist() == list(range(first, end))
        assert buffer.reaches.tolist() == [i % 2 == 0 for i in range(first, end)]


def test_the_buffer_refuses_what_does_not_follow():
    buffer = SliceBuffer(3)
    buffer.add(Stretch(0, np.zeros((5, 3), np.float32)))
    assert buffer.reaches is None
    with pytest.raises(ValueError, match="slice 7 came where 5 was due"):
        buffer.add(Stretch(7, np.zeros((1, 3), np.float32)))
