"""Which recordings an export is compared on and calibrated with."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.datasets.manifest import read_manifest, write_manifest
from ecotf.errors import ConfigError, DataError
from ecotf.export.convert.calibration import calibration_patches
from ecotf.export.prove.recordings import RunRecordings, simulated

RATE = 256_000


@pytest.fixture
def moved(field, tmp_path) -> Path:
    """A copy of the run beside which its recordings are not."""
    return Path(shutil.copytree(field.path, tmp_path / "far/away/from/all/of/it/run"))


def test_test_recordings_come_first_and_every_sound_has_its_annotations(field):
    heard = RunRecordings(field.path, field.recipe).to_compare(RATE, 60.0)
    assert heard.source == "test recordings of the run"
    names = [Path(sound.name).name for sound in heard.sounds]
    assert sorted(names) == ["night_004.wav", "night_005.wav"]
    assert set(heard.table["recording"]) == {sound.name for sound in heard.sounds}
    read = soundfile.read(field.path / heard.sounds[0].name, dtype="int16")[0]
    np.testing.assert_array_equal(heard.sounds[0].pcm, read)


def test_not_more_sound_than_was_asked_for(field):
    heard = RunRecordings(field.path, field.recipe).to_compare(RATE, 1.1)
    assert [round(sound.duration_s, 6) for sound in heard.sounds] == [0.9, 0.2]
    ends = {sound.name: sound.duration_s for sound in heard.sounds}
    assert (heard.table["start_s"] < heard.table["recording"].map(ends)).all()


def test_another_rate_is_resampled_and_said(field):
    heard = RunRecordings(field.path, field.recipe).to_compare(384_000, 1.0)
    assert heard.source == "test recordings of the run resampled to 384000 Hz"
    assert heard.sounds[0].rate == 384_000 and heard.sounds[0].duration_s == pytest.approx(0.9, abs=1e-4)
    np.testing.assert_array_equal(heard.sounds[0].samples, heard.sounds[0].pcm / np.float32(32768))


def test_the_rate_of_most_training_recordings(field, moved, sounds, tmp_path):
    folder = Path(shutil.copytree(sounds.parent, tmp_path / "mixed"))
    manifest = read_manifest(folder / sounds.name)
    splits = dict.fromkeys(manifest.recordings, "train")
    write_manifest(manifest.with_splits(splits), moved / "manifest.csv")
    recordings = RunRecordings(moved, field.recipe)
    for number, usual in ((0, RATE), (1, RATE), (2, 500_000)):  # three of six at either rate: the higher one
        path = folder / f"night_{number:03d}.wav"
        soundfile.write(path, soundfile.read(path, dtype="int16")[0], 500_000)
        assert recordings.usual_rate() == usual


def test_recordings_that_have_moved(field, moved, sounds):
    assert RunRecordings(moved, field.recipe).to_compare(RATE, 5.0) is None
    assert RunRecordings(moved, field.recipe).usual_rate() is None
    found = RunRecordings(moved, field.recipe, elsewhere=sounds.parent)
    assert len(found.to_compare(RATE, 5.0).sounds) == 2
    assert found.usual_rate() == RATE
    with pytest.raises(DataError, match="no such folder; --recordings takes the folder"):
        RunRecordings(moved, field.recipe, elsewhere=sounds)


def test_a_manifest_without_splits_is_split_as_in_training(field, moved, sounds):
    manifest = read_manifest(sounds)
    blank = manifest.with_splits(dict.fromkeys(manifest.recordings, ""))
    write_manifest(blank, moved / "manifest.csv")
    problems = pd.DataFrame({"recording": [blank.recordings[0]], "status": "corrupt", "reason": "broken"})
    named = read_manifest(moved / "manifest.csv").recordings
    problems.assign(recording=named[:1]).to_csv(moved / "problems.csv", index=False)
    recordings = RunRecordings(moved, field.recipe)
    splits = {name: recordings.paths(name) for name in ("train", "valid", "test")}
    assert sum(map(len, splits.values())) == 5 and all(splits.values())
    assert named[0] not in splits["train"]


def test_another_manifest_is_compared_on_as_a_whole(field, sounds, tmp_path):
    manifest = read_manifest(sounds)
    write_manifest(manifest.with_splits(dict.fromkeys(manifest.recordings, "")), tmp_path / "others.csv")
    recordings = RunRecordings(field.path, field.recipe, data=tmp_path / "others.csv")
    assert len(recordings.to_compare(RATE, 60.0).sounds) == 6


def test_calibration_names_the_training_recordings(field, moved):
    calibration = calibration_patches(field, RunRecordings(field.path, field.recipe))
    assert sorted(Path(name).name for name in calibration.recordings) == ["night_000.wav", "night_001.wav"]
    assert calibration.inputs["patch"].shape[1:] == field.detector.networks[0].model.input_shape[1:]
    with pytest.raises(ConfigError, match=r"calibrated with the run's training recordings.*--recordings FOLDER"):
        calibration_patches(field, RunRecordings(moved, field.recipe))


@pytest.mark.parametrize(("rate", "slower"), [(384_000, 1), (192_000, 2), (48_000, 6), (500_000, 1)])
def test_simulated_bats_at_any_rate(rate, slower):
    heard = simulated(rate, n=1, seconds=1.5)
    assert ("slower" in heard.source) == (slower > 1)
    (sound,) = heard.sounds
    assert sound.rate == rate and np.abs(sound.pcm).max() > 200
    assert isinstance(heard.table, pd.DataFrame) and heard.table["end_s"].max() <= sound.duration_s + 1e-6
