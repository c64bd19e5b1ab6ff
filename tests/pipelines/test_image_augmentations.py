"""Each augmentation of images against a plain statement of it in numpy, and the mixing against keras-cv's own."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from ecotf.pipelines.augment_image import AugmentImageConfig, augment_clip_images, augment_image
from ecotf.pipelines.augmentation import image_mixing, levels, masks, mixing
from ecotf.pipelines.keras_cv_mixing import allow_in_graphs, cut_mix, mix_up

N, FRAMES, BANDS = 8, 20, 14
SEED = (5, 6)


@pytest.fixture(autouse=True)
def as_in_a_training():
    """As batches do. Without it nothing is mixed in a process where another test has trained something."""
    allow_in_graphs()


@pytest.fixture(scope="module", params=[1, 3])
def image(request):
    return np.random.default_rng(0).uniform(0.2, 1, (N, FRAMES, BANDS, request.param)).astype(np.float32)


@pytest.fixture(scope="module")
def targets():
    return (np.random.default_rng(1).random((N, 5)) > 0.5).astype(np.float32) * np.float32(0.9)


def drawn(draws):
    return {name: np.asarray(value) for name, value in draws.items()}


@pytest.mark.parametrize("value", ["zero", "minimum"])
@pytest.mark.parametrize(("axis", "size"), [(1, FRAMES), (2, BANDS)])
def test_mask(image, axis, size, value):
    draws = masks.draw_mask(masks.Mask(width=9), image, axis, SEED)
    d = drawn(draws)
    assert 0 <= d["width"].min() < d["width"].max() <= 9 and (d["first"] + d["width"] <= size).all()
    plain = image.copy()
    for i in range(N):
        gone = slice(d["first"][i], d["first"][i] + d["width"][i])
        blank = 0 if value == "zero" else image[i].min(axis=(0, 1))
        if axis == 1:
            plain[i, gone] = blank
        else:
            plain[i, :, gone] = blank
    np.testing.assert_array_equal(masks.apply_mask(image, draws, axis, value), plain)


def test_a_mask_wider_than_the_image(image):
    widths = drawn(masks.draw_mask(masks.Mask(width=400), np.repeat(image, 50, axis=0), 1, SEED))["width"]
    assert widths.max() == FRAMES


def test_several_masks():
    """As PANNs are published: two of frames, two of bands."""
    image = np.ones((200, 100, 64, 1), np.float32)
    settings = {"probability": 1.0, "count": 2}
    config = {"time_mask": {**settings, "width": 8}, "frequency_mask": {**settings, "width": 4}}
    made = augment_image(tf.constant(image), tf.ones((200, 1)), AugmentImageConfig.model_validate(config), SEED)[
        0
    ].numpy()[..., 0]
    for axis, width in ((1, 8), (2, 4)):
        gone = (made == 0).all(axis=3 - axis)
        stretches = (np.diff(gone.astype(int), axis=1, prepend=0) == 1).sum(axis=1)
        assert stretches.max() == 2 and width < gone.sum(axis=1).max() <= 2 * width


@pytest.mark.parametrize("side", ["upper", "lower", "either"])
def test_attenuation(image, side):
    draws = masks.draw_attenuation(masks.Attenuation(most=0.5, side=side), image, SEED)
    d = drawn(draws)
    assert d["bands"].min() >= BANDS // 2 and d["bands"].max() < BANDS and d["much"].max() < 0.5
    assert set(d["lower"]) == {"upper": {False}, "lower": {True}, "either": {True, False}}[side]
    plain = np.empty_like(image)
    for i in range(N):
        r, x = d["bands"][i], d["much"][i]
        factor = np.concatenate([1 - np.arange(r) * x / r, np.full(BANDS - r, 1 - x)])  # as published
        if d["lower"][i]:
            factor = factor[::-1]
        plain[i] = image[i] * factor[None, :, None]
    np.testing.assert_allclose(masks.apply_attenuation(image, draws), plain, atol=1e-6)


def test_compander(image):
    draws = levels.draw_compander(levels.Compander(most=0.4), image, SEED)
    factor = drawn(draws)["factor"]
    assert 0.6 <= factor.min() < 1 < factor.max() <= 1.4
    mean = image.mean(axis=(1, 2), keepdims=True)
    plain = mean + factor[:, None, None, None] * (image - mean)
    np.testing.assert_allclose(levels.apply_compander(image, draws), plain, atol=1e-6)


def test_band_shift(image):
    draws = levels.draw_band_shift(levels.BandShift(most=3), image, SEED)
    bands = drawn(draws)["bands"]
    assert -3 <= bands.min() < 0 < bands.max() <= 3
    for made, own, shift in zip(levels.apply_band_shift(image, draws), image, bands, strict=True):
        np.testing.assert_array_equal(made, own[:, np.clip(np.arange(BANDS) - shift, 0, BANDS - 1)])


def test_mix_up(image, targets):
    d = drawn(mixing.draw_beta_mixup(mixing.BetaMixup(alpha=2.0), N, SEED))
    share = d["share"]
    made, labels = mix_up(tf.constant(image), tf.constant(targets), d["other"], share)
    own = share[:, None, None, None]
    np.testing.assert_allclose(made, own * image + (1 - own) * image[d["other"]], atol=1e-6)
    np.testing.assert_allclose(labels, share[:, None] * targets + (1 - share[:, None]) * targets[d["other"]], atol=1e-6)


def test_cut_mix(image, targets):
    coin = np.array([True] * 6 + [False] * 2)
    draws = image_mixing.draw_cut_mix(image_mixing.CutMix(alpha=1.0), image, coin, SEED)
    d = drawn(draws)
    assert (d["size"][6:] == 0).all() and (d["size"][:6] > 0).any()
    made, labels = cut_mix(tf.constant(image), tf.constant(targets), d["other"], d["centre"], d["size"])
    for i in range(N):
        pasted = image[i].copy()
        (t, f), (height, width), other = d["centre"][i], d["size"][i], d["other"][i]
        area = 0
        for row in range(FRAMES):
            for band in range(BANDS):
                if t - height / 2 <= row < t + height / 2 and f - width / 2 <= band < f + width / 2:
                    pasted[row, band] = image[other, row, band]
                    area += 1
        np.testing.assert_array_equal(made[i], pasted)
        share = 1 - area / (FRAMES * BANDS)
        np.testing.assert_allclose(labels[i], share * targets[i] + (1 - share) * targets[other], atol=1e-6)


@pytest.mark.parametrize("kind", ["mix_up", "cut_mix"])
def test_it_is_what_keras_cv_does(image, targets, kind, monkeypatch):
    """keras-cv's own layer, with its draws made ours; CutMix where the rectangle lies inside."""
    import keras_cv

    share = np.linspace(0.3, 0.9, N, dtype=np.float32)
    other = np.roll(np.arange(N), 3).astype(np.int32)
    monkeypatch.setattr(tf.random, "shuffle", lambda values, seed=None: tf.constant(other))
    layer = keras_cv.layers.MixUp() if kind == "mix_up" else keras_cv.layers.CutMix()
    monkeypatch.setattr(layer, "_sample_from_beta", lambda *arguments: tf.constant(share))
    middle = {FRAMES: FRAMES // 2, BANDS: BANDS // 2}
    monkeypatch.setattr(tf.random, "uniform", lambda shape, minval, maxval, dtype: tf.fill(shape, middle[int(maxval)]))
    theirs = layer({"images": tf.constant(image), "labels": tf.constant(targets)})
    if kind == "mix_up":
        ours = mix_up(tf.constant(image), tf.constant(targets), other, share)
    else:
        side = np.sqrt(1 - share)
        size = np.stack([(side * FRAMES).astype(np.int32), (side * BANDS).astype(np.int32)], 1)
        ours = cut_mix(
            tf.constant(image), tf.constant(targets), other, np.tile([FRAMES // 2, BANDS // 2], (N, 1)), size
        )
    np.testing.assert_allclose(ours[0], theirs["images"], atol=1e-6)
    np.testing.assert_allclose(ours[1], theirs["labels"], atol=1e-6)


NAMES = ("mixup", "cutmix", "band_shift", "compander", "attenuation", "time_mask", "frequency_mask")
ALL = {name: {"probability": 0.5} for name in NAMES}


def test_all_together_in_the_graph_and_again_from_the_seed(image, targets):
    config = AugmentImageConfig.model_validate(ALL)
    weight = np.linspace(0.1, 1, N, dtype=np.float32)
    graph = tf.function(lambda x, seed: augment_clip_images(x, targets, weight, config, seed))
    one, again, other = (graph(tf.constant(image), tf.constant(seed)) for seed in ((1, 2), (1, 2), (1, 3)))
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(one[0] - other[0]).max() > 0.1 and one[0].shape == image.shape
    assert one[1].shape == targets.shape and one[1].numpy().max() <= 0.9 + 1e-6
    assert one[2].numpy().min() >= 0.1 and one[2].numpy().max() <= 1 and one[2].shape == (N,)


def test_nothing_by_default(image, targets):
    made, same = augment_image(tf.constant(image), tf.constant(targets), AugmentImageConfig(), SEED)
    np.testing.assert_array_equal(made, image)
    np.testing.assert_array_equal(same, targets)


def test_a_batch_of_one(targets):
    one = np.ones((1, FRAMES, BANDS, 1), np.float32)
    made, labels = augment_image(tf.constant(one), tf.constant(targets[:1]), AugmentImageConfig.model_validate(
        {"mixup": {"probability": 1}, "cutmix": {"probability": 1}}), SEED)  # fmt: skip
    np.testing.assert_allclose(made, one, atol=1e-6)
    np.testing.assert_allclose(labels, targets[:1], atol=1e-6)
