"""``splits.csv``: which recordings a run was trained, chosen and tested on, written once and read ever after."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ecotf.audio.hdf5_rows import row_fingerprint, split_row
from ecotf.datasets.manifest import Manifest, read_manifest
from ecotf.datasets.species_splits import split_by_species
from ecotf.datasets.splits import split_by_group
from ecotf.errors import ConfigError

NAME = "splits.csv"
OK = "ok"
TWO_SIDES = "two_sides"
_COLUMNS = ("recording", "split", "group", "state", "reason", "bytes", "digest")
_WHOLE = 2 << 20  # of longer files, blocks spread over the file are enough to see that it is another one
_BLOCKS, _BLOCK = 16, 1 << 17


class State(NamedTuple):
    """The state of a recording's file.

    Attributes
    ----------
    state
        ``ok``, or the reader's status (``corrupt``, ``unsupported``, ...); later also ``missing`` and ``changed``.
    reason
        Why it cannot be used, in one sentence; empty where it can.
    bytes, digest
        What identifies the file's content (`fingerprint`); None and empty where the file is not there.
    """

    state: str
    reason: str
    bytes: int | None
    digest: str


@dataclass(frozen=True, eq=False)
class Splits:
    """The split of a run, as it was drawn.

    Attributes
    ----------
    table
        One row for each recording of the manifest: ``recording, split, group, state, reason, bytes, digest``. What
        could not be read when the split was drawn has a state other than ``ok`` and is on no side.
    """

    table: pd.DataFrame

    @property
    def usable(self) -> list[str]:
        """The recordings that could be read when the split was drawn."""
        return self.table.loc[self.table["state"] == OK, "recording"].tolist()

    def recordings_of(self, split: str) -> list[str]:
        """Return the recordings of a side: ``train``, ``valid`` or ``test``."""
        return self.table.loc[self.table["split"] == split, "recording"].tolist()

    def state_of(self, recording: str) -> State:
        """Return the state of a recording when the split was drawn."""
        return self._states[recording]

    @cached_property
    def _states(self) -> dict[str, State]:
        rows = self.table[["recording", "state", "reason", "bytes", "digest"]].itertuples(index=False, name=None)
        return {name: State(state, why, None if pd.isna(size) else int(size), mark)
                for name, state, why, size, mark in rows}  # fmt: skip

    def apply(self, manifest: Manifest) -> Manifest:
        """Return the manifest's rows of the usable recordings, with the split as it was drawn.

        Raises
        ------
        ConfigError
            The manifest has other recordings, other groups or another split of its own.
        """
        self._require_same(manifest)
        manifest = manifest.subset(self.usable)
        sides = dict(self.table[["recording", "split"]].itertuples(index=False, name=None))
        if (manifest.table["split"] == manifest.table["recording"].map(sides)).all():
            return manifest
        return manifest.with_splits(sides)

    def renamed(self, names: Mapping[str, str]) -> Splits:
        """Return the same splits with other names of recordings; those that ``names`` does not have keep their name."""
        return Splits(self.table.assign(recording=[names.get(name, name) for name in self.table["recording"]]))

    def _require_same(self, manifest: Manifest) -> None:
        own = manifest.table.drop_duplicates("recording")
        groups = dict(zip(own["recording"], own["group"], strict=True))
        sides = dict(zip(own["recording"], own["split"], strict=True))
        mine = set(self.table["recording"])
        for name in [*self.table["recording"], *groups]:
            if name not in groups or name not in mine:
                raise ConfigError(f"{NAME} is of another manifest (only one of them has {name!r}); train again")
        of_usable = self.table[self.table["state"] == OK]
        for name, split, group in of_usable[["recording", "split", "group"]].itertuples(index=False, name=None):
            if groups[name] != group or sides[name] not in ("", split):
                raise ConfigError(
                    f"{NAME} is of another manifest (group or split of {name!r} was {group!r}, {split!r} and is "
                    f"{groups[name]!r}, {sides[name]!r}); train again"
                )


def draw_splits(
    manifest: Manifest,
    states: Mapping[str, State],
    shares: Mapping[str, float],
    seed: int,
    *,
    by_species: bool = False,
    no_species: Collection[str] = (),
    valid_groups: int = 1,
) -> Splits:
    """Take the manifest's own split or, where it has none, draw one of the recordings that can be read.

    Parameters
    ----------
    states
        Of every recording of the manifest.
    shares, seed, valid_groups
        As `ecotf.datasets.splits.split_by_group`.
    by_species, no_species
        Whether species are dealt instead of groups (`ecotf.datasets.species_splits`). Recordings that are left out then
        have the state `TWO_SIDES`.
    """
    usable = manifest.subset([name for name in manifest.recordings if states[name].state == OK])
    if usable.recordings and not (usable.table["split"] != "").any():
        if by_species:
            usable, left_out = split_by_species(usable, shares, seed, no_species)
            states = {
                **states,
                **{name: states[name]._replace(state=TWO_SIDES, reason=why) for name, why in left_out.items()},
            }
        else:
            usable = split_by_group(usable, shares, seed, valid_groups=valid_groups)
    sides = dict(zip(usable.table["recording"], usable.table["split"], strict=True))
    first = manifest.table.drop_duplicates("recording")
    rows = [
        (name, sides.get(name, ""), group, *states[name])
        for name, group in first[["recording", "group"]].itertuples(index=False, name=None)
    ]
    return Splits(pd.DataFrame(rows, columns=list(_COLUMNS)).astype({"bytes": "Int64"}))


def read_splits(folder: str | Path) -> Splits:
    """Read the split of a run; recordings are called as in the run's ``manifest.csv``.

    Raises
    ------
    ConfigError
        There is none, or it is damaged.
    """
    path = Path(folder) / NAME
    kinds = dict.fromkeys(_COLUMNS, str) | {"bytes": "Int64"}
    try:
        table = pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values={"bytes": [""]})
    except FileNotFoundError:
        raise ConfigError(
            f"{folder}: the run has no {NAME}, which says what it was trained and tested on (runs of ecotf 0.1 have "
            "none); train again, or copy the whole folder again"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({str(error).splitlines()[0]}); copy it again") from None
    if tuple(table.columns) != _COLUMNS or table["recording"].duplicated().any():
        raise ConfigError(f"{path}: damaged; copy it again. It has the columns {', '.join(_COLUMNS)}")
    return Splits(table)


def trained_manifest(folder: str | Path) -> Manifest:
    """Read what a run was trained, chosen and tested on: its manifest's usable recordings, split as they were.

    Raises
    ------
    ConfigError
        The run has no split, or one of another manifest.

    Examples
    --------
    >>> trained_manifest("runs/bats/field/2026-06-21_22-15-00").of_split("test").recordings  # doctest: +SKIP
    ['night_003.wav', 'night_011.wav']
    """
    splits = read_splits(folder)
    try:
        return splits.apply(read_manifest(Path(folder) / "manifest.csv"))
    except ConfigError as error:
        raise ConfigError(f"{folder}: {error}") from None


def first_state(path: Path) -> State:
    """Return the state of a recording's file when the split is drawn; its reader says why it cannot be opened."""
    try:
        return State(OK, "", *fingerprint(path))
    except OSError:
        return State(OK, "", None, "")


def state_now(path: Path, was: State) -> State:
    """Return the state of a recording's file now: as it ``was``, ``missing``, or ``changed``; its sound is not read."""
    if was.state != OK:
        return was
    try:
        size, digest = fingerprint(path)
    except OSError as error:
        return State("missing", f"the file cannot be read any more ({error.strerror}): {path}", None, "")
    if (size, digest) == (was.bytes, was.digest):
        return was
    sizes = f" ({was.bytes:,} bytes then, {size:,} now)" if size != was.bytes else ""
    return State("changed", f"the file is not the one that the split was drawn with{sizes}: {path}", size, digest)


def fingerprint(path: Path) -> tuple[int, str]:
    """Size in bytes and a digest of a file's content: all of it up to 2 MiB, of longer files 16 blocks of 128 KiB.

    Of a row of an HDF5 file, those of the row.
    """
    row = split_row(path)
    if row is not None:
        return row_fingerprint(*row)
    size = os.path.getsize(path)
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as stream:
        if size <= _WHOLE:
            digest.update(stream.read())
        else:
            for number in range(_BLOCKS):
                stream.seek(number * (size - _BLOCK) // (_BLOCKS - 1))
                digest.update(stream.read(_BLOCK))
    return size, digest.hexdigest()
