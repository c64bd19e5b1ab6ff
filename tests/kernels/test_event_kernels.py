"""The event kernels, each against a plain Python statement of what it does."""

import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter1d

from ecotf._kernels import events

# few different values, so that plateaus and ties are common
LEVELS = st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0])
TRACKS = arrays(np.float32, st.integers(0, 60), elements=LEVELS.map(np.float32))
TIMES = st.integers(0, 40).map(lambda tenths: tenths / 4)


@settings(deadline=None)
@given(
    scores=arrays(np.float32, st.tuples(st.integers(0, 50), st.integers(0, 5)), elements=st.floats(0, 1, width=32)),
    sigma=st.floats(0, 20),
)
def test_smooth_gaussian(scores, sigma):
    ours = events.smooth_gaussian(scores, sigma)
    assert ours.dtype == np.float32
    assert ours.shape == scores.shape
    if scores.size:
        expected = gaussian_filter1d(scores.astype(np.float64), sigma, axis=0) if sigma > 1e-6 else scores
        np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_smooth_gaussian_takes_any_layout():
    scores = np.random.default_rng(0).random((40, 12), np.float32)
    part = scores[::2, ::3]
    np.testing.assert_array_equal(events.smooth_gaussian(part, 1.5), events.smooth_gaussian(part.copy(), 1.5))
    scores.flags.writeable = False
    events.smooth_gaussian(scores, 1.0)


@pytest.mark.parametrize("sigma", [-1, float("nan"), float("inf")])
def test_smooth_gaussian_refuses_a_wrong_sigma(sigma):
    with pytest.raises(ValueError, match="sigma = "):
        events.smooth_gaussian(np.zeros((3, 1), np.float32), sigma)


def plain_local_maxima(track, radius, threshold):
    peaks = []
    for i, value in enumerate(track):
        before, after = track[max(0, i - radius) : i], track[i + 1 : i + 1 + radius]
        if value > np.float32(threshold) and all(before < value) and all(after <= value):
            peaks.append(i)
    return peaks


@given(track=TRACKS, radius=st.integers(0, 12), threshold=st.floats(0, 1))
def test_local_maxima(track, radius, threshold):
    found = events.local_maxima(track, radius, threshold)
    assert found.dtype == np.intp
    assert list(found) == plain_local_maxima(track, radius, threshold)


def test_local_maxima_of_a_long_ramp_with_a_wide_radius_is_quick():
    track = np.arange(400_000, dtype=np.float32)
    started = time.perf_counter()
    assert list(events.local_maxima(track, 100_000, 0)) == [399_999]
    assert list(events.local_maxima(track[::-1], 100_000, 0)) == [0]
    assert time.perf_counter() - started < 1


def test_local_maxima_passes_over_nan():
    track = np.array([0, 1, np.nan, 3, 1, np.nan], np.float32)
    assert list(events.local_maxima(track, 2, 0.5)) == [3]
    with pytest.raises(ValueError, match="radius = -1"):
        events.local_maxima(track, -1, 0)


@given(track=TRACKS.filter(len), data=st.data())
def test_refine_peaks(track, data):
    positions = data.draw(st.lists(st.integers(0, len(track) - 1), max_size=20))
    offsets = events.refine_peaks(track, np.array(positions, np.intp))
    for i, offset in zip(positions, offsets, strict=True):
        expected = 0.0
        if 0 < i < len(track) - 1:
            a, b, c = (float(v) for v in track[i - 1 : i + 2])
            if a - 2 * b + c < 0:
                expected = min(0.5, max(-0.5, 0.5 * (a - c) / (a - 2 * b + c)))
        assert offset == pytest.approx(expected)


def test_refine_peaks_finds_the_top_of_a_parabola():
    at = np.arange(10)
    track = (5 - (at - 4.3) ** 2).astype(np.float32)
    assert events.refine_peaks(track, np.array([4], np.intp))[0] == pytest.approx(0.3, abs=1e-6)
    with pytest.raises(IndexError, match="position 10 is not in a track of 10 values"):
        events.refine_peaks(track, np.array([10], np.intp))


def plain_match(centre, score, start, end, tolerance):
    free = set(range(len(start)))
    matches = [-1] * len(centre)
    for i in sorted(range(len(centre)), key=lambda i: (-score[i], i)):
        hit = [j for j in free if start[j] - tolerance <= centre[i] <= end[j] + tolerance]
        middles = {j: 0.5 * (start[j] + end[j]) for j in hit}
        if middles:
            matches[i] = min(middles, key=lambda j: (abs(middles[j] - centre[i]), middles[j], j))
            free.remove(matches[i])
    return matches


@settings(max_examples=300)
@given(
    detections=st.lists(st.tuples(TIMES, LEVELS), max_size=25),
    annotations=st.lists(st.tuples(TIMES, st.integers(0, 16).map(lambda n: n / 4)), max_size=25),
    tolerance=st.sampled_from([0.0, 0.25, 1.0]),
)
def test_match_intervals(detections, annotations, tolerance):
    centre, score = np.array(detections, np.float64).reshape(-1, 2).T
    start, length = np.array(annotations, np.float64).reshape(-1, 2).T
    found = events.match_intervals(centre, score, start, start + length, tolerance)
    assert found.dtype == np.intp
    assert list(found) == plain_match(centre, score, start, start + length, tolerance)


@pytest.mark.parametrize("length", [0.005, 1.0, 5000.0])
def test_match_intervals_is_quick_however_long_the_annotations_are(length):
    rng = np.random.default_rng(0)
    n = 100_000
    start = rng.uniform(0, 10_000, n)
    end = start + length * rng.random(n)
    started = time.process_time()
    found = events.match_intervals(rng.uniform(0, 10_000, n), rng.random(n), start, end, 0.01)
    assert time.process_time() - started < 2
    taken = found[found >= 0]
    assert len(np.unique(taken)) == len(taken) > 0


def test_match_intervals_with_values_that_are_no_numbers():
    ones = np.ones(2)
    assert list(events.match_intervals(np.array([np.nan, np.inf]), ones, ones, ones, 0.0)) == [-1, -1]
    assert list(events.match_intervals(ones, np.array([np.nan, 0.5]), ones[:1], ones[:1], 0.0)) == [-1, 0]
    with pytest.raises(ValueError, match=r"interval 1 starts at 2\.0 and ends at 1\.0"):
        events.match_intervals(ones, ones, np.array([0.0, 2.0]), ones, 0.0)
    with pytest.raises(ValueError, match="interval 0 starts at nan"):
        events.match_intervals(ones, ones, np.array([np.nan, 1.0]), ones, 0.0)
    with pytest.raises(ValueError, match="tolerance = -1"):
        events.match_intervals(ones, ones, ones, ones, -1.0)
    with pytest.raises(ValueError, match="2 centres and 1 scores"):
        events.match_intervals(ones, ones[:1], ones, ones, 0.0)


def plain_merge(intervals, gap):
    merged = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1] + gap:
            merged[-1][1] = max(merged[-1][1], end)
        else:
            merged.append([start, end])
    return merged


@given(
    intervals=st.lists(st.tuples(TIMES, TIMES).map(lambda pair: (pair[0], pair[0] + pair[1] / 8)), max_size=30),
    gap=st.sampled_from([0.0, 0.25, 2.0]),
)
def test_merge_intervals(intervals, gap):
    starts, ends = events.merge_intervals([a for a, _ in intervals], [b for _, b in intervals], gap)
    assert [list(pair) for pair in zip(starts, ends, strict=True)] == plain_merge(intervals, gap)


def test_merge_intervals_leaves_its_input_alone_and_refuses_reversed_times():
    starts, ends = np.array([3.0, 0.0]), np.array([4.0, 3.5])
    events.merge_intervals(starts, ends, 0.0)
    assert (list(starts), list(ends)) == ([3.0, 0.0], [4.0, 3.5])
    with pytest.raises(ValueError, match=r"interval 0 starts at 1\.0 and ends at 0\.0"):
        events.merge_intervals([1.0], [0.0], 0.0)


def test_kernels_that_are_not_built_say_what_to_run():
    """A checkout without compiled modules, imitated by finding none of them."""
    code = (
        "import importlib.machinery as m; m.EXTENSION_SUFFIXES.clear()\n"
        "import sys; sys.path_importer_cache.clear()\n"
        "sys.path_hooks[-1:] = [m.FileFinder.path_hook((m.SourceFileLoader, ['.py']))]\n"
        "try:\n    import ecotf._kernels.events\n"
        "except ImportError as error:\n    print(type(error).__mro__[1].__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    message = "EcotfError the kernels are not built; run: python setup.py build_ext --inplace"
    assert done.stdout.strip() == message, done.stderr


# --- peaks, boxes, patches -------------------------------------------------------------------------------------------

SPECTROGRAMS = arrays(np.float32, st.tuples(st.integers(1, 30), st.integers(1, 40)), elements=LEVELS.map(np.float32))


@given(values=SPECTROGRAMS)
def test_strongest_rows(values):
    strongest = events.strongest_rows(values)
    assert strongest.dtype == np.float32
    np.testing.assert_array_equal(strongest, values.max(axis=1))


def test_strongest_rows_of_next_to_nothing():
    assert events.strongest_rows(np.empty((0, 5), np.float32)).shape == (0,)
    assert list(events.strongest_rows(np.full((2, 3), -np.inf, np.float32))) == [-np.inf] * 2
    with pytest.raises(ValueError, match="slices without rows"):
        events.strongest_rows(np.empty((5, 0), np.float32))
    frozen = np.ones((3, 20), np.float32)
    frozen.flags.writeable = False
    assert list(events.strongest_rows(frozen)) == [1] * 3


def plain_boxes(values, centres, search, reach, edge, separate):
    strength, boxes = values.max(axis=1), []

    def above(slices, level):
        """How many of the slices, from the first on, are above the level."""
        for count, t in enumerate(slices):
            if strength[t] <= level:
                return count
        return len(slices)

    for k, centre in enumerate(centres):
        low, high = max(0, centre - search), min(len(values), centre + search + 1)
        peak = centre if separate else low + int(strength[low:high].argmax())
        begin, end = max(0, peak - reach), min(len(values), peak + 1 + reach)
        if separate and k:
            begin = max(begin, centres[k - 1] + int(strength[centres[k - 1] : peak + 1].argmin()))
        if separate and k + 1 < len(centres):
            end = min(end, peak + int(strength[peak : centres[k + 1] + 1].argmin()) + 1)
        level = np.float32(edge * strength[peak])
        first = peak - above(range(peak - 1, begin - 1, -1), level)
        last = peak + above(range(peak + 1, end), level)
        rows = np.flatnonzero(values[first : last + 1].max(axis=0) > level)
        boxes.append([first, last, *((rows[0], rows[-1]) if len(rows) else (0, values.shape[1] - 1))])
    return boxes


@settings(max_examples=300, deadline=None)
@given(
    values=SPECTROGRAMS, data=st.data(), search=st.integers(0, 5), reach=st.integers(0, 12),
    edge=st.floats(0.05, 0.95), separate=st.booleans(),
)  # fmt: skip
def test_measure_boxes(values, data, search, reach, edge, separate):
    centres = sorted(data.draw(st.sets(st.integers(0, len(values) - 1), max_size=8)))
    boxes = events.measure_boxes(values, values.max(axis=1), np.array(centres, np.intp), search, reach, edge, separate)
    assert boxes.shape == (len(centres), 4)
    assert boxes.tolist() == plain_boxes(values, centres, search, reach, edge, separate)


def test_measure_boxes_refuses_what_does_not_fit():
    values = np.ones((5, 3), np.float32)
    for centre in (-1, 5):
        with pytest.raises(IndexError, match=f"peak {centre} is not in a spectrogram of 5 slices"):
            events.measure_boxes(values, values[:, 0].copy(), np.array([centre]), 1, 1, 0.5, True)
    with pytest.raises(ValueError, match="the boxes do not fit"):
        events.measure_boxes(values, np.ones(4, np.float32), np.array([2]), 1, 1, 0.5, True)
    with pytest.raises(ValueError, match="the boxes do not fit"):
        events.measure_boxes(values, values[:, 0].copy(), np.array([2]), -1, 1, 0.5, True)


@settings(deadline=None)
@given(
    values=arrays(np.float32, st.tuples(st.integers(0, 30), st.integers(1, 21)), elements=st.floats(0, 9, width=32)),
    centres=st.lists(st.integers(-20, 50), max_size=6), columns=st.integers(1, 6), time=st.integers(1, 4),
    frequency=st.integers(1, 5),
)  # fmt: skip
def test_mean_windows(values, centres, columns, time, frequency):
    """Bit for bit numpy's means: the patches of older runs stay what they were."""
    slices, bands = columns * time, values.shape[1] // frequency
    patches = events.mean_patches(values, np.array(centres, np.intp), slices, time, frequency)
    assert patches.shape == (len(centres), columns, bands)
    around = np.zeros((len(values) + 200, values.shape[1]), np.float32)
    around[100 : 100 + len(values)] = values
    for window, centre in zip(patches, centres, strict=True):
        begin = 100 + centre - slices // 2
        cut = around[begin : begin + slices, : bands * frequency].reshape(columns, time, bands, frequency)
        np.testing.assert_allclose(window, cut.mean(axis=(1, 3), dtype=np.float64), rtol=1e-6, atol=1e-37)
        if frequency == time == 2:
            np.testing.assert_array_equal(window, cut.mean(axis=(1, 3), dtype=np.float32))


@pytest.mark.parametrize(("slices", "time", "frequency"), [(5, 2, 2), (0, 1, 1), (4, 0, 2), (4, 2, 0)])
def test_mean_windows_refuses_what_does_not_fill_columns(slices, time, frequency):
    with pytest.raises(ValueError, match="must fill columns"):
        events.mean_patches(np.ones((9, 9), np.float32), np.array([4]), slices, time, frequency)


# --- the gate --------------------------------------------------------------------------------------------------------


@given(values=SPECTROGRAMS, data=st.data())
def test_band_maxima(values, data):
    inner = data.draw(st.sets(st.integers(1, values.shape[1] - 1))) if values.shape[1] > 1 else set()
    edges = [0, *sorted(inner), values.shape[1]]
    maxima = events.band_maxima(values, np.array(edges, np.intp))
    expected = [[row[a:b].max() for a, b in pairwise(edges)] for row in values]
    np.testing.assert_array_equal(maxima, np.array(expected, np.float32))


@pytest.mark.parametrize("edges", [[0], [], [0, 0, 4], [-1, 4], [0, 9], [3, 2]])
def test_band_maxima_refuses_wrong_edges(edges):
    with pytest.raises(ValueError, match="must rise from 0 to 8"):
        events.band_maxima(np.ones((2, 8), np.float32), np.array(edges, np.intp))


@given(
    levels=arrays(np.float32, st.tuples(st.integers(0, 40), st.integers(1, 20)), elements=st.floats(-90, 60, width=32)),
    rise=st.floats(0, 2, width=32), fall=st.floats(0, 2, width=32), cut=st.integers(0, 40),
)  # fmt: skip
def test_over_running_floor(levels, rise, fall, cut):
    """In one piece and in two: the floor is what is carried on."""
    floor = np.full(levels.shape[1], -40, np.float32)
    kept, over = floor.copy(), []
    for frame in levels:
        over.append((frame - floor).max())
        floor = floor + np.where(frame - floor > 0, np.float32(rise), -np.float32(fall))
    found = [events.over_running_floor(part, kept, rise, fall) for part in (levels[:cut], levels[cut:])]
    np.testing.assert_array_equal(np.concatenate(found), np.array(over, np.float32))
    np.testing.assert_array_equal(kept, floor)


def test_over_running_floor_refuses_what_does_not_fit():
    levels = np.ones((2, 3), np.float32)
    for floor, rise in ((np.ones(2, np.float32), 1), (np.ones(3, np.float32), -1), (np.ones(3, np.float32), np.nan)):
        with pytest.raises(ValueError, match="they do not fit"):
            events.over_running_floor(levels, floor, rise, 1)
