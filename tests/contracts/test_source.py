"""Every sound source: its config comes back, passages are those of the whole, a broken file is one sentence."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile

from ecotf.audio.recording import open_recording
from ecotf.config import validate
from ecotf.errors import ConfigError, RecordingError
from ecotf.features import MelSpectrogramConfig
from ecotf.features.image import ImageConfig
from ecotf.pipelines.clips import ClipsConfig, ClipTable
from ecotf.pipelines.crops import ClipSounds, SkippedRecordings
from ecotf.pipelines.image_batches import ClipImages, EpochDraws, clip_batches
from ecotf.pipelines.samplers import SamplerConfig
from ecotf.pipelines.sources import SOURCES

RATE = 16_000
NAMES = [entry.name for entry in SOURCES]
FRONT_END = MelSpectrogramConfig(window_s=0.032, hop_s=0.016, low_hz=50, high_hz=7000, bands=16, centred=True)


def sound_of(seconds: float, channels: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, (round(seconds * RATE), channels)).clip(-0.9, 0.9)


def write_recording(folder: Path) -> Path:
    soundfile.write(folder / "recording.wav", sound_of(2.0), RATE, "FLOAT")
    return folder / "recording.wav"


def write_rows(file: Path, samples: np.ndarray, **how: object) -> list[Path]:
    """An HDF5 file as PANNs pack theirs; the paths of its rows."""
    names = [f"Y-{number}.wav" for number in range(len(samples))]
    with h5py.File(file, "w") as opened:
        opened["audio_name"] = np.array(names, "S20")
        opened.create_dataset("waveform", data=samples, **how)
        opened["target"] = np.ones((len(samples), 2), bool)
        opened.attrs["sample_rate"] = np.int32(RATE)
    return [Path(f"{file}#{name}") for name in names]


def rows_of(n: int, seconds: float = 2.0) -> np.ndarray:
    return np.stack([(sound_of(seconds, seed=seed)[:, 0] * 32767).astype(np.int16) for seed in range(n)])


def write_row(folder: Path) -> Path:
    return write_rows(folder / "clips.h5", rows_of(3))[1]


WRITERS: dict[str, Callable[[Path], Path]] = {"recording": write_recording, "hdf5": write_row}


def test_every_source_is_tried():
    assert set(WRITERS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_its_config_comes_back_and_an_unknown_key_is_refused(name):
    clips = validate(ClipsConfig, {"source": {"name": name}}, "test")
    assert validate(ClipsConfig, clips.model_dump(mode="json"), "test") == clips
    with pytest.raises(ConfigError, match="strange") as refused:
        validate(ClipsConfig, {"source": {"name": name, "strange": 1}}, "test")
    assert "\n" not in str(refused.value)
    with pytest.raises(ConfigError, match="recording"):
        validate(ClipsConfig, {"source": {"name": "sed"}}, "test")


@pytest.mark.parametrize("name", NAMES)
def test_passages_are_those_of_the_whole(tmp_path, name):
    path = WRITERS[name](tmp_path)
    source = validate(ClipsConfig, {"source": {"name": name}}, "test").source
    opened = SOURCES.build(source, path, None)
    whole = np.concatenate(list(opened.blocks(1000)))
    assert (opened.sample_rate, opened.n_frames, len(whole)) == (RATE, 2 * RATE, 2 * RATE)
    np.testing.assert_array_equal(opened.read(0.5, 1.25), whole[RATE // 2 : RATE * 5 // 4])
    sounds = ClipSounds([path], RATE, source=source)
    np.testing.assert_array_equal(
        sounds.crop(0, 0.5, ClipsConfig(seconds=0.75), np.random.default_rng(0)), whole[RATE // 2 : RATE * 5 // 4]
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_read_is_one_sentence(tmp_path, name):
    source = validate(ClipsConfig, {"source": {"name": name}}, "test").source
    (tmp_path / "empty.wav").touch()
    for path in (tmp_path / "none.wav", tmp_path / "empty.wav"):
        with pytest.raises(RecordingError) as error:
            SOURCES.build(source, path, None)
        assert str(error.value) and "\n" not in str(error.value)


# --- decoded in the graph --------------------------------------------------------------------------------------------

KINDS = [("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "FLOAT"), ("flac", "PCM_16"), ("ogg", "VORBIS")]
WAYS = {"random": {}, "energy": {"crop": "energy"}, "summed": {"self_mixup": "all", "self_mixup_s": 1.5}}


def recordings(folder: Path) -> list[Path]:
    """One of each kind, some in stereo, some at another rate."""
    paths = []
    for number, (ending, subtype) in enumerate(KINDS):
        paths.append(folder / f"{number}.{ending}")
        sound = sound_of(0.5 + 0.7 * number, 1 + number % 2, number)
        soundfile.write(paths[-1], sound, 22_050 if number == 3 else RATE, subtype)
    return paths


def epoch(paths: list[Path], decode: str, report: SkippedRecordings | None = None, **clips: object) -> list[np.ndarray]:
    source = {"name": "recording", "decode": decode}
    config = validate(ClipsConfig, {"seconds": 1.0, "source": source, **clips}, "test")
    sounds = ClipSounds(paths, RATE, source=config.source)
    recording = np.tile(np.arange(len(paths)), 3)
    nothing_fixed = np.full(len(recording), np.nan)
    table = ClipTable(
        recording, nothing_fixed, np.eye(len(paths), dtype=np.float32)[recording], np.ones(len(recording))
    )
    images = ClipImages(sounds, FRONT_END, ImageConfig(channels=1), config, 4, report or SkippedRecordings())
    made = clip_batches(table, images, EpochDraws(3, 1, SamplerConfig()))
    return [np.concatenate(parts) for parts in zip(*(map(np.asarray, batch) for batch in made), strict=True)]


@pytest.mark.parametrize("way", WAYS)
def test_crops_decoded_in_the_graph_are_those_of_soundfile(tmp_path, way):
    paths = recordings(tmp_path)
    mine, expected = (epoch(paths, decode, **WAYS[way]) for decode in ("graph", "soundfile"))
    assert mine[0].shape == expected[0].shape == (15, 63, 16, 1)
    np.testing.assert_allclose(mine[0], expected[0], atol=2e-3)
    np.testing.assert_array_equal(mine[1], expected[1])


def test_a_kind_that_the_graph_cannot_decode_is_named_before_an_epoch_begins(tmp_path):
    paths = recordings(tmp_path)[:2]
    soundfile.write(tmp_path / "double.wav", sound_of(1.0), RATE, "DOUBLE")
    expected = r"double.wav: tensorflow-io cannot decode WAV with 64 bit float; set clips.source.decode=soundfile$"
    with pytest.raises(ConfigError, match=expected):
        epoch([*paths, tmp_path / "double.wav"], "graph")


def test_broken_recordings_are_left_out_and_noted_in_the_graph_too(tmp_path):
    paths = recordings(tmp_path)
    content = bytearray(paths[3].read_bytes())
    content[len(content) // 2 : len(content) // 2 + 2000] = bytes(2000)
    paths[3].write_bytes(content)  # decoding finds the damage
    paths[0].write_bytes(b"")
    report = SkippedRecordings()
    _, targets, _ = epoch(paths, "graph", report)
    assert targets.sum(axis=0).tolist() == [0, 3, 3, 0, 3]
    assert report.counts == {str(paths[0]): 3, str(paths[3]): 3}
    assert report.lines()[0] == f"{paths[0]}: empty file (0 bytes) (3 clips left out)"
    assert report.lines()[1].startswith(f"{paths[3]}: damaged: tensorflow-io cannot decode it")


# --- rows of HDF5 files ----------------------------------------------------------------------------------------------


def test_a_row_is_its_samples_by_all_ways(tmp_path):
    samples = rows_of(3)
    for how in ({}, {"chunks": (1, 500), "compression": "gzip"}):
        path = write_rows(tmp_path / f"{len(how)}.h5", samples, **how)[2]
        opened = open_recording(path)
        assert (opened.sample_rate, opened.n_channels, opened.duration_s) == (RATE, 1, 2.0)
        np.testing.assert_array_equal(opened.read(), samples[2].astype(np.float32) * np.float32(1 / 32767))
    paths = [
        *write_rows(tmp_path / "a.h5", samples),
        *write_rows(tmp_path / "b.h5", rows_of(2, 0.7)),
        *recordings(tmp_path),
    ]
    mine, expected = (epoch(paths, decode, crop="random") for decode in ("graph", "soundfile"))
    np.testing.assert_allclose(mine[0], expected[0], atol=2e-3)
    np.testing.assert_array_equal(mine[1], expected[1])


def test_rows_that_are_no_sound_are_named(tmp_path):
    samples = rows_of(5)
    samples[0] = 0
    samples[1] = (sound_of(2.0)[:, 0] * 10).clip(-1.5, 1.5).astype(np.int16)
    samples[2] = sound_of(1.0)[:, 0].astype(np.float32).view(np.int16)
    paths = write_rows(tmp_path / "clips.h5", samples)
    report = SkippedRecordings()
    for decode in ("graph", "soundfile"):
        targets = epoch([*paths, tmp_path / "clips.h5#none.wav"], decode, report)[1]
        assert targets.sum(axis=0).tolist() == [0, 0, 0, 3, 3, 0]
    said = [line.rpartition(": ")[2] for line in report.lines()]
    assert said == [
        "all samples are 0 (6 clips left out)",
        "holds floats cut off to whole numbers (no sample is beyond 1); pack it again from the sound files (6 clips "
        "left out)",
        "holds the bits of 32-bit floats taken as 16-bit integers; pack it again from the sound files (6 clips left "
        "out)",
        "has no row 'none.wav' (5 others) (6 clips left out)",
    ]


BROKEN = {
    "truncated": (lambda file: os.truncate(file, file.stat().st_size - 50_000), "clips.h5: truncated"),
    "empty": (lambda file: file.write_bytes(b""), "clips.h5: empty file"),
    "noise": (lambda file: file.write_bytes(os.urandom(5000)), "clips.h5: damaged, or no HDF5 file"),
    "gone": (lambda file: file.unlink(), "clips.h5: cannot be read"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_hdf5_file_is_one_sentence_and_ends_nothing(tmp_path, kind):
    """Tensorflow-io ends the program on each of these."""
    path = write_row(tmp_path)
    whole = write_rows(tmp_path / "whole.h5", rows_of(1))
    breaks, said = BROKEN[kind]
    breaks(tmp_path / "clips.h5")
    with pytest.raises(RecordingError, match=said) as error:
        open_recording(path)
    assert "\n" not in str(error.value)
    report = SkippedRecordings()
    assert epoch([path, *whole], "graph", report)[1].sum(axis=0).tolist() == [0, 3]
    assert list(report.counts) == [str(path)]


def test_rows_that_the_graph_does_not_read_right_are_refused(tmp_path):
    samples = rows_of(2, 0.5)
    big = write_rows(tmp_path / "big.h5", samples.astype(">i2"))
    np.testing.assert_array_equal(
        *(open_recording(p).read() for p in (big[1], write_rows(tmp_path / "a.h5", samples)[1]))
    )
    with pytest.raises(ConfigError, match=r"big-endian; set clips\.source\.decode=soundfile$"):
        epoch(big, "graph")
    with h5py.File(tmp_path / "new.h5", "w", libver="latest") as new, h5py.File(tmp_path / "a.h5") as old:
        for name in old:
            old.copy(name, new)
        new.attrs["sample_rate"] = RATE
    with pytest.raises(ConfigError, match="the newer form of HDF5"):
        epoch([Path(f"{tmp_path}/new.h5#Y-0.wav")], "graph")
    with h5py.File(tmp_path / "a.h5", "r+") as old:
        old.attrs["sample_rate"] = 8000
    with pytest.raises(ConfigError, match="its rows have 8000 Hz and the recipe asks for 16000 Hz"):
        epoch([Path(f"{tmp_path}/a.h5#Y-0.wav")], "graph")
    with h5py.File(tmp_path / "a.h5", "r+") as old:
        del old.attrs["sample_rate"]
    with pytest.raises(RecordingError, match="has no attribute sample_rate"):
        open_recording(f"{tmp_path}/a.h5#Y-0.wav")
