"""Each augmentation of one sound against a plain statement of it in numpy, given the same drawn numbers."""

from __future__ import annotations

import numpy as np
import pytest

from ecotf.pipelines.augmentation import loudness, noise, timing

from .drawn_sounds import RATE, SAMPLES, SEED, N, at_snr, close, drawn, inside, level_of

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
