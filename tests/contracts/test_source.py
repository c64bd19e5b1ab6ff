"""Every sound source: its config comes back, passages are those of the whole, a broken file is one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

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


WRITERS: dict[str, Callable[[Path], Path]] = {"recording": write_recording}


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
