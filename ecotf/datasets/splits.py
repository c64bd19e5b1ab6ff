"""Splits of a manifest that keep every group whole, with the labels spread over the sides as evenly as groups allow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from ecotf.datasets.manifest import Manifest
from ecotf.errors import DataError
from ecotf.multilabel import stratified_parts

SIDES = ("train", "valid", "test")


def split_by_group(manifest: Manifest, fractions: Mapping[str, float], seed: int) -> Manifest:
    """Deal the groups into train, valid and test.

    Parameters
    ----------
    manifest
        Any split that it has is replaced.
    fractions
        The share of the groups for each side, as ``{"train": 0.7, "valid": 0.15, "test": 0.15}``; the sum is 1.
    seed
        The same seed gives the same split.

    Returns
    -------
    Manifest
        The same rows with ``split`` set. A label that only one group has goes to train, where it can be learned
        (:func:`describe_gaps` says which labels a side is without); but no side with a share is left empty, and where
        there are too few other groups for that, those with the fewest annotations move.

    Raises
    ------
    DataError
        A wrong fraction, or fewer groups than sides.
    """
    shares = _checked_fractions(fractions)
    groups, counts = _annotations_per_group(manifest)
    if len(groups) < len(shares):
        raise DataError(
            f"{len(groups)} groups cannot be split into {len(shares)} sides ({', '.join(shares)}); "
            "each side needs at least one group"
        )
    sides = np.full(len(groups), "train")
    others = [side for side in shares if side != "train"]
    free = _groups_to_deal(counts, len(others))
    kept = len(groups) - len(free)
    wanted = {side: share * len(groups) - (kept if side == "train" else 0) for side, share in shares.items()}
    if wanted["train"] <= 0 or len(free) < len(shares):  # train has its share, or must not take what others need
        wanted = {side: wanted[side] for side in others}
    if others:
        names, sizes = np.array(list(wanted)), np.array(list(wanted.values()))
        sides[free] = names[stratified_parts(_presence_and_plenty(counts[free]), sizes / sizes.sum(), seed)]
    return _with_sides(manifest, groups, sides)


def folds_by_group(manifest: Manifest, n_folds: int, seed: int) -> list[Manifest]:
    """Deal the groups into folds for cross-validation.

    Parameters
    ----------
    n_folds
        At least 2, at most the number of groups.
    seed
        The same seed gives the same folds.

    Returns
    -------
    list of Manifest
        One per fold: ``test`` for the groups of the fold, ``train`` for all others. Every group is tested exactly
        once; a label that only one group has is therefore never trained on when it is tested.

    Raises
    ------
    DataError
        A number of folds that cannot be made.
    """
    groups, counts = _annotations_per_group(manifest)
    if not 2 <= n_folds <= len(groups):
        raise DataError(f"{n_folds} folds cannot be made of {len(groups)} groups; allowed are 2 up to one per group")
    parts = stratified_parts(_presence_and_plenty(counts), np.full(n_folds, 1 / n_folds), seed)
    return [_with_sides(manifest, groups, np.where(parts == fold, "test", "train")) for fold in range(n_folds)]


def describe_gaps(manifest: Manifest) -> list[str]:
    """Say which labels a side of the split is without, one sentence each, for people to read before they train."""
    annotations = manifest.annotations
    used = [side for side in SIDES if (manifest.table["split"] == side).any()]
    present = annotations.groupby("label")["split"].agg(set)
    groups = annotations.groupby("label")["group"].nunique()
    sentences = []
    for label in manifest.labels:
        absent = [side for side in used if side not in present[label]]
        if absent:
            number = "1 group has" if groups[label] == 1 else f"{groups[label]} groups have"
            sentences.append(f"label {label!r} is not in {' and '.join(absent)}: {number} it")
    return sentences


def _checked_fractions(fractions: Mapping[str, float]) -> dict[str, float]:
    for side, share in fractions.items():
        if side not in SIDES:
            raise DataError(f"fractions name the side {side!r}; allowed are {', '.join(SIDES)}")
        if not 0 <= share <= 1:
            raise DataError(f"the fraction of {side} is {share!r}; a number from 0 to 1 is needed")
    total = sum(fractions.values())
    if abs(total - 1) > 1e-6:
        raise DataError(f"the fractions add up to {total:g}; they must add up to 1")
    shares = {side: fractions[side] for side in SIDES if fractions.get(side, 0) > 0}
    if "train" not in shares:
        raise DataError("the fraction of train is 0; something must be left to train on")
    return shares


def _annotations_per_group(manifest: Manifest) -> tuple[list[str], np.ndarray]:
    """The groups, and how many annotations each has of each label, shape (n_groups, n_labels)."""
    group = pd.Index(manifest.groups).get_indexer(pd.Index(manifest.table["group"]))
    label = pd.Index(manifest.labels, dtype="str").get_indexer(pd.Index(manifest.table["label"]))  # -1 where empty
    counts = np.zeros((len(manifest.groups), len(manifest.labels)), dtype=np.int64)
    np.add.at(counts, (group[label >= 0], label[label >= 0]), 1)
    return manifest.groups, counts


def _groups_to_deal(counts: np.ndarray, n_needed: int) -> np.ndarray:
    """Indices of the groups that may leave train: those without a label that is only theirs, and more if needed."""
    alone = (counts > 0)[:, (counts > 0).sum(axis=0) == 1].any(axis=1)
    free = np.flatnonzero(~alone)
    if len(free) < n_needed:
        fewest = np.flatnonzero(alone)[np.argsort(counts[alone].sum(axis=1), kind="stable")]
        free = np.sort(np.concatenate([free, fewest[: n_needed - len(free)]]))
    return free


def _presence_and_plenty(counts: np.ndarray) -> np.ndarray:
    """Two marks per label: the group has it, and has more of it than half of the groups that have it.

    Presence alone would let one side have all the groups with hundreds of calls.
    """
    present = counts > 0
    middles = [np.median(column[column > 0]) if column.any() else 0.0 for column in counts.T]
    return np.concatenate([present, counts > np.array(middles)], axis=1)


def _with_sides(manifest: Manifest, groups: list[str], sides: np.ndarray) -> Manifest:
    side_of = dict(zip(groups, sides.tolist(), strict=True))
    table = manifest.table
    return manifest.with_splits(dict(zip(table["recording"], table["group"].map(side_of), strict=True)))
