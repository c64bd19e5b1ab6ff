"""The gate: its statistic in decibels whatever the scale, and a stream that leaves out only what cannot matter."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ecotf.errors import ConfigError
from ecotf.features.configs import BandSpectrogramConfig
from ecotf.features.gate import GateConfig, RunningGate, before_denoising, to_decibels
from ecotf.features.gated import GatedStream
from ecotf.features.spectrogram import BandSpectrogram

RATE = 250_000
CONFIG = BandSpectrogramConfig(
    window_s=0.002, hop_s=0.0005, low_hz=10_000, high_hz=100_000, scale="db", denoise="median", block_s=0.05
)
DB = BandSpectrogram(CONFIG, RATE)
GATE = GateConfig()


def sound_with(*clicks_s: float, seconds: float = 1.3, level: float = 0.1) -> np.ndarray:
    """Noise, and 3 ms of 40 kHz at each of the times."""
    rng = np.random.default_rng(3)
    sound = 0.001 * rng.standard_normal(round(seconds * RATE))
    t = np.arange(round(0.003 * RATE)) / RATE
    for at_s in clicks_s:
        at = round(at_s * RATE)
        sound[at : at + t.size] += level * np.sin(2 * np.pi * 40e3 * t) * np.hanning(t.size)
    return sound.astype(np.float32)


def over_floor(sound: np.ndarray, spectrogram: BandSpectrogram = DB, cuts: list[int] | None = None) -> np.ndarray:
    gate = RunningGate(GATE, spectrogram)
    parts = [np.empty(0, np.float32)]
    for piece in np.split(before_denoising(spectrogram)(sound), cuts or []):
        parts += gate.push(piece)
    return np.concatenate(parts + gate.finish())


def test_a_call_stands_over_the_noise_by_its_energy():
    sound = sound_with(0.4, 0.9)
    track = over_floor(sound)
    assert track.shape == (DB.n_frames(len(sound)),)
    times = DB.offset_s + np.arange(len(track)) * DB.hop_s
    near = (np.abs(times - 0.4015) < 0.003) | (np.abs(times - 0.9015) < 0.003)
    assert np.median(track) < 6
    assert track[near].max() > 30
    assert track[~near].max() < 14
    # The floor is the noise, so the level of what sounds over it does not hang on the recorder's gain.
    np.testing.assert_allclose(over_floor(sound * np.float32(0.25)), track, atol=0.01)


def test_the_floor_follows_a_noise_that_becomes_louder():
    """20 dB more at 0.3 s: over the floor at first, and two seconds later, at 10 dB a second, no more."""
    sound = sound_with(seconds=3.5)
    sound[round(0.3 * RATE) :] *= 10
    track = over_floor(sound)
    per_second = round(1 / DB.hop_s)
    assert np.median(track[round(0.31 * per_second) : round(0.4 * per_second)]) > 20
    assert np.median(track[3 * per_second :]) < 6


@pytest.mark.parametrize("scale", ["log1p", "ln", "power"])
def test_the_same_for_every_scale(scale):
    """Levels are far over 1, as in the recipes that take ln(1 + P), so float32 loses nothing."""
    gain = 1e6
    db, other = (
        BandSpectrogram(CONFIG.model_copy(update={"scale": name, "gain": gain}), RATE) for name in ("db", scale)
    )
    sound = sound_with(0.4)
    np.testing.assert_allclose(over_floor(sound, other), over_floor(sound, db), atol=2e-3)


def test_decibels_of_levels():
    power = np.array([1e-3, 0.5, 1.0, 40.0, 1e9], np.float32)
    expected = 10 * np.log10(power.astype(float))
    for scale, levels in {
        "power": power, "db": 10 * np.log10(power), "ln": np.log(power), "log1p": np.log1p(power),
    }.items():  # fmt: skip
        np.testing.assert_allclose(to_decibels(levels, scale), expected, atol=1e-4)
    assert to_decibels(np.zeros(1, np.float32), "log1p")[0] == pytest.approx(-200)


def test_levels_that_are_no_energies_are_refused():
    pcen = BandSpectrogram(CONFIG.model_copy(update={"scale": "pcen"}), RATE)
    with pytest.raises(ConfigError, match=r"front_end\.scale = pcen: the gate compares energies; allowed: db, ln"):
        RunningGate(GATE, pcen)


@pytest.mark.parametrize("wrong", [{"band_hz": 0}, {"rise_db_s": -1}, {"fall_db_s": float("inf")}, {"calls_lost": 1}])
def test_settings_that_cannot_be(wrong):
    with pytest.raises(ValidationError):
        GateConfig(**wrong)


@pytest.mark.parametrize("band_hz", [1.0, 500.0, 7000.0, 1e9])
def test_bands_of_any_width(band_hz):
    gate = RunningGate(GateConfig(band_hz=band_hz), DB)
    levels = np.random.default_rng(0).normal(size=(DB.block_frames * 2, DB.n_rows)).astype(np.float32)
    assert [len(block) for block in gate.push(levels)] == [DB.block_frames]
    assert [len(block) for block in gate.finish()] == [DB.block_frames]


@settings(deadline=None, max_examples=20)
@given(cuts=st.lists(st.integers(0, 2600), max_size=6))
def test_pieces_make_no_difference(cuts):
    sound = sound_with(0.3, 0.8)
    np.testing.assert_array_equal(over_floor(sound, cuts=sorted(cuts)), over_floor(sound))


# --- the stream ------------------------------------------------------------------------------------------------------


def gated(sound, threshold_db, margin=20, cuts=(), spectrogram=DB):
    stream = GatedStream(spectrogram, GATE, threshold_db, margin)
    kept = [stretch for piece in np.split(sound, sorted(cuts)) for stretch in stream.push(piece)]
    return kept + stream.finish(), stream


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        CONFIG.model_copy(update={"scale": "log1p", "denoise": "published", "gain": 1e5}),
        CONFIG.model_copy(update={"denoise": "none", "smooth_sigma": 0.0}),
    ],
    ids=["median", "published", "plain"],
)
def test_an_open_gate_gives_the_whole_bit_for_bit(config):
    spectrogram = BandSpectrogram(config, RATE)
    sound = sound_with(0.3, 0.8, seconds=1.27)
    kept, stream = gated(sound, -1e9, cuts=[5000, 5001, 200_000], spectrogram=spectrogram)
    np.testing.assert_array_equal(np.concatenate([stretch.values for stretch in kept]), spectrogram(sound))
    assert [stretch.first + len(stretch.values) for stretch in kept[:-1]] == [stretch.first for stretch in kept[1:]]
    assert all(stretch.reaches.all() for stretch in kept)
    assert (stream.frames, stream.frames_passed) == (spectrogram.n_frames(len(sound)), 0)


@settings(deadline=None, max_examples=25)
@given(
    cuts=st.lists(st.integers(0, 325_000), max_size=6), margin=st.sampled_from([0, 7, 60, 350]),
    threshold_db=st.sampled_from([12.0, 25.0]),
)  # fmt: skip
def test_what_is_kept_is_all_that_lies_near_what_reaches_the_gate(cuts, margin, threshold_db):
    sound = sound_with(0.03, 0.41, 0.42, 1.02)
    whole, reaches = DB(sound), over_floor(sound) >= threshold_db
    kept, stream = gated(sound, threshold_db, margin, cuts)
    is_kept = np.zeros(len(whole), bool)
    for stretch in kept:
        span = slice(stretch.first, stretch.first + len(stretch.values))
        np.testing.assert_array_equal(stretch.values, whole[span])
        np.testing.assert_array_equal(stretch.reaches, reaches[span])
        is_kept[span] = True
    near = np.array([reaches[max(0, i - margin) : i + margin + 1].any() for i in range(len(whole))])
    assert is_kept[near].all()
    # Nothing is kept for no reason: whole blocks, each with something that is near.
    starts = [stretch.first for stretch in kept]
    assert sorted(starts) == starts
    assert all(near[stretch.first : stretch.first + len(stretch.values)].any() for stretch in kept)
    assert (stream.frames, stream.frames_passed) == (len(whole), int((~is_kept).sum()))
    assert stream.frames_passed > 0 or margin == 350


def test_nothing_sounds():
    kept, stream = gated(np.zeros(RATE, np.float32), 6.0)
    assert kept == []
    assert stream.frames_passed == stream.frames == DB.n_frames(RATE)


@pytest.mark.parametrize("n_samples", [0, 1, 499, 500, 624, 625, 14_000])
def test_next_to_nothing(n_samples):
    sound = sound_with()[:n_samples]
    kept, stream = gated(sound, -1e9)
    assert sum(len(stretch.values) for stretch in kept) == stream.frames == DB.n_frames(n_samples)


def test_memory_does_not_grow():
    """Blocks are given out, or passed over, while the sound comes in; what waits is as long as the margin asks."""
    stream = GatedStream(DB, GATE, 25.0, 30)
    sound = sound_with(0.41, seconds=2.0)
    settled = []
    for at in range(0, len(sound), RATE // 10):
        stream.push(sound[at : at + RATE // 10])
        settled.append(stream.frames)
    waiting = (np.arange(1, len(settled) + 1) * 0.1 / DB.hop_s) - settled
    assert waiting.max() < 3 * DB.block_frames + 30
    assert all(later >= earlier for earlier, later in pairwise(settled))
