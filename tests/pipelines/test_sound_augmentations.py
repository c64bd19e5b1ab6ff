"""Each augmentation of sound against a plain statement of it in numpy, given the same drawn numbers."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from ecotf.config import validate
from ecotf.errors import ConfigError
from ecotf.pipelines.augment_sound import AugmentSoundConfig, augment_clips, augment_sound
from ecotf.pipelines.augmentation import loudness, mixing, noise, timing
from ecotf.pipelines.augmentation.draws import OneOf, beta, coins, partners, uniform

N, SAMPLES, RATE = 6, 4000, 8000
SEED = (3, 4)


@pytest.fixture(scope="module")
def sound():
    time = np.arange(SAMPLES) / RATE
    tones = [np.sin(2 * np.pi * (300 + 150 * i) * time) for i in range(N)]
    return (0.2 * np.array(tones) + np.random.default_rng(0).normal(0, 0.05, (N, SAMPLES))).astype(np.float32)


def drawn(draws):
    return {name: np.asarray(value) for name, value in draws.items()}


def close(graph, plain, tolerance=1e-5):
    plain = np.asarray(plain)
    np.testing.assert_allclose(np.asarray(graph), plain, rtol=0, atol=tolerance * max(1.0, np.abs(plain).max()))


def inside(values, low, high):
    assert (values >= low).all() and (values <= high).all()
    assert len(np.unique(values)) > 1  # each clip has its own


def level_of(sound, measure):
    return np.abs(sound).max(axis=1) if measure == "peak" else np.sqrt((sound.astype(float) ** 2).mean(axis=1))


def at_snr(sound, added, snr_db, measure):
    gain = level_of(sound, measure) / 10 ** (snr_db / 20) / level_of(added, measure)
    return sound + gain[:, None] * added


# noise


def test_noise_injection(sound):
    draws = noise.draw_noise_injection(noise.NoiseInjection(amplitude=(0.01, 0.04)), sound, SEED)
    d = drawn(draws)
    inside(d["amplitude"], 0.01, 0.04)
    assert abs(d["white"].mean()) < 0.03 and abs(d["white"].std() - 1) < 0.03
    close(noise.apply_noise_injection(sound, draws), sound + d["amplitude"][:, None] * d["white"])


@pytest.mark.parametrize("measure", ["rms", "peak"])
def test_gaussian_noise_by_snr(sound, measure):
    draws = noise.draw_noise_by_snr(noise.NoiseBySnr(snr_db=(5, 20), measure=measure), sound, SEED)
    d = drawn(draws)
    inside(d["snr_db"], 5, 20)
    made = np.asarray(noise.apply_gaussian_noise(sound, draws, measure))
    close(made, at_snr(sound, d["white"], d["snr_db"], measure))
    reached = 20 * np.log10(level_of(sound, measure) / level_of(made - sound, measure))
    np.testing.assert_allclose(reached, d["snr_db"], atol=0.01)


@pytest.mark.parametrize("measure", ["rms", "peak"])
def test_pink_noise_by_snr(sound, measure):
    draws = noise.draw_noise_by_snr(noise.NoiseBySnr(snr_db=(5, 20)), sound, SEED)
    d = drawn(draws)
    spectrum = np.fft.rfft(d["white"].astype(float), axis=1)
    number = np.arange(spectrum.shape[1])
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(number, 1)), SAMPLES, axis=1)
    close(noise.apply_pink_noise(sound, draws, measure), at_snr(sound, pink, d["snr_db"], measure))
    power = (np.abs(np.fft.rfft(pink, axis=1)) ** 2).mean(axis=0)
    octaves = [power[2**k : 2 ** (k + 1)].mean() for k in range(4, 11)]
    np.testing.assert_allclose(np.diff(10 * np.log10(octaves)), -3, atol=1.5)  # 3 dB an octave


def test_background(sound):
    others = np.random.default_rng(1).normal(0, 1, (3, SAMPLES)).astype(np.float32)
    others[2] = 0  # a silent recording
    draws = noise.draw_background(noise.NoiseBySnr(snr_db=(0, 3)), sound, 3, SEED)
    d = drawn(draws)
    assert set(d["which"]) <= {0, 1, 2} and len(set(d["which"])) > 1
    made = np.asarray(noise.apply_background(sound, draws, others))
    for i in range(N):
        silent = d["which"][i] == 2
        expected = sound[i] if silent else at_snr(
            sound[i : i + 1], others[d["which"][i]][None], d["snr_db"][i : i + 1], "rms"
        )[0]  # fmt: skip
        close(made[i], expected)
    everything = noise.draw_background(noise.NoiseBySnr(snr_db=(0, 3)), sound, 3, SEED, np.ones((N, 3), bool))
    np.testing.assert_array_equal(everything["which"], d["which"])
    apart = np.arange(3)[None] != np.arange(N)[:, None] % 3
    apart[0] = False
    others_only = drawn(noise.draw_background(noise.NoiseBySnr(snr_db=(0, 3)), sound, 3, SEED, apart))
    assert others_only["which"][0] == -1 and all(apart[i, others_only["which"][i]] for i in range(1, N))
    assert len(set(others_only["which"])) == 4
    close(np.asarray(noise.apply_background(sound, others_only, others))[0], sound[0])


def test_noise_on_silence_adds_nothing():
    silence = np.zeros((2, 100), np.float32)
    draws = noise.draw_noise_by_snr(noise.NoiseBySnr(), silence, SEED)
    for apply in (noise.apply_gaussian_noise, noise.apply_pink_noise):
        np.testing.assert_array_equal(apply(silence, draws), silence)


# loudness


def test_gain(sound):
    draws = loudness.draw_gain(loudness.Gain(db=(-12, 6)), sound, SEED)
    db = drawn(draws)["db"]
    inside(db, -12, 6)
    close(loudness.apply_gain(sound, draws), sound * 10 ** (db[:, None] / 20))


def test_gain_ramp(sound):
    draws = loudness.draw_gain_ramp(loudness.GainRamp(db=(-15, 15), seconds=(0.1, 0.3)), sound, RATE, SEED)
    d = drawn(draws)
    inside(d["before_db"], -15, 15)
    inside(d["length"], 0.1 * RATE, 0.3 * RATE)
    assert (d["first"] >= -d["length"]).all() and (d["first"] <= SAMPLES).all()
    plain = np.empty_like(sound)
    for i in range(N):
        corners = d["first"][i], d["first"][i] + d["length"][i]
        db = np.interp(np.arange(SAMPLES), corners, (d["before_db"][i], d["after_db"][i]))
        plain[i] = sound[i] * 10 ** (db / 20)
    close(loudness.apply_gain_ramp(sound, draws), plain)


def test_fade(sound):
    draws = loudness.draw_fade(loudness.Fade(seconds=(0.01, 0.2)), sound, RATE, SEED)
    d = drawn(draws)
    plain = sound.astype(float)
    for i in range(N):
        for j in range(SAMPLES):
            plain[i, j] *= np.sin(np.pi / 2 * min(1, j / d["rise"][i]))
            plain[i, j] *= np.sin(np.pi / 2 * min(1, (SAMPLES - 1 - j) / d["fall"][i]))
    made = np.asarray(loudness.apply_fade(sound, draws))
    close(made, plain)
    assert (made[:, [0, -1]] == 0).all()
    long = drawn(loudness.draw_fade(loudness.Fade(seconds=(10, 20)), sound, RATE, SEED))
    assert (long["rise"] == SAMPLES / 2).all()
    nothing = loudness.draw_fade(loudness.Fade(seconds=(0, 0)), sound, RATE, SEED)
    np.testing.assert_array_equal(loudness.apply_fade(sound, nothing), sound)


def test_polarity(sound):
    np.testing.assert_array_equal(loudness.apply_polarity(sound), -sound)


# time and pitch


@pytest.mark.parametrize("roll", [True, False])
def test_time_shift(sound, roll):
    draws = timing.draw_time_shift(timing.TimeShift(share=0.5), sound, SEED)
    shift = drawn(draws)["samples"]
    inside(shift, -SAMPLES / 2, SAMPLES / 2)
    plain = np.array([np.roll(row, by) for row, by in zip(sound, shift, strict=True)])
    if not roll:
        for row, by in zip(plain, shift, strict=True):
            row[: max(by, 0)] = 0
            row[SAMPLES + min(by, 0) :] = 0
    np.testing.assert_array_equal(timing.apply_time_shift(sound, draws, roll), plain)


def vocoded(sound, speed, window, n_samples, ratio=1.0):
    """A phase vocoder, frame by frame, in float64."""
    hop, half = window // 4, window // 2
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    padded = np.pad(sound.astype(float), (half, half + window))
    frames = [np.fft.rfft(hann * padded[i : i + window]) for i in range(0, len(padded) - window + 1, hop)]
    n_out = (n_samples + window) // hop + 1
    out = np.zeros(hop * n_out + window)
    phase = np.angle(frames[0])
    for j in range(n_out):
        place = np.float32(j) * np.float32(speed)
        k = min(int(place), len(frames) - 2)
        share = min(place - k, 1.0)
        size = (1 - share) * np.abs(frames[k]) + share * np.abs(frames[k + 1])
        size[np.arange(half + 1) * np.float32(ratio) > half] = 0
        out[j * hop : j * hop + window] += hann * np.fft.irfft(size * np.exp(1j * phase), window)
        phase = phase + np.angle(frames[k + 1]) - np.angle(frames[k])
    return out[half : half + n_samples] / 1.5  # what four overlapping squares of a Hann window add up to


def alike(graph, plain):
    """Phases of faint bins are rounding; the sound must agree to a thousandth."""
    error = np.sqrt(((np.asarray(graph) - plain) ** 2).mean() / (plain**2).mean())
    assert error < 1e-3, error


def test_time_stretch(sound):
    draws = timing.draw_time_stretch(timing.TimeStretch(factor=(0.8, 1.25)), sound, SEED)
    factor = drawn(draws)["factor"]
    inside(factor, 0.8, 1.25)
    assert factor.min() < 1 < factor.max()
    made = np.asarray(timing.apply_time_stretch(sound, draws, 256))
    plain = np.array([vocoded(row, by, 256, SAMPLES) for row, by in zip(sound, factor, strict=True)])
    alike(made[:, 128:], plain[:, 128:])  # the first half window is not covered four times
    assert made.shape == sound.shape


def test_a_stretched_sound_is_as_high_and_ends_sooner():
    time = np.arange(8000) / RATE
    pips = (np.sin(2 * np.pi * 1000 * time) * (np.abs(time - 0.6) < 0.05)).astype(np.float32)[None]
    made = np.asarray(timing.apply_time_stretch(pips, {"factor": np.float32([1.25])}, 256))[0]
    middle = (np.arange(8000) * made**2).sum() / (made**2).sum() / RATE
    assert middle == pytest.approx(0.6 / 1.25, abs=0.01)
    assert np.abs(np.fft.rfft(made)).argmax() == pytest.approx(1000, abs=15)
    assert np.abs(made[6500:]).max() < 1e-3


def lagrange(sound, place):
    """The cubic through the four samples around each place."""
    out = []
    for at in place:
        nodes = int(np.floor(at)) + np.arange(-1, 3)
        values = sound[np.clip(nodes, 0, len(sound) - 1)]
        terms = [np.prod([(at - m) / (node - m) for m in nodes if m != node]) for node in nodes]
        out.append(values @ terms)
    return np.array(out)


def test_pitch_shift(sound):
    draws = timing.draw_pitch_shift(timing.PitchShift(semitones=(-4, 4)), sound, SEED)
    semitones = drawn(draws)["semitones"]
    inside(semitones, -4, 4)
    made = np.asarray(timing.apply_pitch_shift(sound, draws, 256))
    assert made.shape == sound.shape
    for i in range(3):
        ratio = 2 ** (semitones[i].astype(float) / 12)
        stretched = vocoded(sound[i], 1 / ratio, 256, int(np.ceil(SAMPLES * ratio)) + 4, ratio)
        alike(made[i, 256:-256], lagrange(stretched, np.arange(SAMPLES) * ratio)[256:-256])


@pytest.mark.parametrize("semitones", [-4, 3, 4])
def test_a_shifted_tone_is_where_it_should_be(semitones):
    time = np.arange(16000) / RATE
    tone = np.sin(2 * np.pi * 1000 * time).astype(np.float32)[None]
    made = np.asarray(timing.apply_pitch_shift(tone, {"semitones": np.float32([semitones])}, 256))[0]
    peak = np.abs(np.fft.rfft(made * np.hanning(16000))).argmax() / 2
    assert peak == pytest.approx(1000 * 2 ** (semitones / 12), rel=0.005)
    assert made[2000:-2000].std() == pytest.approx(tone.std(), rel=0.1)
    high = np.sin(2 * np.pi * 3700 * time).astype(np.float32)[None]  # would fold back from above half the rate
    if semitones > 2:
        made = np.asarray(timing.apply_pitch_shift(high, {"semitones": np.float32([semitones])}, 256))[0]
        assert made[2000:-2000].std() < 0.05 * high.std()


def test_slices_change_nothing(sound):
    amounts = np.linspace(-1, 1, 19, dtype=np.float32)
    rows = np.tile(sound[:1], (19, 1))
    np.testing.assert_array_equal(timing.in_slices(lambda x, a: x * a[:, None], rows, amounts), rows * amounts[:, None])


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
