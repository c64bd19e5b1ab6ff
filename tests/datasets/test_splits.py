"""Splits: no group on two sides, nothing lost, the same for the same seed, and labels spread evenly."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecotf.datasets import make_manifest
from ecotf.datasets.splits import describe_gaps, folds_by_group, split_by_group
from ecotf.errors import DataError
from ecotf.multilabel import stratified_parts

THIRDS = {"train": 0.7, "valid": 0.15, "test": 0.15}


def manifest_of(rows):
    """``rows``: (group, recording, label)."""
    table = pd.DataFrame(rows, columns=["group", "recording", "label"]).assign(start_s=0.0, end_s=1.0)
    return make_manifest(table, ".", "here")


@st.composite
def manifests(draw):
    n_groups = draw(st.integers(3, 25))
    rows = []
    for group in range(n_groups):
        for recording in range(draw(st.integers(1, 3))):
            labels = draw(st.lists(st.sampled_from(["", "a", "b", "c", "d"]), min_size=1, max_size=5))
            rows += [(f"g{group}", f"g{group}_{recording}.wav", label) for label in labels]
    return manifest_of(rows)


def sides_of(manifest, column):
    return manifest.table.groupby(column)["split"].nunique()


@settings(max_examples=25, deadline=None)
@given(manifest=manifests(), seed=st.integers(0, 2**32 - 1))
def test_split_keeps_groups_rows_and_seed(manifest, seed):
    split = split_by_group(manifest, THIRDS, seed)
    assert (sides_of(split, "group") == 1).all()
    assert (sides_of(split, "recording") == 1).all()
    pd.testing.assert_frame_equal(split.table.drop(columns="split"), manifest.table.drop(columns="split"))
    assert set(split.table["split"]) == {"train", "valid", "test"}
    pd.testing.assert_frame_equal(split.table, split_by_group(manifest, THIRDS, seed).table)


@settings(max_examples=15, deadline=None)
@given(manifest=manifests(), n_folds=st.integers(2, 5), seed=st.integers(0, 100))
def test_folds_test_every_group_once(manifest, n_folds, seed):
    n_folds = min(n_folds, len(manifest.groups))
    folds = folds_by_group(manifest, n_folds, seed)
    tested = [group for fold in folds for group in fold.of_split("test").groups]
    assert sorted(tested) == sorted(manifest.groups)
    for fold in folds:
        assert (sides_of(fold, "group") == 1).all()
        assert set(fold.table["split"]) == {"train", "test"}
    for fold, again in zip(folds, folds_by_group(manifest, n_folds, seed), strict=True):
        pd.testing.assert_frame_equal(fold.table, again.table)


def test_the_seed_matters_and_numpys_global_state_does_not():
    manifest = manifest_of([(f"g{i}", f"{i}.wav", "ab"[i % 2]) for i in range(40)])
    np.random.seed(1)  # noqa: NPY002
    first = split_by_group(manifest, THIRDS, 0)
    after = np.random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert np.random.random() == after  # noqa: NPY002
    pd.testing.assert_frame_equal(first.table, split_by_group(manifest, THIRDS, 0).table)
    assert not first.table.equals(split_by_group(manifest, THIRDS, 1).table)


def test_every_label_gets_its_share():
    random = np.random.default_rng(0)
    rows = []
    for i in range(400):
        for label, chance in (("common", 0.7), ("usual", 0.3), ("rare", 0.05)):
            if random.random() < chance:
                rows += [(f"g{i}", f"{i}.wav", label)] * int(random.integers(1, 20))
        rows.append((f"g{i}", f"{i}.wav", ""))
    split = split_by_group(manifest_of(rows), THIRDS, 3)
    groups = split.annotations.drop_duplicates(["group", "label"])
    share = pd.crosstab(groups["label"], groups["split"], normalize="index")
    for side, wanted in THIRDS.items():
        assert share[side].to_numpy() == pytest.approx(np.full(3, wanted), abs=0.03)
    calls = pd.crosstab(split.annotations["label"], split.annotations["split"], normalize="index")
    assert calls.loc["common", "train"] == pytest.approx(0.7, abs=0.05)


def test_a_rare_label_is_not_left_to_chance():
    # Two groups have the rare label, all have the common one: dealt by the common one, both could end together.
    rows = [(f"g{i}", f"{i}.wav", "common") for i in range(30)] + [(f"g{i}", f"{i}.wav", "rare") for i in (4, 17)]
    for seed in range(10):
        for fold in folds_by_group(manifest_of(rows), 2, seed):
            assert (fold.annotations["label"] == "rare").sum() == 2
            assert (fold.of_split("test").annotations["label"] == "rare").sum() == 1


def test_small_data_sets_come_out_even():
    manifest = manifest_of([(f"g{i}", f"{i}.wav", f"species {i // 2}") for i in range(20)])
    for seed in range(10):
        sizes = [len(fold.of_split("test").groups) for fold in folds_by_group(manifest, 4, seed)]
        assert max(sizes) - min(sizes) <= 2, sizes


def test_label_of_a_single_group_is_trained_on():
    rows = [(f"g{i}", f"{i}.wav", "common") for i in range(12)] + [("g5", "5.wav", "single"), ("g9", "9.wav", "other")]
    for seed in range(8):
        split = split_by_group(manifest_of(rows), THIRDS, seed)
        assert {"g5", "g9"} <= set(split.of_split("train").groups)
        assert describe_gaps(split) == [
            "label 'other' is not in valid and test: 1 group has it",
            "label 'single' is not in valid and test: 1 group has it",
        ]


def test_no_side_is_empty_even_if_every_label_has_one_group():
    rows = [(f"g{i}", f"{i}.wav", f"species {i}") for i in range(4) for _ in range(10 - i)]
    split = split_by_group(manifest_of(rows), THIRDS, 0)
    assert sorted(split.of_split("train").groups) == ["g0", "g1"]  # those with the most annotations stay
    assert len(split.of_split("valid").groups) == len(split.of_split("test").groups) == 1


def test_two_sides_and_one():
    manifest = manifest_of([(f"g{i}", f"{i}.wav", "a") for i in range(10)])
    assert len(split_by_group(manifest, {"train": 0.8, "test": 0.2}, 0).of_split("test").groups) == 2
    assert split_by_group(manifest, {"train": 1.0, "test": 0.0}, 0).table["split"].eq("train").all()


def test_recordings_without_annotations_are_dealt_too():
    manifest = manifest_of([(f"g{i}", f"{i}.wav", "") for i in range(20)])
    sizes = split_by_group(manifest, THIRDS, 0).table["split"].value_counts()
    assert sizes.to_dict() == {"train": 14, "valid": 3, "test": 3}


@settings(max_examples=40, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**63))
def test_stratified_parts_are_never_empty(data, seed):
    n_parts = data.draw(st.integers(1, 4))
    n_examples = data.draw(st.integers(n_parts, 12))
    labels = data.draw(
        st.lists(st.lists(st.booleans(), min_size=2, max_size=2), min_size=n_examples, max_size=n_examples)
    )
    shares = np.array(data.draw(st.lists(st.floats(0.01, 1), min_size=n_parts, max_size=n_parts)))
    parts = stratified_parts(np.array(labels), shares / shares.sum(), seed)
    assert parts.shape == (n_examples,)
    assert set(parts) == set(range(n_parts))


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ({"train": 0.7, "dev": 0.3}, "side 'dev'; allowed are train, valid, test"),
        ({"train": 0.7, "test": 0.2}, "add up to 0.9"),
        ({"train": 1.5, "test": -0.5}, "fraction of train is 1.5"),
        ({"valid": 0.5, "test": 0.5}, "fraction of train is 0"),
    ],
)
def test_wrong_fractions(fractions, message):
    with pytest.raises(DataError, match=message):
        split_by_group(manifest_of([("g", "a.wav", "a")]), fractions, 0)


def test_too_few_groups():
    manifest = manifest_of([("g", "a.wav", "a"), ("h", "b.wav", "a")])
    with pytest.raises(DataError, match="2 groups cannot be split into 3 sides"):
        split_by_group(manifest, THIRDS, 0)
    with pytest.raises(DataError, match="3 folds cannot be made of 2 groups"):
        folds_by_group(manifest, 3, 0)
    with pytest.raises(DataError, match="1 folds cannot be made"):
        folds_by_group(manifest, 1, 0)
