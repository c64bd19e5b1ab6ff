"""What is done with finished spectrograms, against float64 statements, scipy, librosa and TensorFlow.

Tolerances: 1e-5 of the greatest value; decibels 1e-4; medians exact.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from librosa_figures import by_librosa
from scipy.ndimage import median_filter
from scipy.signal import savgol_filter

from ecotf._kernels import spectrogram as kernels
from ecotf.features import decibels, delta, denoised, harmonic_percussive, min_max, resize, standardised

SHAPES = st.tuples(st.integers(1, 60), st.integers(1, 70))


def values_of(shape, seed=0):
    return np.random.default_rng(seed).gamma(1.0, size=shape).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, half=st.integers(1, 6), order=st.integers(1, 2))
def test_delta_is_savitzky_golay(shape, half, order):
    values = values_of(shape)
    width = 2 * half + 1
    if shape[0] < width:
        with pytest.raises(ValueError, match=f"{shape[0]} frames: a delta over {width} frames needs"):
            delta(values, width, order)
        return
    expected = savgol_filter(values.astype(np.float64), width, order, deriv=order, axis=0, mode="interp")
    np.testing.assert_allclose(delta(values, width, order), expected, atol=1e-5 * values.max())


@pytest.mark.parametrize(("width", "order"), [(4, 1), (1, 1), (3, 3), (5, 0)])
def test_delta_of_impossible_width(width, order):
    with pytest.raises(ValueError, match=f"width = {width}, order = {order}"):
        delta(values_of((20, 3)), width, order)


@pytest.mark.parametrize("order", [1, 2])
def test_librosa_delta(order):
    values = values_of((50, 20))
    theirs = by_librosa(f"delta {order} of values", lambda librosa: librosa.feature.delta(values.T, order=order).T)
    np.testing.assert_allclose(delta(values, 9, order), theirs, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(shape=SHAPES, half=st.integers(0, 40), ties=st.booleans())
def test_running_median(shape, half, ties):
    values = values_of(shape)
    if ties:
        values = np.round(values)
    out = np.empty_like(values)
    kernels.running_median(values, 2 * half + 1, out)
    padded = np.pad(values, ((half, half), (0, 0)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=0)
    np.testing.assert_array_equal(out, np.median(windows, axis=-1))


def soft_mask(one, other, split):
    """The definition of librosa.util.softmask with power 2: where nothing is, a half or nothing."""
    total = one**2 + other**2
    return np.divide(one**2, total, out=np.full_like(one, 0.5 if split else 0.0), where=total > 0)


@pytest.mark.parametrize("margin", [1.0, 1.7])
@pytest.mark.parametrize("width", [5, 31])
def test_harmonic_percussive_as_librosa_defines_it(margin, width):
    """Stated with scipy: librosa.decompose.hpss itself compiles for 20 s before it answers."""
    values = values_of((120, 65), 3)
    values[40:50, 10:20] = 0
    exact = values.astype(np.float64)
    lasting, short = (median_filter(exact, size, mode="reflect") for size in ((width, 1), (1, width)))
    expected = (
        exact * soft_mask(one, other * margin, margin == 1) for one, other in ((lasting, short), (short, lasting))
    )
    for mine, theirs in zip(harmonic_percussive(values, width, margin=margin), expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5 * values.max())


def test_harmonic_and_percussive_add_up():
    values = values_of((40, 30), 4)
    np.testing.assert_allclose(sum(harmonic_percussive(values, 7)), values, rtol=1e-6)
    assert harmonic_percussive(values[:0], 7)[0].shape == (0, 30)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"width": 4}, "width = 4: must be odd"), ({"margin": 0.5}, "margin = 0.5"), ({"sharpness": 0}, "sharpness = 0")],
)
def test_harmonic_percussive_of_impossible_settings(change, message):
    with pytest.raises(ValueError, match=message):
        harmonic_percussive(values_of((9, 9)), **change)
    with pytest.raises(ValueError, match="a value is -1"):
        harmonic_percussive(np.full((9, 9), -1.0))


@settings(max_examples=60, deadline=None)
@given(shape=SHAPES, ties=st.booleans())
def test_background_taken_away(shape, ties):
    values = values_of(shape, shape[0]) - 0.5
    if ties:
        values = np.round(2 * values)
    median = np.maximum(values - np.median(values, axis=0), 0)
    np.testing.assert_allclose(denoised(values), median, atol=1e-6)
    np.testing.assert_allclose(denoised(values, "mean"), np.maximum(values - values.mean(axis=0), 0), atol=1e-5)


def test_librosa_decibels():
    power = values_of((30, 20)) * 10.0 ** np.random.default_rng(1).uniform(-14, 3, (30, 20))
    theirs = by_librosa(
        "decibels, under the peak, without a range",
        lambda librosa: np.stack(
            [librosa.power_to_db(power, **given) for given in ({}, {"ref": np.max}, {"top_db": None})]
        ),
    )
    for ours, expected in zip(({}, {"reference": "peak"}, {"range_db": None}), theirs, strict=True):
        np.testing.assert_allclose(decibels(power, **ours), expected, atol=1e-4)
    assert decibels(power[:0]).shape == (0, 20)
    with pytest.raises(ValueError, match=r"floor = 0"):
        decibels(power, floor=0)


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_ranges(axis):
    values = values_of((30, 20)).astype(np.float64)
    values[:, 3] = 2.0
    ours = min_max(values, axis)
    span = np.ptp(values, axis=axis, keepdims=True)
    expected = (values - values.min(axis=axis, keepdims=True)) / np.where(span == 0, 1, span)
    np.testing.assert_allclose(ours, expected, atol=1e-6)
    spread = values.std(axis=axis, keepdims=True)
    expected = (values - values.mean(axis=axis, keepdims=True)) / np.where(spread == 0, 1, spread)
    np.testing.assert_allclose(standardised(values, axis), expected, atol=1e-5)
    assert min_max(values[:0], axis).shape == standardised(values[:0], axis).shape == (0, 20)


def linear(values, size, antialias):
    """Bilinear along the first axis, one output at a time."""
    n = len(values)
    scale = n / size
    reach = max(scale, 1) if antialias else 1
    out = []
    for i in range(size):
        weights = np.maximum(0, 1 - np.abs(np.arange(n) + 0.5 - (i + 0.5) * scale) / reach)
        out.append(weights @ values / weights.sum())
    return np.array(out)


@settings(max_examples=60, deadline=None)
@given(shape=SHAPES, size=SHAPES, antialias=st.booleans())
def test_resize(shape, size, antialias):
    values = values_of(shape)
    expected = linear(linear(values.astype(np.float64), size[0], antialias).T, size[1], antialias).T
    np.testing.assert_allclose(resize(values, *size, antialias), expected, atol=1e-5 * values.max())


def test_tensorflow_resize():
    tensorflow = pytest.importorskip("tensorflow")
    values = values_of((172, 260))
    for antialias in (False, True):
        theirs = tensorflow.image.resize(values[..., None], (128, 96), antialias=antialias)[..., 0]
        np.testing.assert_allclose(resize(values, 128, 96, antialias), theirs, atol=1e-5 * values.max())


def test_what_is_no_spectrogram():
    for function in (delta, harmonic_percussive, denoised):
        with pytest.raises(ValueError, match="expected a spectrogram"):
            function(np.zeros(20))
        with pytest.raises(ValueError, match="frame 3, row 2 is nan: expected finite numbers"):
            function(np.where(np.arange(100).reshape(20, 5) == 17, np.nan, 1.0))
    for values, size in ((np.zeros((0, 3)), (2, 2)), (np.zeros((3, 3)), (0, 2)), (np.zeros(3), (2, 2))):
        with pytest.raises(ValueError, match="at least 1"):
            resize(values, *size)


def test_awkward_arrays():
    values = values_of((40, 21))
    read_only = values.copy()
    read_only.flags.writeable = False
    for same in (np.asfortranarray(values), read_only, np.repeat(values, 2, axis=0)[::2], values.astype(np.float64)):
        np.testing.assert_array_equal(delta(same), delta(values))
        np.testing.assert_array_equal(resize(same, 7, 9), resize(values, 7, 9))
        np.testing.assert_array_equal(denoised(same), denoised(values))
