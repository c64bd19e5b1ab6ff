"""The event kernels, each against a plain Python statement of what it does."""

import subprocess
import sys
import time

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
