"""Transforms as products of matrices, against NumPy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("tensorflow")

from ecotf.features.transform import power_by_fft, power_in_one, power_in_two_stages, two_stages


def frames_of(n, seed):
    return np.random.default_rng(seed).normal(size=(1, 3, n)).astype(np.float32)


def expected(frames, window, bins):
    return np.abs(np.fft.rfft(frames.astype(np.float64) * window))[..., bins] ** 2


@settings(max_examples=30, deadline=None)
@given(n=st.sampled_from([36, 50, 99, 120, 445, 594, 891, 1000]), share=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_two_stages_give_the_power_of_the_bins_that_are_asked_for(n, share):
    first, last = sorted(round(part * (n // 2)) for part in share)
    bins = np.arange(first, last + 1)
    plan = two_stages(n, bins)
    if plan is None:
        return
    window, frames = np.hanning(n), frames_of(n, n)
    power = expected(frames, window, bins)
    given = np.asarray(power_in_two_stages(frames, window, plan))
    np.testing.assert_allclose(given, power, rtol=1e-5, atol=1e-6 * expected(frames, window, slice(None)).max())


@pytest.mark.parametrize(
    ("n", "bins"), [(768, np.arange(16, 244)), (891, np.arange(10, 270)), (594, np.arange(10, 270))]
)
def test_the_front_ends_of_bats_get_cheaper_by_half_and_more(n, bins):
    plan = two_stages(n, bins)
    assert plan.first * plan.second == n
    assert plan.cost < n * len(bins)  # one product has twice as many multiply-adds


def test_a_prime_length_or_few_bins_stay_one_product():
    assert two_stages(443, np.arange(200)) is None
    assert two_stages(768, np.arange(5)) is None


@pytest.mark.parametrize("compute", [power_in_one, power_by_fft])
def test_the_other_ways_agree(compute):
    window, frames, bins = np.hanning(128), frames_of(128, 1), np.arange(3, 60)
    np.testing.assert_allclose(compute(frames, window, bins), expected(frames, window, bins), rtol=1e-4, atol=1e-3)
