"""Peaks: found where something sounds, measured against plain loops, and the same in a part as in the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from ecotf.features.peaks import MEASURES, PeakConfig, find_peaks, measure_peaks, strength

HOP_S = 0.0005
CONFIG = PeakConfig(floor=2.0, prominence=0.5)


def noise_with_peaks(seed: int = 0, n: int = 3000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = np.maximum(rng.normal(0, 0.7, (n, 16)), 0).astype(np.float32)
    for at in rng.integers(0, n, n // 60):
        values[at : at + rng.integers(2, 12), rng.integers(0, 16)] += rng.uniform(2, 9)
    return values


@pytest.fixture(scope="module")
def night() -> np.ndarray:
    return noise_with_peaks()


def test_strength_is_the_strongest_band_smoothed(night):
    np.testing.assert_array_equal(strength(night, HOP_S, 0), night.max(axis=1))
    np.testing.assert_allclose(strength(night, HOP_S, 0.001), gaussian_filter1d(night.max(axis=1), 2.0), rtol=1e-5)


def test_peaks_are_found_where_they_are():
    values = np.zeros((1000, 8), np.float32)
    for at, level in ((100, 5.0), (300, 9.0), (304, 8.0), (500, 1.5), (999, 7.0)):
        values[at, 3] = level
    config = PeakConfig(smooth_s=0, floor=2.0, separation_s=0.004, prominence=0)
    assert find_peaks(values, HOP_S, config).tolist() == [100, 300, 999]
    near = config.model_copy(update={"separation_s": 0.001, "floor": 1.0})
    assert find_peaks(values, HOP_S, near).tolist() == [100, 300, 304, 500, 999]


def test_a_ripple_on_a_loud_sound_is_not_prominent():
    values = np.zeros((400, 8), np.float32)
    values[100:300, 3] = 6 + 0.2 * np.sin(np.arange(200) / 3)
    values[200, 3] = 9
    config = PeakConfig(smooth_s=0, floor=2.0, prominence=0.5, separation_s=0.002)
    assert find_peaks(values, HOP_S, config).tolist() == [200]
    assert len(find_peaks(values, HOP_S, config.model_copy(update={"prominence": 0.0}))) > 5


@pytest.mark.parametrize("n", [0, 1, 2])
def test_next_to_nothing(n):
    assert find_peaks(np.zeros((n, 8), np.float32), HOP_S, CONFIG).tolist() == []
    assert measure_peaks(np.zeros((n, 8), np.float32), np.empty(0, int), HOP_S, CONFIG).shape == (0, len(MEASURES))


@settings(deadline=None)
@given(st.integers(0, 2000), st.integers(300, 900))
def test_a_part_gives_the_peaks_and_measures_of_the_whole(start, length):
    whole = noise_with_peaks(1)
    at = find_peaks(whole, HOP_S, CONFIG)
    measures = measure_peaks(whole, at, HOP_S, CONFIG)
    part = whole[start : start + length]
    found = find_peaks(part, HOP_S, CONFIG) + start
    measured = measure_peaks(part, found - start, HOP_S, CONFIG)
    # What a measure needs lies one margin further out than the peak itself: its neighbours are peaks, too.
    margin = 2 * round(CONFIG.margin_s / HOP_S)
    inner = (at >= start + margin) & (at < start + length - margin)
    inside = (found >= start + margin) & (found < start + length - margin)
    assert at[inner].tolist() == found[inside].tolist()
    np.testing.assert_allclose(measured[inside], measures[inner], atol=1e-6)


@pytest.mark.parametrize("reach_s", [0.03, 0.0305, 0.0005])
def test_measures_as_plain_loops_would(night, reach_s):
    """At an even and at an odd number of slices within reach."""
    config = CONFIG.model_copy(update={"reach_s": reach_s})
    at = find_peaks(night, HOP_S, config)
    measured = dict(zip(MEASURES, measure_peaks(night, at, HOP_S, config).T, strict=True))
    track = strength(night, HOP_S, config.smooth_s)
    reach = round(reach_s / HOP_S)
    for k, i in enumerate(at):
        before = [j for j in at[:k] if i - j < reach]
        after = [j for j in at[k + 1 :] if j - i < reach]
        expected = {
            "strength": track[i],
            "seconds since the peak before": (i - before[-1] if before else reach) * HOP_S,
            "seconds to the peak after": (after[0] - i if after else reach) * HOP_S,
            "strength of the peak before": track[before[-1]] if before else 0,
            "strength of the peak after": track[after[0]] if after else 0,
            "strength below the strongest nearby": track[max(0, i - reach // 2) : i + reach // 2 + 1].max() - track[i],
            "strength below the strongest within reach": track[max(0, i - reach) : i + reach + 1].max() - track[i],
            "strength below the strongest before it within reach": track[max(0, i - reach) : i + 1].max() - track[i],
            "strongest band": night[i].argmax() / 16,
            "bands above half of the strength": (night[i] > 0.5 * track[i]).mean(),
        }
        for name, value in expected.items():
            assert measured[name][k] == pytest.approx(value, abs=1e-5), name
    assert (measured["prominence"] >= config.prominence).all()
