"""The mel spectrogram against a float64 statement of it, and against librosa.

Tolerances: powers 1e-5 of the greatest; decibels 1e-3; PCEN 1e-4.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from librosa_figures import by_librosa
from scipy.signal import get_window, lfilter

from ecotf.config import validate
from ecotf.errors import ConfigError, RecordingError
from ecotf.features import MelSpectrogram, MelSpectrogramConfig, PcenConfig

BIRDS = {"window_s": 0.032, "hop_s": 0.01, "low_hz": 50.0, "high_hz": 14_000.0, "bands": 64}
LIBROSA = {**BIRDS, "centred": True, "power": "plain", "scale": "power"}


def made(rate=32_000, **values):
    return MelSpectrogram(MelSpectrogramConfig(**values), rate)


def sound_of(n, seed=0, rate=32_000):
    """Noise over 40 dB of slope with a chirp."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / rate
    noise = lfilter([0.01], [1, -0.95], rng.normal(size=n))
    return (noise + 0.1 * np.sin(2 * np.pi * (1000 * t + 2000 * t**2)) * (t % 0.5 < 0.1)).astype(np.float32)


def reference(sound, made):
    """The same in float64, without denoising and smoothing."""
    config, n, rate = made.config, made.n_window, made.sample_rate
    x = np.asarray(sound, np.float64) / (32768 if sound.dtype == np.int16 else 1) * config.gain
    if config.centred and len(x):
        x = np.pad(x, n // 2, mode=config.padding)
    if len(x) < n:
        return np.zeros((0, config.bands))
    window = get_window(config.window, n)
    power = np.abs(np.fft.rfft(np.lib.stride_tricks.sliding_window_view(x, n)[:: made.hop] * window)) ** 2
    if config.power == "density":
        power *= 2 / (rate * np.sum(window**2))
    energy = power @ triangles(config, np.arange(n // 2 + 1) * rate / n).T
    if config.scale == "pcen":
        pcen = config.pcen
        frames = pcen.time_constant_s / made.hop_s
        pace = (np.sqrt(1 + 4 * frames**2) - 1) / (2 * frames**2)
        average, out = np.ones(config.bands), []
        for frame in energy:
            average = (1 - pace) * average + pace * frame
            out.append((frame / (pcen.eps + average) ** pcen.gain + pcen.bias) ** pcen.power - pcen.bias**pcen.power)
        return np.array(out).reshape(-1, config.bands)
    floored = np.maximum(energy, 10 ** (config.floor_db / 10))
    return {
        "power": energy,
        "log1p": np.log1p(energy),
        "ln": np.log(floored),
        "db": 10 * np.log10(floored),
    }[config.scale]


def triangles(config, bins_hz):
    """The bands, corner by corner."""

    def mel(f):
        if config.mel_scale == "htk":
            return 2595 * np.log10(1 + f / 700)
        return 3 * f / 200 if f < 1000 else 15 + 27 * np.log(f / 1000) / np.log(6.4)

    def hertz(m):
        if config.mel_scale == "htk":
            return 700 * (10 ** (m / 2595) - 1)
        return 200 * m / 3 if m < 15 else 1000 * np.exp(np.log(6.4) * (m - 15) / 27)

    corners = [hertz(m) for m in np.linspace(mel(config.low_hz), mel(config.high_hz), config.bands + 2)]
    rows = []
    for low, middle, high in zip(corners, corners[1:], corners[2:], strict=False):
        height = 2 / (high - low) if config.band_norm == "slaney" else 1.0
        rows.append(np.interp(bins_hz, [low, middle, high], [0, height, 0]))
    return np.array(rows)


@pytest.mark.parametrize("scale", ["power", "log1p", "ln", "db", "pcen"])
@pytest.mark.parametrize("mel_scale", ["htk", "slaney"])
@pytest.mark.parametrize("band_norm", ["slaney", "none"])
def test_scales_and_norms(scale, mel_scale, band_norm):
    spectrogram = made(**BIRDS, scale=scale, mel_scale=mel_scale, band_norm=band_norm, power="plain")
    sound = sound_of(40_000)
    ours, expected = spectrogram(sound), reference(sound, spectrogram)
    assert ours.shape == expected.shape == (spectrogram.n_frames(40_000), 64)
    tolerance = 1e-5 * np.abs(expected).max() if scale in ("power", "pcen") else 1e-4
    np.testing.assert_allclose(ours, expected, rtol=1e-5 if scale == "power" else 1e-4, atol=tolerance)


@settings(max_examples=80, deadline=None)
@given(
    samples=st.integers(0, 2000),
    window=st.integers(16, 300),
    hop=st.integers(1, 200),
    bands=st.integers(1, 40),
    centred=st.booleans(),
    padding=st.sampled_from(["reflect", "constant"]),
    shape=st.sampled_from(["hann", "hamming", "blackman"]),
    power=st.sampled_from(["density", "plain"]),
    scale=st.sampled_from(["db", "pcen", "ln"]),
    short=st.booleans(),
)
@pytest.mark.filterwarnings("ignore:.*hold no frequency bin")
def test_any_configuration(samples, window, hop, bands, centred, padding, shape, power, scale, short):
    spectrogram = made(
        8000, window_s=window / 8000, hop_s=hop / 8000, low_hz=100, high_hz=4000, bands=bands, centred=centred,
        padding=padding, window=shape, power=power, scale=scale, floor_db=-90.0,
    )  # fmt: skip
    sound = sound_of(samples, samples, 8000)
    if short:
        sound = np.round(np.clip(sound, -1, 1) * 32767).astype(np.int16)
    expected = reference(sound, spectrogram)
    whole = spectrogram(sound)
    assert whole.shape == (spectrogram.n_frames(samples), bands)
    np.testing.assert_allclose(whole, expected, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(spectrogram(sound, threads=3), whole)
    stream, parts, at, rng = spectrogram.stream(), [], 0, np.random.default_rng(samples)
    while at < samples:
        step = int(rng.integers(0, 400))
        parts.append(stream.push(sound[at : at + step]))
        at += step
    np.testing.assert_array_equal(np.concatenate([*parts, stream.finish()]), whole)


@pytest.mark.parametrize(
    "change", [{}, {"htk": True}, {"norm": None}, {"window": "blackman"}, {"pad_mode": "constant"}]
)
def test_librosa_mel(change):
    names = {"htk": ("mel_scale", "htk"), "norm": ("band_norm", "none"), "pad_mode": ("padding", "constant")}
    ours = {**LIBROSA, "mel_scale": "slaney"} | dict(names.get(key, (key, value)) for key, value in change.items())
    sound = sound_of(12_000)

    def ask(librosa):
        power = librosa.feature.melspectrogram(
            y=sound, sr=32_000, n_fft=1024, hop_length=320, n_mels=64, fmin=50, fmax=14_000,
            **{"pad_mode": "reflect", **change},
        ).T  # fmt: skip
        return np.stack([power, librosa.power_to_db(power, top_db=None)])

    theirs, their_decibels = by_librosa(f"mel spectrogram {change}", ask)
    mine = made(**ours)(sound)
    np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5 * theirs.max())
    decibels = made(**{**ours, "scale": "db", "floor_db": -100.0})(sound)
    np.testing.assert_allclose(decibels, their_decibels, atol=2e-3)


def test_librosa_pcen():
    values = {**LIBROSA, "gain": 2.0**15, "pcen": PcenConfig(time_constant_s=0.3, gain=0.9, bias=3, power=0.4)}
    sound = sound_of(30_000)
    theirs = by_librosa(
        "PCEN",
        lambda librosa: librosa.pcen(
            made(**values)(sound).T.astype(np.float64), sr=32_000, hop_length=320, time_constant=0.3, gain=0.9, bias=3,
            power=0.4,
        ).T,
    )  # fmt: skip
    np.testing.assert_allclose(made(**{**values, "scale": "pcen"})(sound), theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"denoise": "median", "smooth_sigma": 1.0},
        {"scale": "pcen"},
        {"scale": "pcen", "denoise": "mean"},
        {"centred": True, "denoise": "published"},
    ],
)
def test_threads_and_batches_give_the_same_bits(values):
    spectrogram = made(**BIRDS, **values)
    sounds = np.stack([sound_of(200_000, seed) for seed in range(3)])
    alone = [spectrogram(sound) for sound in sounds]
    np.testing.assert_array_equal(spectrogram(sounds[0], threads=2), alone[0])
    np.testing.assert_array_equal(spectrogram(sounds[0], threads=5), alone[0])
    np.testing.assert_array_equal(spectrogram.batch(sounds), alone)
    np.testing.assert_array_equal(spectrogram.batch(sounds, threads=2), alone)
    out = np.empty_like(alone[1])
    assert spectrogram(sounds[1], out=out) is out
    np.testing.assert_array_equal(out, alone[1])


def test_times_of_frames():
    spectrogram = made(**BIRDS)
    assert (spectrogram.n_window, spectrogram.hop, spectrogram.offset_s) == (1024, 320, 0.016)
    assert made(**BIRDS, centred=True).offset_s == 0
    click = np.zeros(32_000, np.float32)
    click[16_000] = 1
    assert made(**BIRDS, centred=True)(click).max(axis=1).argmax() == 50


def test_bands_without_a_bin_are_named():
    with pytest.warns(UserWarning, match=r"of 128 mel bands hold no frequency bin .*: band 0 \(50-\d+ Hz\)"):
        spectrogram = made(**{**BIRDS, "window_s": 0.008, "bands": 128}, scale="power")
    values = spectrogram(sound_of(5000))
    assert (values[:, spectrogram.weights.max(axis=1) == 0] == 0).all()
    assert (values[:, spectrogram.weights.max(axis=1) > 0] > 0).all()


@pytest.mark.filterwarnings("ignore:.*hold no frequency bin")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"high_hz": 17_000.0}, "the band up to 17000 Hz needs a sample rate of at least 34000 Hz"),
        ({"low_hz": 14_000.0}, "low_hz = 14000 must be below high_hz = 14000"),
        (
            {"low_hz": 40.0, "high_hz": 45.0, "window_s": 0.01, "bands": 2},
            "no frequency bin: they are 100 Hz apart",
        ),
        ({"hop_s": 1e-6}, "hop_s = 1e-06 is less than one sample at 32000 Hz"),
    ],
)
def test_what_cannot_work_is_said(change, message):
    with pytest.raises(ConfigError, match=message):
        made(**{**BIRDS, **change})


@pytest.mark.parametrize("change", [{"bands": 0}, {"hop_s": 0}, {"scale": "log"}, {"mel_scale": "bark"}])
def test_values_out_of_range_are_refused_by_key(change):
    with pytest.raises(ConfigError, match=next(iter(change))):
        validate(MelSpectrogramConfig, {**BIRDS, **change}, "front_end")


def test_bad_sound_and_bad_room():
    spectrogram = made(**BIRDS, centred=True)
    for few in (0, 1, 2, 511, 512, 513):
        assert np.isfinite(spectrogram(sound_of(few))).all()
    assert len(spectrogram(sound_of(0))) == 0
    sound = sound_of(32_000)
    sound[16_000] = np.nan
    for threads in (1, 2):
        with pytest.raises(RecordingError, match=r"near 0\.4\d\d s is not a number"):
            spectrogram(sound, threads=threads)
    with pytest.raises(ValueError, match="threads = 0"):
        spectrogram.batch(sound_of(2000)[None], threads=0)
    with pytest.raises(ValueError, match=r"expected \[batch, n_samples\]"):
        spectrogram.batch(sound)
    with pytest.raises(ValueError, match=r"out is float64 \(3, 64\): expected a writeable"):
        spectrogram(sound, out=np.zeros((3, 64)))
