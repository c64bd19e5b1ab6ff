"""The spectrogram store: what it gives is the recording's spectrogram, and never that of an older file or setting."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ecotf.errors import RecordingError
from ecotf.features.spectrogram import BandSpectrogram, BandSpectrogramConfig
from ecotf.pipelines import spectrogram_store
from ecotf.pipelines.spectrogram_store import SpectrogramStore

RATE = 96_000
CONFIG = BandSpectrogramConfig(
    window_s=0.002, hop_s=0.0005, low_hz=8000, high_hz=40_000, gain=32768.0, denoise="median"
)


def write(path: Path, seed: int, seconds: float = 1.3, rate: int = RATE, channels: int = 1) -> np.ndarray:
    sound = np.random.default_rng(seed).normal(0, 0.1, (round(seconds * rate), channels)).astype(np.float32)
    sound = np.round(sound * 32768).clip(-32768, 32767).astype(np.int16)
    soundfile.write(path, sound, rate, subtype="PCM_16")
    return sound


@pytest.fixture
def recording(tmp_path) -> Path:
    path = tmp_path / "night.wav"
    write(path, 1)
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "kept" / "spectrograms"


@pytest.fixture
def computed(monkeypatch) -> list[Path]:
    """The recordings whose spectrogram was computed, not read."""
    seen: list[Path] = []
    really = spectrogram_store.compute_spectrogram

    def counted(recording, *arguments):
        seen.append(recording.path)
        return really(recording, *arguments)

    monkeypatch.setattr(spectrogram_store, "compute_spectrogram", counted)
    return seen


def get(path: Path, folder: Path | None, config: BandSpectrogramConfig = CONFIG, **choices):
    """As another training would: from a new store over the same folder."""
    expansion = choices.pop("time_expansion", None)
    return SpectrogramStore(folder, config, **choices).get(path, expansion)


@pytest.mark.parametrize("on_disk", [True, False])
def test_it_is_the_spectrogram_of_the_whole_recording(recording, folder, on_disk):
    spectrogram = BandSpectrogram(CONFIG, RATE)
    stored = get(recording, folder if on_disk else None)
    np.testing.assert_array_equal(stored.values, spectrogram(soundfile.read(recording, dtype="int16")[0]))
    assert isinstance(stored.values, np.memmap) is on_disk
    assert folder.exists() is on_disk
    assert (stored.hop_s, stored.offset_s) == (0.0005, 0.001)
    assert (stored.duration_s, stored.sample_rate) == (1.3, RATE)
    np.testing.assert_array_equal(stored.frequencies_hz, spectrogram.frequencies_hz)
    assert stored.slice_at(stored.offset_s + 100 * stored.hop_s) == 100
    assert stored.slice_at(stored.offset_s + 100.4 * stored.hop_s) == 100


def test_it_is_computed_once(recording, folder, computed):
    store = SpectrogramStore(folder, CONFIG)
    first = store.get(recording)
    assert store.get(recording) is first
    second = get(recording, folder)
    assert computed == [recording]
    np.testing.assert_array_equal(first.values, second.values)
    assert second.seconds_used == first.seconds_used > 0


def test_the_same_sound_under_another_name_is_not_computed_again(recording, folder, computed):
    get(recording, folder)
    get(recording.rename(recording.with_name("moved.wav")), folder)
    assert len(computed) == 1


def test_an_edited_recording_is_computed_anew(recording, folder, computed):
    before = get(recording, folder).values.copy()
    stamp = recording.stat()
    write(recording, 2)
    os.utime(recording, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # as a copy program leaves it
    after = get(recording, folder)
    assert len(computed) == 2
    assert np.abs(before - after.values).max() > 0.1
    np.testing.assert_array_equal(after.values, get(recording, None).values)


@pytest.mark.parametrize(
    "setting",
    [
        {"window": "hamming"}, {"hop_s": 0.001}, {"low_hz": 9000}, {"gain": 2.0}, {"scale": "db"}, {"denoise": "mean"},
        {"smooth_sigma": 0.0}, {"block_s": 0.2}, {"mask_level": 0.6}, {"floor_db": -120.0},
    ],
)  # fmt: skip
def test_a_changed_setting_is_computed_anew(recording, folder, computed, setting):
    get(recording, folder)
    changed = CONFIG.model_copy(update=setting)
    found = get(recording, folder, changed)
    assert len(computed) == 2
    np.testing.assert_array_equal(found.values, get(recording, None, changed).values)


def test_channels_and_time_expansions_are_kept_apart(tmp_path, folder, computed):
    path = tmp_path / "stereo.wav"
    write(path, 1, channels=2)
    tables = [get(path, folder, channel=channel).values for channel in ("mix", 1, 2)]
    assert np.abs(tables[1] - tables[2]).max() > 0.1
    slow = get(path, folder, CONFIG.model_copy(update={"high_hz": 200_000.0}), time_expansion=10)
    assert slow.sample_rate == 10 * RATE
    assert slow.duration_s == pytest.approx(0.13)
    assert get(path, folder, time_expansion=10).sample_rate == 10 * RATE
    assert get(path, folder).sample_rate == RATE
    assert len(computed) == 5


@pytest.mark.parametrize("damage", ["cut", "emptied", "garbage", "gone", "facts_cut", "facts_gone"])
def test_a_damaged_entry_is_computed_anew(recording, folder, computed, damage):
    whole = get(recording, folder).values.copy()
    (kept,) = folder.glob("*.npy")
    facts = kept.with_suffix(".json")
    content = kept.read_bytes()
    match damage:
        case "cut":
            kept.write_bytes(content[: len(content) // 2])
        case "emptied":
            kept.write_bytes(b"")
        case "garbage":
            kept.write_bytes(b"\x00" * 500)
        case "gone":
            kept.unlink()
        case "facts_cut":
            facts.write_text('{"recording": "')
        case "facts_gone":
            facts.unlink()
    np.testing.assert_array_equal(get(recording, folder).values, whole)
    assert len(computed) == 2
    assert json.loads(facts.read_text())["seconds_used"] > 0
    get(recording, folder)
    assert len(computed) == 2
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".npy"]


def test_more_recordings_than_files_may_be_open(tmp_path, folder):
    """A spectrogram on disk holds a file open, and the usual limit is 1,024."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    n_open = len(os.listdir("/proc/self/fd"))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (n_open + 20, before[1]))
        store = SpectrogramStore(folder, CONFIG)
        kept = []
        for number in range(30):
            write(tmp_path / f"{number}.wav", number, seconds=0.05)
            kept.append(store.get(tmp_path / f"{number}.wav"))
        assert all(isinstance(stored.values, np.memmap) and stored.values.max() > 0 for stored in kept)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_recording_too_short_for_one_spectrum(tmp_path, folder, computed):
    path = tmp_path / "blip.wav"
    write(path, 1, seconds=0.001)
    for _ in range(2):
        assert get(path, folder).values.shape == (0, 64)
    assert len(computed) == 1


def test_a_recording_that_cannot_carry_the_band_is_refused_with_the_reason(tmp_path, folder):
    path = tmp_path / "birds.wav"
    write(path, 1, rate=48_000)
    with pytest.raises(RecordingError, match=r"40000 Hz needs a sample rate of at least 80000 Hz; this is 48000") as no:
        get(path, folder)
    assert no.value.status == "unsupported"
    with pytest.raises(RecordingError) as no:
        get(tmp_path / "none.wav", folder)
    assert no.value.status == "failed"
    assert not folder.exists()
