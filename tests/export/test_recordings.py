"""Which recordings an export is compared on and calibrated with."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.datasets.manifest import Manifest, read_manifest, write_manifest
from ecotf.errors import ConfigError, DataError
from ecotf.export.prove.recordings import RunRecordings, simulated
from ecotf.runs.splits import draw_splits, first_state
from ecotf.tasks.calls.export import CallExport

RATE = 256_000


def at(run, folder: Path) -> CallExport:
    """The run as if it were in another folder."""
    return CallExport(replace(run, path=folder))


@pytest.fixture
def moved(field, tmp_path) -> Path:
    """A copy of the run beside which its recordings are not."""
    return Path(shutil.copytree(field.path, tmp_path / "far/away/from/all/of/it/run"))


def test_test_recordings_come_first_and_every_sound_has_its_annotations(field):
    heard = RunRecordings(CallExport(field)).to_compare(RATE, 60.0)
    assert heard.source == "test recordings of the run"
    names = [Path(sound.name).name for sound in heard.sounds]
    assert sorted(names) == ["night_004.wav", "night_005.wav"]
    assert set(heard.table["recording"]) == {sound.name for sound in heard.sounds}
    read = soundfile.read(field.path / heard.sounds[0].name, dtype="int16")[0]
    np.testing.assert_array_equal(heard.sounds[0].pcm, read)


def test_not_more_sound_than_was_asked_for(field):
    heard = RunRecordings(CallExport(field)).to_compare(RATE, 1.1)
    assert [round(sound.duration_s, 6) for sound in heard.sounds] == [0.9, 0.2]
    ends = {sound.name: sound.duration_s for sound in heard.sounds}
    assert (heard.table["start_s"] < heard.table["recording"].map(ends)).all()


def test_another_rate_is_resampled_and_said(field):
    heard = RunRecordings(CallExport(field)).to_compare(384_000, 1.0)
    assert heard.source == "test recordings of the run resampled to 384000 Hz"
    assert heard.sounds[0].rate == 384_000 and heard.sounds[0].duration_s == pytest.approx(0.9, abs=1e-4)
    np.testing.assert_array_equal(heard.sounds[0].samples, heard.sounds[0].pcm / np.float32(32768))


def split_again(run: Path, manifest: Manifest, seed: int = 1979) -> Manifest:
    """Give the run another manifest and its split."""
    write_manifest(manifest, run / "manifest.csv")
    kept = read_manifest(run / "manifest.csv")
    states = {name: first_state(kept.path_of(name)) for name in kept.recordings}
    shares = {"train": 0.5, "valid": 0.25, "test": 0.25}
    draw_splits(kept, states, shares, seed).table.to_csv(run / "splits.csv", index=False)
    return kept


def test_validation_recordings_that_the_run_has_learned_from_are_called_so(field, moved, sounds):
    manifest = read_manifest(field.path / "manifest.csv")
    sides = {name: "valid" if number % 2 else "train" for number, name in enumerate(manifest.recordings)}
    split_again(moved, manifest.with_splits(sides))
    recordings = RunRecordings(at(field, moved), elsewhere=sounds.parent)
    assert recordings.to_compare(RATE, 5.0).source == "validation recordings of the run"
    refitted = recordings.to_compare(384_000, 5.0, learned=("train", "valid"))
    assert refitted.source == "validation recordings of the run resampled to 384000 Hz, which it has learned from"


def test_the_rate_of_most_training_recordings(field, moved, sounds, tmp_path):
    folder = Path(shutil.copytree(sounds.parent, tmp_path / "mixed"))
    manifest = read_manifest(folder / sounds.name)
    manifest = manifest.with_splits(dict.fromkeys(manifest.recordings, "train"))
    for number, usual in ((0, RATE), (1, RATE), (2, 500_000)):  # three of six at either rate: the higher one
        path = folder / f"night_{number:03d}.wav"
        soundfile.write(path, soundfile.read(path, dtype="int16")[0], 500_000)
        split_again(moved, manifest)
        assert RunRecordings(at(field, moved)).usual_rate() == usual


def test_recordings_that_have_moved(field, moved, sounds):
    assert RunRecordings(at(field, moved)).to_compare(RATE, 5.0) is None
    assert RunRecordings(at(field, moved)).usual_rate() is None
    found = RunRecordings(at(field, moved), elsewhere=sounds.parent)
    assert len(found.to_compare(RATE, 5.0).sounds) == 2
    assert found.usual_rate() == RATE
    with pytest.raises(DataError, match="no such folder; --recordings takes the folder"):
        RunRecordings(at(field, moved), elsewhere=sounds)


def test_nothing_is_drawn_again(field, moved, sounds):
    """The split is that of splits.csv: neither the recipe's seed nor what can be read now changes a side."""
    manifest = read_manifest(sounds)
    kept = split_again(moved, manifest.with_splits(dict.fromkeys(manifest.recordings, "")), seed=11)
    said: list[str] = []
    recordings = RunRecordings(at(field, moved), log=said.append)
    table = pd.read_csv(moved / "splits.csv")
    assert set(table["split"]) == {"train", "valid", "test"}
    for side, rows in table.groupby("split"):
        assert set(recordings.paths(side)) == set(rows["recording"]), side
    assert set(recordings.paths("train", "valid", "test")) == set(kept.recordings) and said == []


def test_ignored_labels_change_no_side(field, moved, sounds):
    """Compared on exactly the test recordings of the run, though only a part of its recordings holds a class."""
    manifest = read_manifest(sounds)
    manifest = manifest.with_splits(dict.fromkeys(manifest.recordings, ""))
    quiet = manifest.table["recording"].isin(manifest.recordings[:3])
    table = manifest.table.assign(label=manifest.table["label"].mask(quiet, "noise"))
    split_again(moved, Manifest(table, manifest.root), seed=4)
    run = at(field, moved)
    assert "noise*" in run.recipe.data.ignored_labels
    heard = RunRecordings(run).to_compare(RATE, 60.0)
    kept = pd.read_csv(moved / "splits.csv")
    assert {sound.name for sound in heard.sounds} == set(kept.loc[kept["split"] == "test", "recording"])
    assert heard.source == "test recordings of the run"


def test_a_file_that_is_another_one_now_is_named_and_left_out(field, moved, sounds, tmp_path):
    folder = Path(shutil.copytree(sounds.parent, tmp_path / "copied"))
    split_again(moved, read_manifest(folder / sounds.name))
    path = folder / "night_004.wav"
    path.write_bytes(path.read_bytes()[:-2] + b"\x01\x01")
    said: list[str] = []
    heard = RunRecordings(at(field, moved), log=said.append).to_compare(RATE, 60.0)
    assert [Path(sound.name).name for sound in heard.sounds] == ["night_005.wav"]
    assert len(said) == 1 and "night_004.wav: the file is not the one that the split was drawn with" in said[0]


def test_a_run_without_its_split_or_with_another_one(field, moved, sounds):
    manifest = read_manifest(sounds)
    split_again(moved, manifest)
    write_manifest(manifest.subset(manifest.recordings[:4]), moved / "manifest.csv")
    with pytest.raises(ConfigError, match=r"splits.csv is of another manifest .* train again"):
        RunRecordings(at(field, moved))
    (moved / "splits.csv").unlink()
    with pytest.raises(ConfigError, match=r"has no splits.csv.*runs of ecotf 0.1.* train again"):
        RunRecordings(at(field, moved))


def test_another_manifest_is_compared_on_as_a_whole(field, sounds, tmp_path):
    manifest = read_manifest(sounds)
    write_manifest(manifest.with_splits(dict.fromkeys(manifest.recordings, "")), tmp_path / "others.csv")
    recordings = RunRecordings(CallExport(field), data=tmp_path / "others.csv")
    assert len(recordings.to_compare(RATE, 60.0).sounds) == 6


def test_calibration_names_the_training_recordings(field, moved):
    calibration = CallExport(field).calibrate(RunRecordings(CallExport(field)))
    assert sorted(Path(name).name for name in calibration.recordings) == ["night_000.wav", "night_001.wav"]
    assert calibration.inputs["patch"].shape[1:] == field.detector.networks[0].model.input_shape[1:]
    with pytest.raises(ConfigError, match=r"calibrated with the run's training recordings.*--recordings FOLDER"):
        at(field, moved).calibrate(RunRecordings(at(field, moved)))


@pytest.mark.parametrize(("rate", "slower"), [(384_000, 1), (192_000, 2), (48_000, 6), (500_000, 1)])
def test_simulated_bats_at_any_rate(rate, slower):
    heard = simulated(rate, n=1, seconds=1.5)
    assert ("slower" in heard.source) == (slower > 1)
    (sound,) = heard.sounds
    assert sound.rate == rate and np.abs(sound.pcm).max() > 200
    assert isinstance(heard.table, pd.DataFrame) and heard.table["end_s"].max() <= sound.duration_s + 1e-6
