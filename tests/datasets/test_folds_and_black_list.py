"""Sides by published folds, and recordings that are not learned from; a resumed training has the same."""

import pandas as pd
import pytest

from ecotf.config import validate
from ecotf.datasets import make_manifest
from ecotf.datasets.black_list import read_black_list
from ecotf.datasets.data_config import DataConfig
from ecotf.errors import ConfigError, DataError
from ecotf.tasks.recordings import open_recordings


def manifest_of(folder, **columns):
    """Twenty recordings of two labels, in the folds 1 to 5."""
    names = [f"{fold}-{number}.wav" for number in range(4) for fold in range(1, 6)]
    for name in names:
        (folder / name).write_bytes(name.encode())
    table = pd.DataFrame({"recording": names, "start_s": 0.0, "end_s": 5.0, "label": ["dog", "rain"] * 10})
    return make_manifest(table.assign(fold=[name[0] for name in names], **columns), folder, "here")


def opened(manifest, said=None, kept=None, **data):
    log = (said if said is not None else []).append
    return open_recordings(manifest, len, validate(DataConfig, data, "test"), 3, log, kept=kept)


def folds_by_side(done):
    return {side: set(done.manifest.of_split(side).table["fold"]) for side in ("train", "valid", "test")}


def test_folds_are_sides(tmp_path):
    manifest = manifest_of(tmp_path)
    done = opened(manifest, folds={"test": [1], "valid": ["2"]})
    assert folds_by_side(done) == {"train": {"3", "4", "5"}, "valid": {"2"}, "test": {"1"}}
    again = opened(manifest, kept=done.splits, folds={"test": [1], "valid": ["2"]})
    pd.testing.assert_frame_equal(again.manifest.table, done.manifest.table)


def test_validation_is_drawn_from_the_training_folds(tmp_path):
    done = opened(manifest_of(tmp_path), folds={"test": [5]}, train=0.5, valid=0.25, test=0.25)
    assert folds_by_side(done)["test"] == {"5"} and "5" not in folds_by_side(done)["valid"]
    counts = done.manifest.table["split"].value_counts()
    assert counts["test"] == 4 and 4 <= counts["valid"] <= 7  # about a third of 16


@pytest.mark.parametrize(
    ("columns", "folds", "said"),
    [
        ({}, {"test": [6]}, r"no recording is of fold 6; the folds are 1, 2, 3, 4, 5$"),
        ({}, {"test": [1], "column": "part"}, "the manifest has no column 'part'"),
        ({}, {"test": [1, 2], "valid": [3, 4, 5]}, "nothing is left to train on"),
        ({"split": "train"}, {"test": [1]}, "the manifest has a split of its own"),
        ({"group": ["a", "b"] * 10}, {"test": [1]}, "group 'a'"),
    ],
)
def test_folds_that_cannot_be(tmp_path, columns, folds, said):
    with pytest.raises(DataError, match=said) as error:
        opened(manifest_of(tmp_path, **columns), folds=folds)
    assert "\n" not in str(error.value)


def test_a_fold_on_two_sides_is_refused():
    with pytest.raises(ConfigError, match="fold 1 is in test and in valid"):
        validate(DataConfig, {"folds": {"test": [1], "valid": ["1"]}}, "test")


def test_black_listed_recordings_are_not_learned_from(tmp_path):
    manifest = manifest_of(tmp_path)
    (tmp_path / "black.txt").write_text("# found to be mislabelled\n3-0.wav\n4-1\n\n1-0.wav\nother.wav # gone\n")
    said: list[str] = []
    settings = {"folds": {"test": [1], "valid": [2]}, "black_list": tmp_path / "black.txt"}
    done = opened(manifest, said, **settings)
    assert set(manifest.recordings) - set(done.manifest.recordings) == {"3-0.wav", "4-1.wav"}
    assert "1-0.wav" in done.manifest.of_split("test").recordings  # tested on, never learned from
    assert said == [
        f"left out of training: 2 recordings, named in {tmp_path}/black.txt; 1 of its names are of no recording, "
        "the first: other.wav"
    ]
    assert set(done.problems["status"]) == {"black_listed"}
    (tmp_path / "black.txt").unlink()  # the run knows
    again = opened(manifest, kept=done.splits, **settings)
    pd.testing.assert_frame_equal(again.manifest.table, done.manifest.table)


def test_an_empty_black_list_is_one_line(tmp_path):
    (tmp_path / "black.txt").write_text("# nothing\n")
    with pytest.raises(DataError, match=r"black\.txt: names nothing; a black list has one name"):
        read_black_list(tmp_path / "black.txt")
