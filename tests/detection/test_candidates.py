"""Candidates: calls are found where they are, and how a recording is cut into pieces makes no difference."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ecotf.detection.boxes import BoxConfig
from ecotf.detection.candidates import CandidateFinder, DetectionConfig
from ecotf.detection.recordings import candidates_of
from ecotf.detection.scoring import EXACT, ScoringConfig, Stopwatch
from ecotf.detection.view import COLUMNS
from ecotf.features.peaks import MEASURES, PeakConfig
from ecotf.pipelines.patches import PatchesConfig
from ecotf.pipelines.spectrogram_store import StoredSpectrogram

HOP_S, OFFSET_S, ROWS = 0.0005, 0.001, 24
FREQUENCIES = 10_000 + 500.0 * np.arange(ROWS)
SLICES = SimpleNamespace(hop_s=HOP_S, offset_s=OFFSET_S, frequencies_hz=FREQUENCIES)
PEAKS = PeakConfig(floor=3.0, prominence=0.5)
GRID = ScoringConfig(at="grid", stride_s=0.002)


class BandEnergies:
    """A detector that needs no training: "Low" and "High" are told by which half of the patch is louder.

    Scores look at the whole patch, weighted to its middle, so they change with every slice of it.
    """

    patches = PatchesConfig(width_s=0.012)
    front_end = SimpleNamespace(hop_s=HOP_S)
    species = ("High", "Low")

    def __init__(self, is_cascade: bool = False, needs_measures: bool = False) -> None:
        self.is_cascade = is_cascade
        self.needs_measures = needs_measures

    def run(self, patches: np.ndarray) -> list[np.ndarray]:
        columns = patches.shape[1]
        weight = np.exp(-0.5 * ((np.arange(columns) - columns / 2 + 0.5) / 2) ** 2)
        halves = np.einsum("ncbx,c->nb", patches, weight / weight.sum())
        low, high = halves[:, : ROWS // 4].mean(axis=1), halves[:, ROWS // 4 :].mean(axis=1)
        calls = 1 - np.exp(-(low + high))
        return [1 - calls, calls * high / (low + high + 1e-9), calls * low / (low + high + 1e-9)]

    def combine(self, outputs: list[np.ndarray], measures: np.ndarray | None = None) -> np.ndarray:
        """With measures, every one of them has a say."""
        scores = np.stack(outputs, axis=1).astype(np.float32)
        if not self.needs_measures:
            assert measures is None
            return scores
        assert measures.shape == (len(scores), len(MEASURES))
        return scores * (0.9 + 0.1 * np.sin(measures.sum(axis=1, keepdims=True)))


def find(values, scoring=None, chunk_s=10.0, pieces=None, detector=None, peaks=PEAKS, **config) -> pd.DataFrame:
    whole = DetectionConfig(scoring=scoring or ScoringConfig(), **config)
    parts = [values] if pieces is None else np.split(values, pieces)
    return CandidateFinder(detector or BandEnergies(), whole, peaks, SLICES).candidates(parts, chunk_s=chunk_s)


def silence_with(n_slices: int, *blobs: tuple[int, int, int, int, float]) -> np.ndarray:
    values = np.zeros((n_slices, ROWS), np.float32)
    for first, last, low, high, level in blobs:
        values[first : last + 1, low : high + 1] = level
        values[(first + last) // 2, low : high + 1] += 1  # a peak in its middle
    return values


def of(table: pd.DataFrame, label: str) -> pd.DataFrame:
    return table[table["label"] == label].reset_index(drop=True)


# --- where and what --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scoring", [ScoringConfig(), GRID, EXACT], ids=["peaks", "grid", "exact"])
@pytest.mark.parametrize("cascade", [False, True])
def test_calls_are_found_with_their_boxes_and_names(scoring, cascade):
    values = silence_with(1200, (200, 209, 2, 6, 8.0), (600, 619, 15, 20, 9.0), (900, 907, 3, 8, 7.0))
    found = find(values, scoring, detector=BandEnergies(cascade))
    calls = of(found, "call")
    assert len(calls) == 3
    for name, expected in {
        "start_s": OFFSET_S + (np.array([200, 600, 900]) - 0.5) * HOP_S,
        "end_s": OFFSET_S + (np.array([209, 619, 907]) + 0.5) * HOP_S,
        "low_hz": FREQUENCIES[[2, 15, 3]] - 250,
        "high_hz": FREQUENCIES[[6, 20, 8]] + 250,
    }.items():
        np.testing.assert_allclose(calls[name], expected, err_msg=name)
    named = found[(found["label"] != "call") & (found["score"] > 0.5)]
    assert named["label"].tolist() == ["Low", "High", "Low"]
    np.testing.assert_allclose(named["start_s"], calls["start_s"])
    assert list(found.columns) == list(COLUMNS)
    assert found["start_s"].is_monotonic_increasing


@pytest.mark.parametrize("stride_s", [0.001, 0.0023, 0.0046])
@pytest.mark.parametrize("at", [301, 302, 303, 304, 306, 309])
def test_a_peak_between_positions_is_placed_to_a_stride(stride_s, at):
    """Without a box to snap to (search 0), the refined peak itself must lie within a stride of the call."""
    values = silence_with(700, (at - 4, at + 4, 4, 8, 6.0))
    scoring = ScoringConfig(at="grid", stride_s=stride_s)
    found = of(find(values, scoring, smooth_s=0.001, box=BoxConfig(search_s=0, reach_s=0.0001)), "call")
    best = found.loc[found["score"].idxmax()]
    middle = (best["start_s"] + best["end_s"]) / 2
    assert abs(middle - (OFFSET_S + at * HOP_S)) <= max(stride_s, HOP_S) / 2 + 1e-9


def test_of_two_near_peaks_the_higher_one_stays():
    values = silence_with(600, (200, 204, 4, 8, 4.0), (212, 216, 4, 8, 6.0), (300, 304, 4, 8, 4.0))
    starts = of(find(values, GRID, separation_s=0.020), "call")["start_s"]
    np.testing.assert_allclose(starts, OFFSET_S + (np.array([212, 300]) - 0.5) * HOP_S)


def test_the_floor_leaves_faint_candidates_out():
    values = silence_with(900, (200, 209, 2, 6, 8.0), (600, 609, 2, 6, 0.05))
    for scoring in (ScoringConfig(), GRID):
        for floor in (0.0, 0.4, 0.97):
            found = find(values, scoring, floor=floor, peaks=PeakConfig(floor=0.01, prominence=0))
            assert (found["score"] > floor).all()
    assert len(find(values, GRID, floor=0.97)) < len(find(values, GRID, floor=0.0))


def test_a_species_is_named_where_it_is_likelier_than_no_call():
    values = silence_with(600, (300, 309, 2, 20, 4.0))  # in both halves: each species scores about half of the call
    found = find(values, floor=0.0)
    at_call = of(found, "call")["score"].iloc[0]
    for label in BandEnergies.species:
        for _, row in of(found, label).iterrows():
            assert row["score"] > 1 - at_call
    quiet = silence_with(600, (300, 309, 2, 20, 0.3))
    assert set(find(quiet, floor=0.0, peaks=PeakConfig(floor=0.1, prominence=0))["label"]) == {"call"}


# --- pieces ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def night() -> np.ndarray:
    """Three seconds of calls, near and far, in denoised noise."""
    rng = np.random.default_rng(4)
    values = np.maximum(rng.normal(0, 0.4, (6000, ROWS)), 0).astype(np.float32)
    for at in rng.integers(0, 6000, 90):
        length, low = rng.integers(3, 40), rng.integers(0, ROWS - 5)
        values[at : at + length, low : low + 5] += rng.uniform(1, 9)
    return values


PLAIN, CASCADE, MEASURED = BandEnergies(), BandEnergies(is_cascade=True), BandEnergies(needs_measures=True)
MODES = {
    "peaks": (PLAIN, {}),
    "measured": (MEASURED, {}),
    "exact": (PLAIN, {"scoring": EXACT}),
    "cascade": (CASCADE, {"scoring": GRID, "smooth_s": 0.002}),
    "coarse": (PLAIN, {"scoring": ScoringConfig(at="grid", stride_s=0.0046), "smooth_s": 0.004, "separation_s": 0.002}),
    "wide": (
        PLAIN,
        {
            "scoring": GRID,
            "separation_s": 0.001,
            "smooth_s": 0,
            "box": BoxConfig(search_s=0.03, reach_s=0.01, edge=0.2),
        },
    ),
}


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=5, deadline=None, derandomize=True)
@example(chunk_s=0.125, cuts=[])
@given(chunk_s=st.floats(0.05, 1.0), cuts=st.lists(st.integers(0, 6000), max_size=8))
def test_pieces_and_segments_make_no_difference(night, mode, chunk_s, cuts):
    detector, config = MODES[mode]
    whole = find(night, detector=detector, chunk_s=100.0, **config)
    assert len(whole) > 40
    found = find(night, detector=detector, chunk_s=chunk_s, pieces=sorted(cuts), **config)
    pd.testing.assert_frame_equal(_in_order(found), _in_order(whole), check_exact=False, rtol=0, atol=1e-6)


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Times and scores to a millionth: they are sums in another order."""
    return table.round(6).sort_values([*COLUMNS], ignore_index=True)


def test_segments_follow_one_another_while_the_recording_comes_in(night):
    stream = CandidateFinder(BandEnergies(), DetectionConfig(), PEAKS, SLICES).stream(chunk_s=0.25)
    tables, early = [], 0
    for at in range(0, len(night), 500):
        tables += stream.push(night[at : at + 500])
        assert stream.settled * HOP_S <= (at + 500) * HOP_S
        if at <= 1000:
            early = len(tables)
    assert early >= 1 and tables[0]["start_s"].max() < 0.35
    assert sum(map(len, tables)) > 0
    found = pd.concat([*tables, stream.finish()], ignore_index=True)
    pd.testing.assert_frame_equal(found, find(night, chunk_s=0.25))


@pytest.mark.parametrize("scoring", [ScoringConfig(), GRID, EXACT], ids=["peaks", "grid", "exact"])
@pytest.mark.parametrize("n_slices", [0, 1, 2, 5, 11])
def test_recordings_shorter_than_a_window(scoring, n_slices):
    """A patch is 24 slices long; what lies outside of the recording is silence."""
    silent = find(np.zeros((n_slices, ROWS), np.float32), scoring)
    assert len(silent) == 0
    assert list(silent.columns) == list(COLUMNS)
    loud = np.full((n_slices, ROWS), 9, np.float32)
    found = find(loud, scoring, peaks=PeakConfig(prominence=0))
    assert (len(found) > 0) == (n_slices > 0)
    assert (found["start_s"] >= OFFSET_S - HOP_S).all()
    assert (found["end_s"] <= OFFSET_S + (n_slices + 0.5) * HOP_S).all()


def test_no_piece_at_all():
    assert len(find(np.empty((0, ROWS), np.float32), pieces=[])) == 0


def test_a_stored_spectrogram_is_searched_whole(night):
    stored = StoredSpectrogram(night, HOP_S, HOP_S, OFFSET_S, FREQUENCIES, 3.0, 256_000, 0.0)
    watch = Stopwatch()
    found = candidates_of(stored, BandEnergies(), DetectionConfig(), PEAKS, watch)
    pd.testing.assert_frame_equal(_in_order(found), _in_order(find(night)))
    assert watch.patches == len(of(find(night, floor=0.0), "call"))
    assert watch.networks_s > 0
