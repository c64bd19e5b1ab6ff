"""An event that two people have marked at the same moment is one event, in learning, judging and checking."""

import pandas as pd
import pytest

from ecotf.commands.check_dataset import check_dataset
from ecotf.config import validate
from ecotf.datasets import make_manifest
from ecotf.datasets.data_config import DataConfig
from ecotf.datasets.doubles import without_doubles
from ecotf.tasks.recordings import open_recordings


def manifest_of(folder, rows):
    columns = ["recording", "start_s", "end_s", "low_hz", "high_hz", "label"]
    table = pd.DataFrame(rows, columns=columns)
    for name in table["recording"].unique():
        (folder / name).write_bytes(name.encode())
    return make_manifest(table.assign(annotator=[f"person{i}" for i in range(len(table))]), folder, "here")


PULSE, LATER = ("a.wav", 1.5, 1.5, 200.0, 400.0, "pulse"), ("a.wav", 1.53, 1.53, 200.0, 400.0, "pulse")


@pytest.mark.parametrize(
    "other",
    [
        ("b.wav", 1.5, 1.5, 200.0, 400.0, "pulse"),
        ("a.wav", 1.5, 1.6, 200.0, 400.0, "pulse"),
        ("a.wav", 1.5, 1.5, 200.0, 401.0, "pulse"),
        ("a.wav", 1.5, 1.5, None, None, "pulse"),
        ("a.wav", 1.5, 1.5, 200.0, 400.0, "sine"),
    ],
)
def test_what_differs_in_anything_is_another_one(tmp_path, other):
    manifest = manifest_of(tmp_path, [PULSE, other])
    once = without_doubles(manifest)
    assert once.doubles == 0 and once.told == "" and once.manifest is manifest


def test_the_first_is_kept_and_the_rest_is_said(tmp_path):
    weak = ("c.wav", 0.0, None, None, None, "pulse")
    empty = ("b.wav", 0.0, None, None, None, "")
    once = without_doubles(manifest_of(tmp_path, [PULSE, LATER, PULSE, PULSE, empty, weak, weak]))
    assert once.manifest.table["annotator"].tolist() == ["person0", "person1", "person4", "person5"]
    assert once.doubles == 3 and once.told.startswith("3 annotations are there once more")


def test_training_counts_it_once_and_says_so(tmp_path):
    others = [(f"{i}.wav", 0.5, 0.6, 200.0, 400.0, "pulse") for i in range(9)]
    said: list[str] = []
    manifest = manifest_of(tmp_path, [PULSE, LATER, PULSE, *others])
    done = open_recordings(manifest, len, validate(DataConfig, {}, "test"), 3, said.append)
    own = done.manifest.table[done.manifest.table["recording"] == "a.wav"]
    assert own["start_s"].tolist() == [1.5, 1.53]
    assert [line for line in said if "once more" in line] == [
        "1 annotation is there once more, with the same recording, times, frequencies and label: counted once"
    ]


def test_checking_a_manifest_says_so(tmp_path, capsys):
    check_dataset(manifest_of(tmp_path, [PULSE, PULSE]))
    assert "1 annotation is there once more" in " ".join(capsys.readouterr().out.split())
