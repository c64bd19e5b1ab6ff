"""Batches: every patch once, with its own target and weight, and the same again from the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from ecotf.pipelines.patch_batches import AugmentationConfig, augment, patch_batches
from ecotf.pipelines.patches import PatchesConfig, PatchTable, cut_table
from ecotf.pipelines.spectrogram_store import StoredSpectrogram

WINDOWS = PatchesConfig(width_s=0.008, reduce_time=2, reduce_frequency=2)
N = 11


@pytest.fixture(scope="module")
def spectrograms() -> list[StoredSpectrogram]:
    rng = np.random.default_rng(0)
    values = [rng.uniform(0, 5, (n, 12)).astype(np.float32) for n in (200, 90)]
    return [StoredSpectrogram(v, 0.001, 0.001, 0.0, np.arange(12.0), len(v) / 1000, 1000, 0.0) for v in values]


@pytest.fixture(scope="module")
def table() -> PatchTable:
    """Patches whose target and weight can be told from their number."""
    times = np.linspace(0.005, 0.08, N)
    return PatchTable(np.arange(N) % 2, times, (np.arange(N)[:, None] % 3 == np.arange(2)).astype(np.uint8))


def batches_of(table, spectrograms, **choices):
    numbers = np.arange(N, dtype=np.float32)
    targets = np.stack([numbers, numbers**2], axis=1)
    batches = list(patch_batches(table, targets, numbers / 10, spectrograms, WINDOWS, batch=4, **choices))
    return [tuple(part.numpy() for part in batch) for batch in batches]


def test_without_a_generator_the_order_is_the_tables(table, spectrograms):
    batches = batches_of(table, spectrograms, augmentation=AugmentationConfig(level_shift=2.0, time_mask=0.9))
    assert [len(x) for x, _, _ in batches] == [4, 4, 3]
    x, y, w = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    np.testing.assert_array_equal(x, cut_table(table, spectrograms, WINDOWS))
    np.testing.assert_array_equal(y[:, 0], np.arange(N))
    np.testing.assert_allclose(w, np.arange(N) / 10)
    assert x.shape == (N, 4, 6, 1)
    assert {part.dtype for part in (x, y, w)} == {np.dtype(np.float32)}


def test_shuffling_keeps_patches_targets_and_weights_together(table, spectrograms):
    whole = cut_table(table, spectrograms, WINDOWS)
    orders = []
    for seed in (1, 1, 2):
        x, y, w = map(
            np.concatenate, zip(*batches_of(table, spectrograms, rng=np.random.default_rng(seed)), strict=True)
        )
        order = y[:, 0].astype(int)
        orders.append(order.tolist())
        np.testing.assert_array_equal(x, whole[order])
        np.testing.assert_array_equal(y[:, 1], order**2)
        np.testing.assert_allclose(w, order / 10)
    assert orders[0] == orders[1] != orders[2]
    assert all(sorted(order) == list(range(N)) != order for order in orders)


def test_augmentation_comes_from_the_seed(table, spectrograms):
    config = AugmentationConfig(level_shift=1.4, time_mask=0.5, frequency_mask=0.5)
    first, again, other = (
        np.concatenate([x for x, _, _ in batches_of(table, spectrograms, augmentation=config, rng=rng)])
        for rng in map(np.random.default_rng, (1, 1, 2))
    )
    np.testing.assert_array_equal(first, again)
    plain = [x for x, _, _ in batches_of(table, spectrograms, rng=np.random.default_rng(1))]
    assert np.abs(first - np.concatenate(plain)).max() > 0.5
    assert np.abs(first - other).max() > 0.5


def test_one_pass_can_be_taken_twice(table, spectrograms):
    """Validation goes over the same set after every epoch."""
    numbers = np.zeros(N, np.float32)
    batches = patch_batches(table, numbers[:, None], numbers, spectrograms, WINDOWS, batch=4)
    first, second = (np.concatenate([x.numpy() for x, _, _ in batches]) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.fixture
def patches() -> np.ndarray:
    x = np.random.default_rng(0).uniform(0.5, 9, (64, 10, 20, 1)).astype(np.float32)
    x[:, :, 3] = 0
    return x


def test_a_gain_is_one_shift_a_window_and_silence_stays(patches):
    x = patches.copy()
    augment(x, AugmentationConfig(level_shift=4.6), np.random.default_rng(0))
    assert x.min() >= 0
    assert (x[:, :, 3] == 0).all()
    for before, after in zip(patches, x, strict=True):
        shifts = (after - before)[(after > 0) & (before > 0)]
        assert np.ptp(shifts) < 1e-5  # one shift
    heard = np.array([(after - before)[before > 0].max() for before, after in zip(patches, x, strict=True)])
    assert heard.max() > 3
    assert heard.min() < -0.3


@pytest.mark.parametrize(("name", "axis", "most"), [("time_mask", 1, 4), ("frequency_mask", 2, 9)])
def test_a_mask_is_one_gap_no_longer_than_allowed(patches, name, axis, most):
    patches = patches + 1
    x = patches.copy()
    augment(x, AugmentationConfig(**{name: 0.45}), np.random.default_rng(0))
    other = 3 - axis
    lengths = []
    for before, after in zip(patches, x, strict=True):
        gone = (after == 0).any(axis=(other - 1, 2))
        assert ((after == 0).all(axis=(other - 1, 2)) == gone).all()
        at = np.flatnonzero(gone)
        lengths.append(len(at))
        assert len(at) == 0 or np.ptp(at) == len(at) - 1
        np.testing.assert_array_equal(np.compress(~gone, after, axis - 1), np.compress(~gone, before, axis - 1))
    assert max(lengths) == most
    assert min(lengths) == 0


def test_nothing_is_done_by_default(patches):
    x = patches.copy()
    augment(x, AugmentationConfig(), np.random.default_rng(0))
    np.testing.assert_array_equal(x, patches)
