"""The data of a training on calls: sides, labels, what is left out, and the patches that are drawn."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ecotf.datasets.manifest import Manifest, make_manifest, read_manifest
from ecotf.errors import DataError
from ecotf.tasks.calls.data import every_peak, training_patches
from ecotf.tasks.recipes import load_recipe

from .simulated_calls import MYO, PIP, prepare


def edited(calls: Path, **columns) -> Manifest:
    table = read_manifest(calls).table
    return make_manifest(table.assign(**{name: edit(table) for name, edit in columns.items()}), calls.parent, "here")


def test_recordings_are_split_and_their_labels_sorted_out(data):
    sides = {side: set(data.recordings_of(side)) for side in ("train", "valid", "test")}
    assert [len(side) for side in sides.values()] == [5, 1, 2]
    assert len(set.union(*sides.values())) == 8
    assert data.species == (MYO, PIP)
    assert set(data.ignored_labels) == {"Orthoptera", "noise"}
    assert len(data.problems) == 0
    for index, name in enumerate(data.manifest.recordings):
        mine = data.manifest.table[data.manifest.table["recording"] == name]
        assert set(data.calls_of(name)["label"]) <= {MYO, PIP}
        assert len(data.calls_of(name)) + len(data.sounds_of(name)) == (mine["label"] != "").sum()
        assert (index in data.indices_of("train")) == (name in sides["train"])


def test_the_manifests_own_split_is_kept(calls):
    split = edited(calls, split=lambda t: np.where(t["recording"] < "night_004", "train", "valid"))
    data = prepare(split)
    assert data.recordings_of("train") == [f"night_00{n}.wav" for n in range(4)]
    assert data.recordings_of("test") == []


def test_what_cannot_be_read_is_left_out_and_named(calls, tmp_path):
    folder = tmp_path / "calls"
    shutil.copytree(calls.parent, folder)
    (folder / "night_000.wav").write_bytes(b"")
    soundfile.write(folder / "night_001.wav", np.zeros(40_000, np.int16), 48_000)
    said: list[str] = []
    data = prepare(read_manifest(folder / "manifest.csv"), said=said)
    assert data.problems[["recording", "status"]].values.tolist() == [
        ["night_000.wav", "corrupt"], ["night_001.wav", "unsupported"],
    ]  # fmt: skip
    assert len(data.manifest.recordings) == len(data.spectrograms) == 6
    assert [
        line for line in said if line.startswith("left out: night_001.wav: ") and "244000 Hz; this is 48000" in line
    ]


@pytest.mark.parametrize(
    ("columns", "config", "expected"),
    [
        ({"label": lambda t: t["label"].replace(PIP, "call")}, {}, "'call' cannot be a species"),
        (
            {
                "start_s": lambda t: t["start_s"].where(t["label"] != PIP, 0),
                "end_s": lambda t: t["end_s"].where(t["label"] != PIP),
            },
            {},
            r"calls have no end; the first: 'night_000.wav', 'Pipistrellus pipistrellus'",
        ),
        ({"label": lambda t: "noise"}, {}, "hold no annotated call"),
        ({"split": lambda t: "train"}, {}, "no recording is in the split 'valid'"),
        ({}, {"ignored_labels": ("*",)}, "hold no annotated call"),
    ],
)
def test_data_that_cannot_be_learned_from(calls, columns, config, expected):
    with pytest.raises(DataError, match=expected):
        prepare(edited(calls, **columns), **config)


def test_a_noise_that_holds_for_a_whole_recording_is_no_hindrance(calls):
    """Such a label has no end; its recording still gives patches."""
    noisy = edited(
        calls,
        label=lambda t: t["label"].where(t["recording"] != "night_000.wav", "noise"),
        start_s=lambda t: t["start_s"].where(t["recording"] != "night_000.wav", 0),
        end_s=lambda t: t["end_s"].where(t["recording"] != "night_000.wav"),
        split=lambda t: np.where(t["recording"] < "night_004", "train", "valid"),
    )
    data = prepare(noisy)
    for recipe in ("bats/field", "bats/cnn8"):
        plan = load_recipe(recipe)
        table = training_patches(data, "train", plan.patches, plan.peaks, 1)
        assert np.isfinite(table.time_s).all()


def test_each_recording_draws_its_own_random_patches(data):
    plan = load_recipe("bats/cnn8")
    first, again, other = (training_patches(data, "train", plan.patches, plan.peaks, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.time_s, again.time_s)
    assert set(first.recording) == set(data.indices_of("train"))
    calls = first.is_call
    np.testing.assert_array_equal(first.time_s[calls], other.time_s[other.is_call])
    assert not np.array_equal(first.time_s[~calls], other.time_s[~other.is_call])
    one, two = (first.time_s[~calls & (first.recording == index)] for index in data.indices_of("train")[:2])
    assert not set(one) & set(two)


def test_every_peak_is_labelled_as_detection_will_be_judged(data):
    """Each annotated call has one peak at most, and that peak lies in it."""
    plan = load_recipe("bats/field")
    table, measures = every_peak(data, "train", plan.patches, plan.peaks)
    assert len(table) == len(measures)
    n_calls = sum(len(data.calls_of(name)) for name in data.recordings_of("train"))
    assert 0.9 * n_calls <= table.is_call.sum() <= n_calls
    assert (~table.is_call).sum() > 10
    for index, time in zip(table.recording[table.is_call], table.time_s[table.is_call], strict=True):
        mine = data.calls_of(data.manifest.recordings[index])
        reach = plan.patches.match_s
        assert ((mine["start_s"] - reach <= time) & (time <= mine["end_s"] + reach)).any()
