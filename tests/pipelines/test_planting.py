"""Events planted into other recordings: where they are heard, what is written of them, and that a decoy is no event."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ecotf.pipelines.crops import ClipSounds
from ecotf.pipelines.event_draws import NO_PLACES, EventDraws, EventDrawsConfig, Places, quiet_places
from ecotf.pipelines.frame_truth import FrameTruth
from ecotf.pipelines.planting import Planting, PlantingConfig, _played, in_band, rms_in_band
from tests.pipelines.test_event_truth import rows_of

RATE = 8000
PLACES = ("recording", "start_s", "end_s", "chance")


def planting_of(folder: Path, **config) -> Planting:
    """A call of 2 kHz with its box in ``a``, noise in ``b``."""
    rng = np.random.default_rng(0)
    noise = 0.01 * rng.standard_normal((2, 10 * RATE))
    noise[0, 4 * RATE : 5 * RATE] += 0.5 * np.sin(2 * np.pi * 2000 * np.arange(RATE) / RATE)
    for name, sound in zip("ab", noise, strict=True):
        soundfile.write(folder / f"{name}.wav", sound, RATE)
    rows = rows_of(("a", 4.0, 5.0, "owl", "yes"), ("b", 0, np.nan, "", "yes"))
    rows.low_hz[:1], rows.high_hz[:1] = 1500, 2500
    truth = FrameTruth(rows, frames=10, frame_s=0.2, seconds=2.0)
    sounds = ClipSounds([folder / "a.wav", folder / "b.wav"], RATE)
    return Planting(PlantingConfig(**config), truth, sounds, quiet_places(rows, 1.0), (100.0, 3900.0))


def planted(planting: Planting) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clips of ``b`` with the call in them: what was added ``[n, samples]``, and frames and clips of their truth."""
    events, recording, start_s = np.array([0, 0, -1, 0]), np.ones(4, int), np.array([0.0, 3.0, 4.0, 9.0])
    targets = planting.truth.packed(recording, start_s)
    noise = planting.sounds.passage(1, 0, 2 * RATE)
    sound, marked = planting.into(events, recording, start_s, (3, 1))(
        np.arange(4), np.stack([noise] * 4), targets.copy()
    )
    truth = planting.truth.unpacked(marked)
    assert (truth.clip_known == 1).all() and (truth.frames_known[:3] == 1).all()
    return sound - noise, truth.frames[..., 0], truth.clip[:, 0]


def test_a_planted_call_is_where_its_frames_say(tmp_path):
    added, frames, clip = planted(planting_of(tmp_path, snr_db=(10, 10), decoys=0.0))
    assert clip.tolist() == [1, 1, 0, 1] and not added[2].any() and not frames[2].any()
    loud = np.sqrt(np.square(added).reshape(4, 10, -1).mean(2))
    for row in (0, 1, 3):
        np.testing.assert_allclose(loud[row] > 0.6 * loud[row].max(), frames[row] > 0.5)
        assert frames[row].sum() * 0.2 == 1 if row < 3 else frames[row].sum() * 0.2 <= 1.001
    noise = in_band(planting_of(tmp_path).sounds.passage(1, 0, 2 * RATE), RATE, (1500, 2500))
    assert 8 < 20 * np.log10(loud[0].max() / noise.std()) < 12
    spectrum = np.abs(np.fft.rfft(added[0]))
    assert spectrum[: 2 * 1200].max() < 1e-3 * spectrum.max()  # outside of its box nothing is added


def test_a_decoy_is_sound_and_no_event(tmp_path):
    added, frames, clip = planted(planting_of(tmp_path, snr_db=(10, 10), decoys=1.0))
    assert not frames.any() and not clip.any() and added[0].any() and not added[2].any()


def test_a_decoy_from_elsewhere_is_what_another_recording_has_of_most_sound_in_the_band(tmp_path):
    planting = planting_of(tmp_path, decoys=0.0, elsewhere=1.0)
    noise, rate = planting.sounds.passage(1, 0, 10 * RATE).copy(), RATE
    noise[6 * rate : 8 * rate] += 0.3 * np.sin(2 * np.pi * 1800 * np.arange(2 * rate) / rate)  # a whistle in its band
    soundfile.write(tmp_path / "b.wav", noise, rate)
    whistled = replace(planting, sounds=ClipSounds([tmp_path / "a.wav", tmp_path / "b.wav"], rate))
    found = [whistled.piece(0, False, 2.0, np.random.default_rng(seed)) for seed in range(40)]
    assert not any(is_event for _, is_event in found)
    with_whistle = sum(rms_in_band(piece, rate, (1700, 1900)) > 0.02 for piece, _ in found)
    assert 25 < with_whistle < 40  # one stretch of four has it with 1 - (2 / 3) ** 4
    beside = replace(whistled, config=PlantingConfig(decoys=1.0, elsewhere=0.0))
    assert (
        max(
            rms_in_band(beside.piece(0, True, 2.0, np.random.default_rng(seed))[0], rate, (1700, 1900))
            for seed in range(10)
        )
        < 0.02
    )


def test_where_all_recordings_have_the_class_a_decoy_is_cut_beside_the_event(tmp_path):
    planting = planting_of(tmp_path, decoys=1.0, elsewhere=1.0)
    own = planting.quiet.recording == 0
    alone = replace(planting, quiet=Places(*(getattr(planting.quiet, name)[own] for name in PLACES)))
    piece, is_event = alone.piece(0, True, 2.0, np.random.default_rng(1))
    assert len(piece) and not is_event
    rows = rows_of(("a", 4.0, 5.0, "owl", "yes"), ("b", 0.0, 1.0, "owl", "yes"))
    both = replace(planting, truth=replace(planting.truth, rows=rows), quiet=quiet_places(rows, 1.0))
    assert set(both.quiet.recording) == {0, 1}
    assert both.everywhere(0) and not planting.everywhere(0)
    beside = replace(both, config=PlantingConfig(decoys=1.0))
    for seed in range(5):
        pieces = [one.piece(0, True, 2.0, np.random.default_rng(seed))[0] for one in (both, beside)]
        np.testing.assert_array_equal(*pieces)
    nowhere = replace(planting, quiet=NO_PLACES)
    assert nowhere.piece(0, True, 2.0, np.random.default_rng(1))[1]


def test_an_event_is_planted_into_other_recordings(tmp_path):
    planting = planting_of(tmp_path)
    config = EventDrawsConfig(events=0.5, weak=0, anywhere=0, planted=0.5, clips=40)
    recording, _, events = EventDraws(planting.truth.rows, config, 2.0).draw(1, 0)
    assert (events >= 0).sum() in (19, 20, 21) and (recording[events < 0] == 0).all()
    assert set(recording[events >= 0]) == {0, 1}  # of a single recording with the class, its own too


@pytest.mark.parametrize("samples", [1, 2, 1000, 4093])
def test_a_band_alone_and_how_loud_it_is(samples):
    rng = np.random.default_rng(samples)
    sound = rng.standard_normal(samples).astype(np.float32)
    long = np.zeros(2 * samples + 4096)  # so that nothing wraps around
    long[:samples] = sound
    hertz, soft = np.fft.rfftfreq(len(long), 1 / RATE), max(100.0, RATE / samples)
    kept = np.clip((hertz - 1000) / soft + 1, 0, 1) * np.clip((2000 - hertz) / soft + 1, 0, 1)
    spectrum = np.fft.rfft(long) * kept
    made = in_band(sound, RATE, (1000.0, 2000.0))
    assert made.dtype == np.float32 and made.shape == (samples,)
    inside = slice(samples // 4, -(samples // 4) or None)  # away from where the transform comes round
    if samples > 1000:
        np.testing.assert_allclose(made[inside], np.fft.irfft(spectrum, len(long))[:samples][inside], atol=0.02)
    rms = np.sqrt(np.square(np.fft.irfft(spectrum, len(long))).sum() / samples)
    np.testing.assert_allclose(rms_in_band(sound, RATE, (1000.0, 2000.0)), rms, rtol=0.03 if samples > 999 else 0.7)
    assert rms_in_band(sound[:0], RATE, (1000.0, 2000.0)) == 0.0 and not len(in_band(sound[:0], RATE, (1000.0, 2000.0)))


def test_another_speed_is_another_pitch_and_length_and_the_frames_know(tmp_path):
    planting = planting_of(tmp_path, snr_db=(20, 20), decoys=0.0, speed=0.1)
    heard = []
    for seed in range(12):
        events, recording, start_s = np.zeros(1, int), np.ones(1, int), np.zeros(1)
        sound, marked = planting.into(events, recording, start_s, (seed, 1))(
            np.zeros(1, int), np.zeros((1, 2 * RATE), np.float32), planting.truth.packed(recording, start_s)
        )
        length_s = planting.truth.unpacked(marked).frames[0, :, 0].sum() * 0.2
        pitch_hz = np.abs(np.fft.rfft(sound[0])).argmax() / 2
        assert pitch_hz * length_s == pytest.approx(2000, rel=0.02)  # as many waves as there were
        loud = np.abs(sound[0]) > 0.1
        assert np.flatnonzero(loud).size and np.ptp(np.flatnonzero(loud)) / RATE == pytest.approx(length_s, abs=0.08)
        heard.append(pitch_hz)
    assert np.std(np.log(heard)) == pytest.approx(0.1, abs=0.05) and np.ptp(np.log(heard)) < 0.41
    assert planted(planting_of(tmp_path))[0].any()


@pytest.mark.parametrize("length", [1, 2, 997, 10_007, 65_537])
def test_a_piece_is_played_hardly_slower_than_asked_whatever_its_length(length):
    times = np.arange(length) / length
    piece = (np.sin(2 * np.pi * 10 * times) * np.sin(np.pi * times) ** 2).astype(np.float32)
    for speed in (0.89, 0.97, 1.0001, 1.06, 1.13):
        played = _played(piece, speed)
        assert played.dtype == np.float32 and len(played) >= 1
        if length > 900:
            assert 1.0 - 1 / len(played) <= len(played) / (length / speed) <= 1.03
            again = np.arange(len(played)) / len(played)
            np.testing.assert_allclose(played, np.interp(again, times, piece), atol=0.02)
