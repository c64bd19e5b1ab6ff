"""The spectrogram kernels themselves, with any shapes and sizes: right inside, and nothing written outside."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecotf._kernels import spectrogram as kernels

GUARD = np.float32(-12345.0)


def guarded(shape):
    """An array to write into, with guards before and behind it, which `intact` looks at."""
    size = int(np.prod(shape))
    memory = np.full(size + 128, GUARD, np.float32)
    return memory[64 : 64 + size].reshape(shape), memory


def intact(memory):
    return (memory[:64] == GUARD).all() and (memory[-64:] == GUARD).all()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_plan(data):
    n_window = data.draw(st.integers(4, 400))
    first = data.draw(st.integers(0, n_window // 2))
    n_bins = data.draw(st.integers(1, n_window // 2 + 1 - first))
    hop, n_frames = data.draw(st.integers(1, 50)), data.draw(st.integers(1, 70))
    start, after = data.draw(st.integers(0, 9)), data.draw(st.integers(0, 9))
    short, extra = data.draw(st.booleans()), data.draw(st.integers(0, 20))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    filters = None
    if data.draw(st.booleans()):
        filters = []
        for _ in range(data.draw(st.integers(1, 40))):
            begin = data.draw(st.integers(first, first + n_bins - 1))
            filters.append((begin, rng.uniform(size=data.draw(st.integers(0, first + n_bins - begin)))))
    sound = rng.normal(size=start + (n_frames - 1) * hop + n_window + after)
    sound = (sound * 3000).astype(np.int16) if short else sound.astype(np.float32)
    window = rng.uniform(0.1, 1, n_window)

    plan = kernels.SpectrogramPlan(window, first, n_bins, filters)
    n_rows = n_bins if filters is None else len(filters)
    out, memory = guarded((n_frames + 2, n_rows + extra))
    assert plan.rows(sound, start, hop, n_frames, out, 3, 0.0) == -1

    frames = np.lib.stride_tricks.sliding_window_view(sound / (32768.0 if short else 1.0), n_window)
    power = np.abs(np.fft.rfft(frames[start::hop][:n_frames] * window)) ** 2
    expected = power[:, first : first + n_bins]
    if filters is not None:
        expected = np.stack([power[:, a : a + len(w)] @ w for a, w in filters], axis=1)
    np.testing.assert_allclose(out[:n_frames, :n_rows], expected, rtol=1e-5, atol=3e-6 * power.sum(axis=1).max())
    assert intact(memory)
    assert (out[n_frames:] == GUARD).all()
    assert (out[:, n_rows:] == GUARD).all()


@pytest.mark.parametrize("n_window", [81, 99, 162, 254, 347, 891, 892, 990, 1021, 1024, 2006])
def test_windows_of_all_kinds_of_factors(n_window):
    rng = np.random.default_rng(n_window)
    hop = n_window // 7
    sound, window = rng.normal(size=5 + 36 * hop + n_window).astype(np.float32), rng.uniform(0.1, 1, n_window)
    out = np.empty((37, n_window // 2 + 1), np.float32)
    assert kernels.SpectrogramPlan(window, 0, n_window // 2 + 1).rows(sound, 5, hop, 37, out, 3, 0.0) == -1
    frames = np.lib.stride_tricks.sliding_window_view(sound.astype(np.float64), n_window)
    power = np.abs(np.fft.rfft(frames[5::hop][:37] * window)) ** 2
    np.testing.assert_allclose(out, power, rtol=1e-5, atol=2e-6 * power.max())


def test_a_frame_does_not_depend_on_those_beside_it():
    sound = np.random.default_rng(0).normal(size=9000).astype(np.float32)
    filters = [(3, np.ones(7)), (9, np.ones(4))]
    for n_window in (64, 254, 891):
        plan = kernels.SpectrogramPlan(np.hanning(n_window), 2, 20, filters)
        whole = np.empty((100, 2), np.float32)
        plan.rows(sound, 0, 80, 100, whole, 1, 1e-10)
        for first, n_frames in ((0, 1), (7, 3), (50, 33), (99, 1)):
            some = np.empty((n_frames, 2), np.float32)
            end = (first + n_frames - 1) * 80 + n_window
            plan.rows(sound[:end].copy(), first * 80, 80, n_frames, some, 1, 1e-10)
            np.testing.assert_array_equal(some, whole[first : first + n_frames])


@pytest.mark.parametrize(("first", "count"), [(1, 3), (6, 4), (9, 1)])
def test_filters_outside_the_bins(first, count):
    with pytest.raises(ValueError, match="a filter reaches beyond"):
        kernels.SpectrogramPlan(np.ones(16), 2, 7, [(first, np.ones(count))])


@settings(max_examples=60, deadline=None)
@given(
    n_frames=st.integers(1, 40),
    n_rows=st.integers(1, 50),
    denoise=st.integers(0, 3),
    radius=st.integers(0, 60),
    seed=st.integers(0, 100),
)
def test_any_block(n_frames, n_rows, denoise, radius, seed):
    values = np.random.default_rng(seed).normal(size=(n_frames, n_rows)).astype(np.float32)
    lanes = kernels.LANES_IN_VECTOR
    levels, room = guarded((n_frames, -(-n_rows // lanes) * lanes))
    levels[:] = 0
    levels[:, :n_rows] = values
    out, memory = guarded((n_frames, n_rows))
    taps = np.full(radius + 1, 1 / (2 * radius + 1), np.float32)
    kernels.finish_block(levels, n_frames, n_rows, denoise, 0.1, taps, out)
    assert intact(memory)
    assert intact(room)
    assert np.isfinite(out).all()
    assert np.abs(out).max() <= 2 * np.abs(values).max() + 1e-5


@settings(max_examples=60, deadline=None)
@given(n_frames=st.integers(0, 40), n_rows=st.integers(1, 50), extra=st.integers(0, 20), cut=st.integers(0, 40))
def test_pcen_in_two_parts_gives_the_same_bits(n_frames, n_rows, extra, cut):
    cut = min(cut, n_frames)
    energy = np.random.default_rng(n_rows).gamma(1.0, size=(n_frames, n_rows + extra)).astype(np.float32)
    whole, parts = energy.copy(), energy.copy()
    one, other = np.ones(n_rows, np.float32), np.ones(n_rows, np.float32)
    settings_of = (0.02, 0.98, 2.0, 0.5, 1e-6)
    kernels.pcen(whole, n_frames, one, *settings_of)
    kernels.pcen(parts[:cut], cut, other, *settings_of)
    kernels.pcen(parts[cut:], n_frames - cut, other, *settings_of)
    np.testing.assert_array_equal(parts, whole)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(whole[:, n_rows:], energy[:, n_rows:])


@settings(max_examples=60, deadline=None)
@given(n_frames=st.integers(1, 30), n_rows=st.integers(1, 50), half=st.integers(0, 9))
def test_neighbours_stay_inside(n_frames, n_rows, half):
    values = np.random.default_rng(n_rows).normal(size=(n_frames, n_rows)).astype(np.float32)
    width = 2 * half + 1
    out, memory = guarded((n_frames, n_rows))
    kernels.running_median(values, width, out)
    assert intact(memory)
    assert np.isin(out, values).all()
    if n_frames >= width:
        kernels.weighted_sums(values, np.full(width, 1 / width, np.float32), out)
        assert intact(memory)
        np.testing.assert_allclose(out[half : half + 1].mean(), values[:width].mean(), atol=1e-5)


@pytest.mark.parametrize(
    ("n_window", "first", "n_bins"), [(3, 0, 1), (16, 0, 10), (16, 8, 2), (16, -1, 2), (16, 2, 0), (0, 0, 1)]
)
def test_plans_that_cannot_be(n_window, first, n_bins):
    with pytest.raises(ValueError, match="a window of"):
        kernels.SpectrogramPlan(np.ones(n_window), first, n_bins)


@pytest.mark.parametrize(("start", "hop", "n_frames"), [(-1, 1, 1), (0, 0, 2), (0, 1, 86), (85, 1, 1), (0, 43, 3)])
def test_frames_beyond_the_sound(start, hop, n_frames):
    plan = kernels.SpectrogramPlan(np.ones(16), 0, 9)
    with pytest.raises(ValueError, match="beyond the sound"):
        plan.rows(np.zeros(100, np.float32), start, hop, n_frames, np.empty((100, 9), np.float32), 0, 0.0)


def test_room_that_is_too_small():
    plan = kernels.SpectrogramPlan(np.ones(16), 0, 9)
    sound, taps = np.zeros(100, np.float32), np.ones(1, np.float32)
    for shape in ((2, 9), (3, 8)):
        with pytest.raises(ValueError, match="do not fit"):
            plan.rows(sound, 0, 1, 3, np.empty(shape, np.float32), 0, 0.0)
    levels, out = np.zeros((4, kernels.LANES_IN_VECTOR), np.float32), np.empty((4, 3), np.float32)
    for arguments in (
        (levels, 5, 3, 0, 0.0, taps, out),
        (levels, 4, 4, 0, 0.0, taps, out),
        (out, 4, 3, 0, 0.0, taps, out),
    ):
        with pytest.raises(ValueError, match="does not fit"):
            kernels.finish_block(*arguments)
    with pytest.raises(ValueError, match="do not fit"):
        kernels.pcen(out, 5, np.ones(3, np.float32), 0.1, 1.0, 1.0, 0.5, 1e-6)
    with pytest.raises(ValueError, match="do not fit"):
        kernels.weighted_sums(out, np.ones(5, np.float32), out.copy())
    with pytest.raises(ValueError, match="do not fit"):
        kernels.running_median(out, 2, out.copy())
