"""The band spectrogram against a float64 statement of it in numpy and scipy."""

import os
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.signal import get_window

from ecotf._kernels import cpu
from ecotf.config import validate
from ecotf.errors import ConfigError, RecordingError
from ecotf.features import BandSpectrogram, BandSpectrogramConfig

BATS = {
    "window_s": 0.002322,
    "hop_s": 0.0005805,
    "low_hz": 4306.0,
    "high_hz": 116280.0,
    "gain": 32768.0,
    "denoise": "published",
}
RATES = [250_000, 256_000, 300_000, 384_000, 441_000, 500_000]
SMALL = {"window_s": 0.008, "hop_s": 0.002, "low_hz": 250.0, "high_hz": 3500.0, "block_s": 0.024, "gain": 3000.0}


def made(rate, **values):
    return BandSpectrogram(BandSpectrogramConfig(**values), rate)


def noise(n, seed=0, scale=0.05):
    return (np.random.default_rng(seed).normal(size=n) * scale).astype(np.float32)


def chirps(seconds, rate, seed=0):
    """Noise with calls: downward sweeps of 5 ms, ten in a second."""
    sound = noise(int(seconds * rate), seed, 0.002)
    t = np.arange(int(0.005 * rate)) / rate
    call = 0.4 * np.sin(2 * np.pi * (rate * 0.25 * t - rate * 0.1 / 0.01 * t**2)) * np.hanning(len(t))
    for start in range(rate // 20, len(sound) - len(call), rate // 10):
        sound[start : start + len(call)] += call.astype(np.float32)
    return sound


def reference(sound, spectrogram):
    """The same in float64, one step after the other; also how near a frame comes to changing sides of mask_level."""
    config = spectrogram.config
    rate, n, hop = spectrogram.sample_rate, spectrogram.n_window, spectrogram.hop
    x = np.asarray(sound, np.float64) / (32768 if sound.dtype == np.int16 else 1) * config.gain
    window = get_window(config.window, n)
    if len(x) < n:
        return np.zeros((0, spectrogram.n_rows)), np.inf
    frames = np.lib.stride_tricks.sliding_window_view(x, n)[::hop]
    power = 2 / (rate * np.sum(window**2)) * np.abs(np.fft.rfft(frames * window)) ** 2
    power = power[:, spectrogram.first_bin : spectrogram.first_bin + spectrogram.n_rows]
    if config.scale == "log1p":
        levels = np.log1p(power)
    else:
        levels = 10 * np.log10(np.maximum(power, 10 ** (config.floor_db / 10)))
    block, n_frames, starts = spectrogram.block_frames, len(levels), [0]
    while n_frames - starts[-1] >= block + block / 2:
        starts.append(starts[-1] + block)
    out, margin = [], np.inf
    for begin, end in zip(starts, [*starts[1:], n_frames], strict=True):
        part = levels[begin:end].copy()
        if config.denoise == "mean":
            part = np.maximum(part - part.mean(axis=0), 0)
        elif config.denoise == "median":
            part = np.maximum(part - np.median(part, axis=0), 0)
        elif config.denoise == "published":
            loud = part.mean(axis=1) > config.mask_level
            margin = min(margin, np.abs(part.mean(axis=1) - config.mask_level).min())
            for group in (loud, ~loud):
                if group.any():
                    part[group] -= part[group].mean(axis=0)
            part = np.maximum(part, 0)
        if config.smooth_sigma:
            part = gaussian_filter(part, config.smooth_sigma, mode="reflect", truncate=4.0)
        out.append(part)
    return np.concatenate(out), margin


def worst(sound, spectrogram):
    """The greatest difference between ours and the float64 statement."""
    ours = spectrogram(sound)
    expected, _ = reference(sound, spectrogram)
    assert ours.shape == expected.shape == (spectrogram.n_frames(len(sound)), spectrogram.n_rows)
    assert ours.dtype == np.float32
    assert ours.flags.c_contiguous
    return np.abs(ours - expected).max()


@pytest.mark.parametrize("rate", RATES)
def test_published_bat_front_end(rate):
    assert worst(chirps(0.7, rate), made(rate, **BATS)) < 1e-4


@pytest.mark.parametrize("window", ["hann", "hamming", "blackman"])
@pytest.mark.parametrize("denoise", ["none", "mean", "median", "published"])
@pytest.mark.parametrize("sigma", [0.0, 1.0, 2.7])
def test_windows_denoising_and_smoothing(window, denoise, sigma):
    spectrogram = made(8000, **SMALL, window=window, denoise=denoise, smooth_sigma=sigma, mask_level=1.3)
    assert worst(chirps(1.0, 8000), spectrogram) < 1e-4


@pytest.mark.parametrize(
    "samples", [*range(7, 40), 64, 75, 128, 143, 223, 256, 445, 446, 594, 891, 892, 1009, 1161, 1331, 2048]
)
def test_every_window_length(samples):
    rate = 10_000
    values = {"window_s": samples / rate, "hop_s": 0.0011, "low_hz": 0.0, "high_hz": rate / 2, "gain": 1000.0}
    assert worst(noise(samples + 11 * 37, samples), made(rate, **values, smooth_sigma=0.0)) < 1e-4


def test_decibels():
    spectrogram = made(256_000, **{**BATS, "gain": 1.0, "scale": "db", "denoise": "none", "floor_db": -120.0})
    assert worst(noise(100_000, 1), spectrogram) < 1e-3
    silence = spectrogram(np.zeros(20_000, np.float32))
    np.testing.assert_allclose(silence, -120.0, atol=1e-4)


def test_noise_has_the_same_level_at_every_rate():
    """Noise of 1e-10 per hertz is -100 dB, whatever the rate."""
    for rate in (250_000, 256_000, 384_000, 500_000):
        sound = noise(rate // 2, 3, np.sqrt(1e-10 * rate / 2))
        db = made(rate, **{**BATS, "gain": 1.0, "scale": "db", "denoise": "none", "smooth_sigma": 0.0})(sound)
        assert 10 * np.log10(np.mean(10 ** (db.astype(np.float64) / 10))) == pytest.approx(-100, abs=0.1)


def test_small_levels_keep_their_precision():
    """Without gain ln(1 + P) is nearly P: it must not round to nothing."""
    spectrogram = made(256_000, **{**BATS, "gain": 1.0, "denoise": "none", "smooth_sigma": 0.0})
    sound = noise(20_000, 5)
    expected, _ = reference(sound, spectrogram)
    np.testing.assert_allclose(spectrogram(sound), expected, rtol=1e-3, atol=1e-12)


def test_a_tone_stands_in_its_row():
    spectrogram = made(384_000, **BATS)
    assert (spectrogram.n_rows, spectrogram.first_bin) == (260, 10)
    tone = np.sin(2 * np.pi * 45_000 * np.arange(96_000) / 384_000).astype(np.float32)
    row = spectrogram(tone * np.repeat([0, 1], 48_000).astype(np.float32)).max(axis=0).argmax()
    assert abs(spectrogram.frequencies_hz[row] - 45_000) <= 0.5 / spectrogram.config.window_s


def test_int16_gives_the_same_bits_as_float():
    spectrogram = made(384_000, **BATS)
    raw = np.round(chirps(0.6, 384_000) * 32768).astype(np.int16)
    np.testing.assert_array_equal(spectrogram(raw), spectrogram((raw / 32768).astype(np.float32)))


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.integers(0, 300), max_size=15),
    samples=st.integers(0, 1500),
    window=st.integers(8, 70),
    hop=st.integers(1, 90),
    denoise=st.sampled_from(["none", "mean", "median", "published"]),
    sigma=st.sampled_from([0.0, 0.6, 1.0]),
    short=st.booleans(),
)
def test_streaming_gives_the_same_bits(steps, samples, window, hop, denoise, sigma, short):
    spectrogram = made(
        8000,
        **{**SMALL, "window_s": window / 8000, "hop_s": hop / 8000, "low_hz": 0, "high_hz": 4000, "denoise": denoise},
        smooth_sigma=sigma,
    )
    sound = noise(samples, samples, 0.1)
    if short:
        sound = (sound * 32768).astype(np.int16)
    whole = spectrogram(sound)
    stream, parts, at = spectrogram.stream(), [], 0
    for step in [*steps, samples]:
        parts.append(stream.push(sound[at : at + step]))
        at += step
    parts.append(stream.finish())
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert len(stream.finish()) == 0


@settings(max_examples=40, deadline=None)
@given(
    samples=st.integers(0, 3000),
    window=st.integers(8, 130),
    hop=st.integers(1, 60),
    denoise=st.sampled_from(["none", "mean", "median", "published"]),
    sigma=st.floats(0, 3),
    low=st.floats(0, 1500),
    seed=st.integers(0, 1000),
)
def test_any_configuration(samples, window, hop, denoise, sigma, low, seed):
    values = {"window_s": window / 8000, "hop_s": hop / 8000, "low_hz": low, "high_hz": 4000.0}
    try:
        spectrogram = made(8000, **values, denoise=denoise, smooth_sigma=sigma, block_s=0.05, gain=500.0)
    except ConfigError as error:
        assert "holds" in str(error)
        return
    sound = noise(samples, seed)
    expected, margin = reference(sound, spectrogram)
    assume(margin > 1e-5)
    np.testing.assert_allclose(spectrogram(sound), expected, atol=1e-4)


def test_a_short_tail_joins_the_block_before_it():
    spectrogram = made(8000, **SMALL, denoise="mean", smooth_sigma=0.0)
    assert spectrogram.block_frames == 12
    frames = {n: spectrogram(noise(64 + 16 * (n - 1), 9)) for n in (12, 17, 18)}
    assert not np.array_equal(frames[17][:12], frames[12])  # five frames joined
    np.testing.assert_array_equal(frames[18][:12], frames[12])  # six make their own block


def test_memory_is_bounded_by_the_block():
    spectrogram = made(384_000, **BATS)
    block = noise(384_000 // 4)
    stream = spectrogram.stream()
    tracemalloc.start()
    for _ in range(20):
        stream.push(block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 4 * spectrogram.block_frames * spectrogram.n_rows + 4 * len(block)


def test_several_threads_share_one_spectrogram():
    spectrogram = made(384_000, **BATS)
    sounds = [chirps(0.6, 384_000, seed) for seed in range(4)]
    alone = [spectrogram(sound) for sound in sounds]
    together = [None] * 4

    def work(i):
        for _ in range(3):
            together[i] = spectrogram(sounds[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("level", cpu.levels())
def test_every_build_of_the_kernels(level):
    """Each instruction set that can run here, in a process of its own."""
    code = (
        "import ecotf._kernels as k, runpy; t = runpy.run_path(%r); "
        "print(k.level, *[t['worst'](t['chirps'](0.5, r), t['made'](r, **t['BATS'])) < 1e-4 for r in t['RATES']])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code % __file__],
        env={**os.environ, "ECOTF_KERNELS": level},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == [level, *["True"] * len(RATES)], done.stderr


def test_a_build_that_cannot_run_is_named():
    done = subprocess.run(
        [sys.executable, "-c", "import ecotf._kernels"],
        env={**os.environ, "ECOTF_KERNELS": "v9"},
        capture_output=True,
        text=True,
    )
    assert "ECOTF_KERNELS='v9' cannot run here; allowed: " in done.stderr
    assert "portable" in done.stderr


def test_awkward_arrays():
    spectrogram = made(8000, **SMALL)
    sound = noise(2000)
    expected = spectrogram(sound)
    read_only = sound.copy()
    read_only.flags.writeable = False
    for same in (np.repeat(sound, 2)[::2], read_only, sound.astype(np.float64), sound.astype(">f4")):
        np.testing.assert_array_equal(spectrogram(same), expected)
    for few in (0, 1, 63):
        assert spectrogram(sound[:few]).shape == (0, spectrogram.n_rows)
    assert spectrogram(sound[:64]).shape == (1, spectrogram.n_rows)


def test_clipped_int16():
    spectrogram = made(8000, **SMALL)
    clipped = np.where(np.arange(2000) // 7 % 2, 32767, -32768).astype(np.int16)
    assert worst(clipped, spectrogram) < 1e-4


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("denoise", ["none", "published"])
def test_a_sample_that_is_no_number_is_named(value, denoise):
    sound = noise(8000)
    sound[4000] = value
    spectrogram = made(8000, **SMALL, denoise=denoise)
    with pytest.raises(RecordingError, match=r"near 0\.49\d s is not a number") as caught:
        spectrogram(sound)
    assert caught.value.status == "corrupt"
    stream = spectrogram.stream()
    with pytest.raises(RecordingError, match=r"near 0\.49\d s"):
        for at in range(0, 8000, 500):
            stream.push(sound[at : at + 500])


def test_sound_that_is_not_one_channel_of_samples():
    spectrogram = made(8000, **SMALL)
    with pytest.raises(ValueError, match="expected one channel"):
        spectrogram(np.zeros((100, 2), np.float32))
    with pytest.raises(ValueError, match="int32: expected float32 or int16"):
        spectrogram(np.zeros(100, np.int32))
    stream = spectrogram.stream()
    stream.push(np.zeros(100, np.int16))
    with pytest.raises(ValueError, match="cannot change from int16 to float32"):
        stream.push(np.zeros(100, np.float32))


@pytest.mark.parametrize(
    ("rate", "change", "message"),
    [
        (192_000, {}, "the band up to 116280 Hz needs a sample rate of at least 232560 Hz; this is 192000 Hz"),
        (384_000, {"window_s": 5e-6}, "window_s = 5e-06 is 1 samples at 384000 Hz; at least 4 are needed"),
        (384_000, {"hop_s": 1e-7}, "hop_s = 1e-07 is less than one sample at 384000 Hz"),
        (384_000, {"low_hz": 120_000.0}, "low_hz = 120000 must be below high_hz = 116280"),
        (384_000, {"low_hz": 115_000.0}, "holds 3 rows of 430.663 Hz; at least 4 are needed"),
        (0, {}, "sample rate 0 Hz: must be above 0"),
    ],
)
def test_what_cannot_work_is_said(rate, change, message):
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        made(rate, **{**BATS, **change})


@pytest.mark.parametrize(
    "change", [{"hop_s": 0}, {"window_s": -1}, {"gain": 0}, {"low_hz": float("nan")}, {"denoise": "all"}, {"hop": 3}]
)
def test_values_out_of_range_are_refused_by_key(change):
    with pytest.raises(ConfigError, match=f"front_end: .*{next(iter(change))}"):
        validate(BandSpectrogramConfig, {**BATS, **change}, "front_end")


def test_rows_and_blocks_are_the_same_at_every_rate():
    made_for = [made(rate, **BATS) for rate in (250_000, 256_000, 384_000, 500_000)]
    assert {(s.n_rows, s.first_bin, s.block_frames) for s in made_for} == {(260, 10, 688)}
    assert [s.n_window for s in made_for] == [580, 594, 891, 1161]
