"""Mixing of sounds, the numbers that are drawn for it, and all augmentations together."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from ecotf.config import validate
from ecotf.errors import ConfigError
from ecotf.pipelines.augment_sound import AugmentSoundConfig, augment_clips, augment_sound
from ecotf.pipelines.augmentation import mixing
from ecotf.pipelines.augmentation.draws import OneOf, beta, coins, partners, uniform

from .drawn_sounds import RATE, SAMPLES, SEED, N, close, drawn, inside

# mixing


def batch_of(sound):
    rng = np.random.default_rng(5)
    targets = (rng.random((N, 4)) > 0.6).astype(np.float32) * np.float32(0.9)
    return sound, targets, rng.uniform(0.1, 1, N).astype(np.float32), np.array([True, False, True, True, False, True])


def test_sum_mixup(sound):
    sound, targets, weight, coin = batch_of(sound)
    draws = mixing.draw_sum_mixup(mixing.SumMixup(double=0.5), N, SEED)
    d = drawn(draws)
    assert set(d["triple"]) == {True, False}
    s, t, w = mixing.apply_sum_mixup(
        tf.constant(sound), tf.constant(targets), tf.constant(weight), tf.constant(coin), draws
    )
    for i in range(N):
        mixed = [i, *([d["other"][i]] if coin[i] else []), *([d["third"][i]] if coin[i] and d["triple"][i] else [])]
        close(s[i], sound[mixed].sum(axis=0))
        close(t[i], np.minimum(targets[mixed].sum(axis=0), 1))
        close(w[i], weight[mixed].mean())


def test_beta_mixup(sound):
    sound, targets, weight, coin = batch_of(sound)
    draws = mixing.draw_beta_mixup(mixing.BetaMixup(alpha=2), N, SEED)
    d = drawn(draws)
    inside(d["share"], 0, 1)
    parts = (sound, targets, weight)
    mixed = mixing.apply_beta_mixup(*map(tf.constant, (*parts, coin)), draws)
    for made, values in zip(mixed, parts, strict=True):
        for i in range(N):
            share = d["share"][i] if coin[i] else 1.0
            close(made[i], share * values[i] + (1 - share) * values[d["other"][i]])


def test_between_class_mixing(sound):
    """Against the published formula, loudness by short windows in numpy."""
    sound, targets, weight, coin = batch_of(sound * np.linspace(0.05, 1, N, dtype=np.float32)[:, None])
    targets = np.eye(3, dtype=np.float32)[[0, 0, 0, 0, 1, 2]]
    d = drawn(mixing.draw_between_class(mixing.BetweenClass(), targets, SEED))
    inside(d["share"], 0, 1)
    assert (targets[d["other"]].argmax(axis=1) != targets.argmax(axis=1)).all()
    window = 1024  # about 0.1 s at 8 kHz
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    heard = 10 ** (mixing.a_weighting_db(np.fft.rfftfreq(window, 1 / RATE)) / 10)
    frames = np.stack([np.pad(sound, [(0, 0), (0, window)])[:, i : i + window] for i in range(0, SAMPLES, window // 2)])
    loud = 10 * np.log10((np.abs(np.fft.rfft(frames * hann)) ** 2 * heard).sum(axis=-1).max(axis=0))
    close(mixing.loudness_of(tf.constant(sound), RATE), loud, 1e-4)
    parts = (sound, targets, weight)
    s, t, w = mixing.apply_between_class(*map(tf.constant, (*parts, coin)), d, tf.constant(loud, tf.float32))
    for i in range(N):
        r, j = (d["share"][i] if coin[i] else 1.0), d["other"][i]
        p = 1 / (1 + 10 ** ((loud[i] - loud[j]) / 20) * (1 - r) / r)
        close(s[i], (p * sound[i] + (1 - p) * sound[j]) / np.hypot(p, 1 - p))
        close(t[i], r * targets[i] + (1 - r) * targets[j])
        close(w[i], r * weight[i] + (1 - r) * weight[j])


def test_between_class_mixing_of_silence_and_of_one_class():
    silent = np.zeros((3, 800), np.float32)
    made = augment_clips(
        silent, np.ones((3, 1), np.float32), np.ones(3, np.float32),
        AugmentSoundConfig.model_validate({"between_class": {"probability": 1.0}}), SEED, sample_rate=RATE,
    )  # fmt: skip
    np.testing.assert_array_equal(made[0], silent)
    np.testing.assert_allclose(made[1], 1, atol=1e-6)
    others = drawn(mixing.draw_between_class(mixing.BetweenClass(), np.ones((3, 1), np.float32), SEED))["other"]
    assert (others != np.arange(3)).all()


# draws


def test_partners_are_others_and_a_permutation():
    for n in (2, 3, 7):
        one, two = (np.asarray(others) for others in partners(SEED, "x", n))
        assert sorted(one) == sorted(two) == list(range(n))
        assert (one != np.arange(n)).all() and (n < 3 or ((two != np.arange(n)).all() and (one != two).all()))
    assert [int(other[0]) for other in partners(SEED, "x", 1)] == [0, 0]


def test_draws_come_from_seed_and_name():
    first = uniform(SEED, "a", 1000, 2.0, 5.0).numpy()
    np.testing.assert_array_equal(first, uniform(SEED, "a", 1000, 2.0, 5.0))
    for other in (uniform(SEED, "b", 1000, 2.0, 5.0), uniform((3, 5), "a", 1000, 2.0, 5.0)):
        assert abs(np.corrcoef(first, other)[0, 1]) < 0.1
    assert 2 <= first.min() < 2.1 and 4.9 < first.max() < 5
    for alpha in (0.5, 2.0, 5.0):
        share = beta(SEED, "s", 20000, alpha).numpy()
        assert share.mean() == pytest.approx(0.5, abs=0.02)
        assert share.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)


def test_coins():
    groups = [OneOf(names=("a", "b"), probability=0.5)]
    thrown = {name: coin.numpy() for name, coin in coins(SEED, 20000, {"a": 0.3, "b": 0.1, "c": 0.2}, groups).items()}
    assert not (thrown["a"] & thrown["b"]).any()
    shares = {name: coin.mean() for name, coin in thrown.items()}
    assert shares == pytest.approx({"a": 0.375, "b": 0.125, "c": 0.2}, abs=0.02)


# the whole


ALL = {
    name: {"probability": 0.5}
    for name in (
        "noise_injection", "gaussian_noise", "pink_noise", "gain", "gain_ramp", "fade", "polarity", "sum_mixup",
        "beta_mixup", "between_class", "time_stretch", "pitch_shift", "time_shift",
    )
}  # fmt: skip


def test_all_together_in_the_graph_and_again_from_the_seed(sound):
    config = AugmentSoundConfig.model_validate({**ALL, "backgrounds": [{"probability": 0.5}]})
    _, targets, weight, _ = batch_of(sound)
    others = tf.constant(sound[:2, ::-1])
    graph = tf.function(lambda x, seed: augment_clips(x, targets, weight, config, seed, [others], sample_rate=RATE))
    one, again, other = (graph(sound, tf.constant(seed)) for seed in ((1, 2), (1, 2), (1, 3)))
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(one[0] - other[0]).max() > 0.1
    assert one[0].shape == sound.shape and np.isfinite(one[0]).all()
    assert one[1].numpy().min() >= 0 and one[1].numpy().max() <= 1
    assert np.asarray(one[2]).min() >= weight.min() - 1e-6


def test_what_the_coin_spares_stays_bit_for_bit(sound):
    targets = np.zeros((N, 2), np.float32)
    config = AugmentSoundConfig.model_validate({"pitch_shift": {"probability": 0.5}})
    chosen = coins(SEED, N, config.chances(), ())["pitch_shift"].numpy()
    assert set(chosen) == {True, False}
    made, same = augment_sound(sound, targets, config, SEED, sample_rate=RATE)
    np.testing.assert_array_equal(np.asarray(made)[~chosen], sound[~chosen])
    assert (np.abs(np.asarray(made) - sound).max(axis=1)[chosen] > 0.01).all()
    np.testing.assert_array_equal(same, targets)


def test_nothing_by_default(sound):
    targets = np.ones((N, 2), np.float32)
    made, same = augment_sound(sound, targets, AugmentSoundConfig(), SEED, sample_rate=RATE)
    np.testing.assert_array_equal(made, sound)
    np.testing.assert_array_equal(same, targets)


def test_settings_that_cannot_be():
    for values, said in (
        ({"gain": {"db": [3, -3]}}, "is not a range from least to most"),
        ({"one_of": [{"names": ["gain"], "probability": 1}]}, "one_of names 'gain', whose probability is 0"),
        ({"one_of": [{"names": ["sum_mixup"]}]}, "one_of names 'sum_mixup'; allowed: noise_injection"),
        ({"gain": {"probability": 2}}, "less than or equal to 1"),
        ({"gian": {}}, "did you mean 'gain'"),
    ):
        with pytest.raises(ConfigError, match=said):
            validate(AugmentSoundConfig, values, "recipe")
