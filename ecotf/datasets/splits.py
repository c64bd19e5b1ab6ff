"""Splits of a manifest that keep every group whole, with the labels spread over the sides as evenly as groups allow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from ecotf.datasets.labels import is_background
from ecotf.datasets.manifest import Manifest
from ecotf.errors import DataError

SIDES = ("train", "valid", "test")


def split_by_group(manifest: Manifest, fractions: Mapping[str, float], seed: int, *, valid_groups: int = 1) -> Manifest:
    """Deal the groups into train, valid and test.

    Parameters
    ----------
    manifest
        Any split that it has is replaced.
    fractions
        The share of the groups for each side, as ``{"train": 0.7, "valid": 0.15, "test": 0.15}``; the sum is 1.
    seed
        The same seed gives the same split.
    valid_groups
        A label is in so many groups of the validation side, as far as train keeps as many: groups move there from
        train, those that bring the most labels with the fewest annotations first.

    Returns
    -------
    Manifest
        The same rows with ``split`` set. A label that only one group has goes to train, where it can be learned
        (:func:`describe_gaps` says which labels a side is without); but no side with a share is left empty, and where
        there are too few other groups for that, those with the fewest annotations move. Recordings that are there to
        be mixed into others (``role`` background) go to train and are not counted.

    Raises
    ------
    DataError
        A wrong fraction, or fewer groups than sides.
    """

    from ecotf.multilabel import stratified_parts

    shares = checked_fractions(fractions)
    all_groups, all_counts = _annotations_per_group(manifest)
    heard = np.flatnonzero(~_only_background(manifest, all_groups))
    groups, counts = [all_groups[i] for i in heard], all_counts[heard]
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
    if "valid" in shares and valid_groups > 1:
        _move_to_valid(sides, counts, valid_groups)
    all_sides = np.full(len(all_groups), "train")
    all_sides[heard] = sides
    return _with_sides(manifest, all_groups, all_sides)


def folds_by_group(manifest: Manifest, n_folds: int, seed: int, *, keep_lone: bool = False) -> list[Manifest]:
    """Deal the groups into folds for cross-validation.

    Parameters
    ----------
    n_folds
        At least 2, at most the number of groups.
    seed
        The same seed gives the same folds.
    keep_lone
        Whether a group with a label that no other group has stays in train in every fold (:func:`lone_labels` says
        which labels these are), so that every class is learned in every fold.

    Returns
    -------
    list of Manifest
        One per fold: ``test`` for the groups of the fold, ``train`` for all others. Every group is tested exactly
        once, but for those that ``keep_lone`` keeps and those of background to be mixed in; without ``keep_lone`` a
        label that only one group has is never trained on when it is tested.

    Raises
    ------
    DataError
        A number of folds that cannot be made.
    """

    from ecotf.multilabel import stratified_parts

    groups, counts = _annotations_per_group(manifest)
    stays = _only_background(manifest, groups) | (_has_lone_label(counts) if keep_lone else False)
    dealt = np.flatnonzero(~stays)
    if not 2 <= n_folds <= len(dealt):
        kept = len(groups) - len(dealt)
        but = f", of which {kept} stay in train (background, or a label that only they have)" if kept else ""
        raise DataError(
            f"{n_folds} folds cannot be made of {len(groups)} groups{but}; allowed are 2 up to one per group"
        )
    parts = np.full(len(groups), -1)
    parts[dealt] = stratified_parts(_presence_and_plenty(counts[dealt]), np.full(n_folds, 1 / n_folds), seed)
    return [_with_sides(manifest, groups, np.where(parts == fold, "test", "train")) for fold in range(n_folds)]


def lone_labels(manifest: Manifest) -> list[str]:
    """Return the labels that only one group has, sorted: they can be learned or tested, never both."""
    groups = manifest.annotations.groupby("label")["group"].nunique()
    return sorted(groups.index[groups == 1].tolist())


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


def describe_unlearned(manifest: Manifest, labels: Iterable[str]) -> list[str]:
    """Say which of ``labels`` no training recording has, one sentence each, with what to do."""
    annotations = manifest.annotations
    sentences = []
    for label in labels:
        rows = annotations[annotations["label"] == label]
        sides = set(rows["split"])
        if len(rows) and "train" not in sides:
            where = " and ".join(side for side in SIDES if side in sides) or "no split"
            sentences.append(
                f"{label} will not be learned: no training recording has it, its {rows['recording'].nunique()} "
                f"recordings are in {where}; put one of them in train (the manifest's column split), or annotate more"
            )
    return sentences


def checked_fractions(fractions: Mapping[str, float]) -> dict[str, float]:
    """Return the shares that are above 0, in the order of the sides; raises `DataError` where they cannot be."""
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

    import pandas as pd

    group = pd.Index(manifest.groups).get_indexer(pd.Index(manifest.table["group"]))
    label = pd.Index(manifest.labels, dtype="str").get_indexer(pd.Index(manifest.table["label"]))  # -1 where empty
    counts = np.zeros((len(manifest.groups), len(manifest.labels)), dtype=np.int64)
    np.add.at(counts, (group[label >= 0], label[label >= 0]), 1)
    return manifest.groups, counts


def _groups_to_deal(counts: np.ndarray, n_needed: int) -> np.ndarray:
    """Indices of the groups that may leave train: those without a label that is only theirs, and more if needed."""
    alone = _has_lone_label(counts)
    free = np.flatnonzero(~alone)
    if len(free) < n_needed:
        fewest = np.flatnonzero(alone)[np.argsort(counts[alone].sum(axis=1), kind="stable")]
        free = np.sort(np.concatenate([free, fewest[: n_needed - len(free)]]))
    return free


def _move_to_valid(sides: np.ndarray, counts: np.ndarray, wanted: int) -> None:
    """Move groups from train to valid, in place, until each label is in ``wanted`` groups of it where data allow.

    Train keeps at least as many groups of every label as ``wanted``.
    """
    present = counts > 0
    can = present.sum(axis=0) >= 2 * wanted
    while True:
        missing = can & (present[sides == "valid"].sum(axis=0) < wanted)
        in_train = present[sides == "train"].sum(axis=0)
        at = np.flatnonzero(sides == "train")
        # A group may go where train keeps enough of each of its labels that has enough at all.
        spared = [i for i in at if (in_train[present[i]] > np.where(can[present[i]], wanted, 1)).all()]
        helped = np.array([present[i][missing].sum() for i in spared])
        if not missing.any() or not len(helped) or not helped.max():
            return
        best = min(zip(-helped, counts[spared].sum(axis=1), spared, strict=True))
        sides[best[2]] = "valid"


def _only_background(manifest: Manifest, groups: list[str]) -> np.ndarray:
    """bool ``[n_groups]``: whether all recordings of the group are there to be mixed into others."""

    import pandas as pd

    others = manifest.table.loc[~is_background(manifest.table), "group"]
    return ~pd.Index(groups).isin(others)


def _has_lone_label(counts: np.ndarray) -> np.ndarray:
    """bool ``[n_groups]``: whether the group has a label that no other group has."""
    present = counts > 0
    return np.asarray(present[:, present.sum(axis=0) == 1].any(axis=1))


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
