"""Splits by species: no species, group or recording on two sides, and every recording that is left out is named."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecotf.config import validate
from ecotf.datasets import make_manifest
from ecotf.datasets.data_config import DataConfig
from ecotf.datasets.manifest import Manifest
from ecotf.datasets.species_splits import split_by_species
from ecotf.errors import DataError
from ecotf.tasks.recordings import Opened, open_recordings

SHARES = {"train": 0.6, "valid": 0.2, "test": 0.2}


def manifest_of(rows: list[tuple[str, str, str]], folder: object = ".", **columns: object) -> Manifest:
    """``rows``: (group, recording, label)."""
    table = pd.DataFrame(rows, columns=["group", "recording", "label"]).assign(start_s=0.0, end_s=1.0, **columns)
    return make_manifest(table, str(folder), "here")


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    rows = [(f"own {label}", f"own_{label}.wav", label) for label in "abcde"]
    for group in range(draw(st.integers(0, 12))):
        for recording in range(draw(st.integers(1, 3))):
            labels = draw(st.lists(st.sampled_from(["", "noise", "a", "b", "c", "d", "e"]), min_size=1, max_size=3))
            rows += [(f"g{group}", f"g{group}_{recording}.wav", label) for label in labels]
    return manifest_of(rows)


@settings(max_examples=60, deadline=None)
@given(manifest=manifests(), seed=st.integers(0, 2**32 - 1))
def test_no_species_group_or_recording_is_on_two_sides(manifest: Manifest, seed: int) -> None:
    split, left_out = split_by_species(manifest, SHARES, seed, ["noise"])
    used = split.table
    assert (used["split"] != "").all()
    species = used[~used["label"].isin(["", "noise"])]
    for column, table in (("label", species), ("group", used), ("recording", used)):
        assert (table.groupby(column)["split"].nunique() == 1).all(), column
    assert species["label"].nunique() == 5 and set(species["split"]) == set(SHARES)
    assert set(left_out) == set(manifest.recordings) - set(used["recording"])
    again, same = split_by_species(manifest, SHARES, seed, ["noise"])
    pd.testing.assert_frame_equal(again.table, split.table)
    assert same == left_out


def opened(manifest: Manifest, said: list[str], kept: object = None, **data: object) -> Opened[int]:
    for name in manifest.recordings:
        manifest.path_of(name).write_bytes(name.encode())
    config = validate(DataConfig, {"split_by": "species", **data}, "test")
    return open_recordings(manifest, len, config, 3, said.append, kept=kept)  # type: ignore[arg-type]


ROWS = [(f"{label}{number}", f"{label}_{number}.wav", label) for label in "abcdef" for number in range(3)]


def test_a_training_reads_its_split_again(tmp_path: object) -> None:
    both = [("x", "both.wav", label) for label in "abcdef"]
    rows = [*ROWS, *both, ("y", "rain.wav", ""), ("z", "mixed_in.wav", "rain")]
    role = [""] * (len(rows) - 1) + ["background"]
    said: list[str] = []
    done = opened(manifest_of(rows, tmp_path, role=role), said)
    assert said[0].startswith("left out: both.wav: its species are of two sides of the split: a (")
    assert said[1] == "species: 4 in train (12 recordings), 1 in valid (3 recordings), 1 in test (3 recordings)"
    assert done.problems.values.tolist() == [["both.wav", "two_sides", said[0].split(": ", 2)[2]]]
    assert "mixed_in.wav" in done.splits.recordings_of("train") and "both.wav" not in done.readings
    again = opened(manifest_of(rows, tmp_path, role=role), told := [], done.splits)
    pd.testing.assert_frame_equal(again.manifest.table, done.manifest.table)
    assert told == said


def test_the_manifests_own_split_holds(tmp_path: object) -> None:
    sides = [{"a": "train", "b": "test"}.get(label, "valid") for _, _, label in ROWS]
    done = opened(manifest_of(ROWS, tmp_path, split=sides), [])
    assert done.manifest.of_split("test").labels == ["b"]
    sides[0], sides[5] = "valid", "train"
    with pytest.raises(DataError, match=r"'a' is in train and valid \(the manifest's split.*; so are 1 more$"):
        opened(manifest_of(ROWS, tmp_path, split=sides), [])


def test_folds_of_species_with_a_drawn_validation(tmp_path: object) -> None:
    fold = ["xc" if label in "ef" else "esc" for _, _, label in ROWS]
    done = opened(manifest_of(ROWS, tmp_path, fold=fold), [], folds={"test": ["xc"]}, train=0.75, valid=0.25, test=0)
    labels = {side: done.manifest.of_split(side).labels for side in SHARES}
    assert labels["test"] == ["e", "f"] and len(labels["valid"]) == 1 and len(labels["train"]) == 3


def test_too_few_species_are_one_line(tmp_path: object) -> None:
    with pytest.raises(DataError, match=r"^2 species cannot be split into 3 sides \(train, valid, test\)"):
        opened(manifest_of([row for row in ROWS if row[2] in "ab"], tmp_path), [])
