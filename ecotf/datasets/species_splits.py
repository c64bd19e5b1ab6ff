"""Splits by species, for few-shot learning: a model is tested on species that it has never seen."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from ecotf.datasets.labels import is_background
from ecotf.datasets.manifest import Manifest
from ecotf.datasets.splits import SIDES, checked_fractions
from ecotf.errors import DataError


def split_by_species(
    manifest: Manifest, fractions: Mapping[str, float], seed: int, no_species: Collection[str] = ()
) -> tuple[Manifest, dict[str, str]]:
    """Deal the species into train, valid and test; all recordings of a species are on its side.

    Parameters
    ----------
    manifest
        Any split that it has is replaced.
    fractions
        The share of the species for each side, as ``{"train": 0.6, "valid": 0.2, "test": 0.2}``; the sum is 1, and a
        side with a share gets at least one species.
    seed
        The same seed gives the same split.
    no_species
        Labels that are no species: of unknown species, or no event.

    Returns
    -------
    Manifest
        The rows with ``split`` set, without those of recordings that are left out. Groups without any species are dealt
        by the same shares. Recordings that are there to be mixed into others (``role`` background) go to train.
    dict
        Each recording that is left out, and why: its species are of two sides, or its group has recordings of two
        sides. Of such a group, the side with most recordings keeps its own.

    Raises
    ------
    DataError
        A wrong fraction, or fewer species than sides.

    Examples
    --------
    >>> split, left_out = split_by_species(manifest, {"train": 0.8, "test": 0.2}, seed=1)  # doctest: +SKIP
    >>> split.of_split("test").labels  # doctest: +SKIP
    ['Nyctibius grandis', 'Tinamus major']
    """
    shares = checked_fractions(fractions)
    species_of = _species_of_recordings(manifest, no_species)
    species = sorted(set().union(*species_of.values()))
    if len(species) < len(shares):
        raise DataError(
            f"{len(species)} species cannot be split into {len(shares)} sides ({', '.join(shares)}); each side needs "
            "at least one (data.split_by: species)"
        )
    rng = np.random.default_rng(seed)
    side_of = _dealt(species, shares, rng)
    sides = {name: {side_of[label] for label in labels} for name, labels in species_of.items()}
    first = manifest.table.drop_duplicates("recording")
    mixed_in = set(manifest.table.loc[is_background(manifest.table), "recording"])
    members: dict[str, list[str]] = {}
    for name, group in zip(first["recording"], first["group"], strict=True):
        members.setdefault(group, []).append(name)
    without = [group for group, names in members.items() if not any(sides.get(name) for name in names)]
    heard = [group for group in without if not mixed_in.issuperset(members[group])]
    side_of_group = dict.fromkeys(without, "train") | (_dealt(heard, shares, rng, at_least=0) if heard else {})
    left_out: dict[str, str] = {}
    for group, names in members.items():
        own = [next(iter(sides[name])) for name in names if len(sides.get(name, ())) == 1]
        if own:
            side_of_group[group] = max(SIDES, key=own.count)
        kept = side_of_group.get(group, "")
        for name in names:
            there = sides.get(name, set())
            if len(there) > 1:
                said = ", ".join(f"{label} ({side_of[label]})" for label in sorted(species_of[name]))
                left_out[name] = f"its species are of two sides of the split: {said}"
            elif there and there != {kept}:
                left_out[name] = f"its species is in {there.pop()}, most of its group {group!r} in {kept}"
            elif not kept:  # everything else of its group is left out
                left_out[name] = f"the recordings of its group {group!r} have species of two sides of the split"
    splits = {name: side_of_group.get(group, "") for group, names in members.items() for name in names}
    kept_recordings = [name for name in manifest.recordings if name not in left_out]
    return manifest.subset(kept_recordings).with_splits(splits), left_out


def require_whole_species(manifest: Manifest, no_species: Collection[str] = ()) -> None:
    """Refuse a manifest whose own split has one species on two sides.

    Raises
    ------
    DataError
        One line that names the first such species, its sides, and how many more there are.
    """
    table = _rows_with_species(manifest, no_species)
    sides = table[table["split"] != ""].groupby("label")["split"].agg(set)
    cut = sides[sides.map(len) > 1]
    if len(cut):
        named = " and ".join(side for side in SIDES if side in cut.iloc[0])
        more = f"; so are {len(cut) - 1} more" if len(cut) > 1 else ""
        raise DataError(
            f"data.split_by: species: {cut.index[0]!r} is in {named} (the manifest's split, or data.folds); a species "
            f"is on one side{more}"
        )


def describe_species(manifest: Manifest, no_species: Collection[str] = ()) -> str:
    """Say how many species and recordings each side has, in one line."""
    table = _rows_with_species(manifest, no_species)
    parts = []
    for side in SIDES:
        own = table[table["split"] == side]
        if len(own):
            parts.append(f"{own['label'].nunique()} in {side} ({own['recording'].nunique()} recordings)")
    return f"species: {', '.join(parts)}"


def _rows_with_species(manifest: Manifest, no_species: Collection[str]):  # type: ignore[no-untyped-def]
    table = manifest.table
    return table[~is_background(table) & (table["label"] != "") & ~table["label"].isin(list(no_species))]


def _species_of_recordings(manifest: Manifest, no_species: Collection[str]) -> dict[str, set[str]]:
    table = _rows_with_species(manifest, no_species)
    return {str(name): set(labels) for name, labels in table.groupby("recording")["label"]}


def _dealt(
    names: list[str], shares: Mapping[str, float], rng: np.random.Generator, at_least: int = 1
) -> dict[str, str]:
    """Each name's side: shuffled, then cut by the shares (largest remainders), each side having ``at_least``."""
    wanted = np.array([share * len(names) for share in shares.values()])
    counts = np.floor(wanted + 1e-9).astype(int)
    for place in np.argsort(counts - wanted, kind="stable")[: len(names) - counts.sum()]:
        counts[place] += 1
    while (counts < at_least).any():
        counts[counts.argmax()] -= 1
        counts[counts.argmin()] += 1
    sides = np.repeat(list(shares), counts)
    return dict(zip([names[i] for i in rng.permutation(len(names))], sides.tolist(), strict=True))
