"""The recordings of a training: each read once, those that cannot be used named and left out, the rest split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import pandas as pd

from ecotf.datasets.black_list import black_listed, read_black_list
from ecotf.datasets.data_config import DataConfig
from ecotf.datasets.doubles import without_doubles
from ecotf.datasets.folds import split_by_folds
from ecotf.datasets.manifest import Manifest
from ecotf.datasets.species_splits import describe_species, require_whole_species, split_by_species
from ecotf.datasets.splits import split_by_group
from ecotf.errors import DataError, RecordingError
from ecotf.runs.splits import OK, TWO_SIDES, Splits, State, draw_splits, first_state, state_now
from ecotf.training.run_store import Log

BLACK_LISTED = "black_listed"
Reading = TypeVar("Reading")
Progress = Callable[[int, int], None]
"""Takes how many recordings are read, and of how many."""


@dataclass(frozen=True)
class Opened(Generic[Reading]):
    """Recordings that were read and split.

    Attributes
    ----------
    manifest
        The recordings that could be read when the split was drawn, with their sides. What was lost since is still in
        it, so that classes, numbers and random draws stay what they were.
    readings
        Recording to what was read of it; without those that were lost.
    problems
        ``recording, status, reason`` of all that is left out.
    """

    manifest: Manifest
    readings: dict[str, Reading]
    splits: Splits
    problems: pd.DataFrame

    @property
    def lost(self) -> frozenset[str]:
        """Return the recordings that were split and can no longer be used."""
        return frozenset(self.manifest.recordings) - self.readings.keys()


def open_recordings(
    manifest: Manifest,
    read: Callable[[str], Reading],
    config: DataConfig,
    seed: int,
    log: Log,
    threads: int = 2,
    progress: Progress | None = None,
    kept: Splits | None = None,
) -> Opened[Reading]:
    """Read every recording, name and leave out those that cannot be used, and split the rest.

    What is annotated twice counts once (`ecotf.datasets.doubles`).

    Parameters
    ----------
    read
        Reads a recording by its name; raises `RecordingError`.
    kept
        The split of an interrupted training: nothing is drawn, and what has changed since is left out.

    Raises
    ------
    DataError
        Nothing can be read.
    ConfigError
        ``kept`` is of another manifest.
    """
    once = without_doubles(manifest)
    manifest = once.manifest
    if once.told:
        log(once.told)
    recordings = manifest.recordings
    by_species = config.split_by == "species"
    no_species = config.no_species(manifest.labels)
    unwanted: dict[str, tuple[str, str]] = {}
    if kept is None:
        if config.folds is not None:
            manifest, left_out = _split_by_folds(manifest, config, seed, no_species)
            unwanted |= {name: (TWO_SIDES, why) for name, why in left_out.items()}
        if by_species:
            used = [name for name in recordings if name not in unwanted]
            require_whole_species(manifest.subset(used), no_species)
        unwanted |= dict.fromkeys(_black_listed(manifest, config, log), (BLACK_LISTED, f"named in {config.black_list}"))
    split = None if kept is None else kept.apply(manifest)  # before hours of reading

    def look(name: str) -> tuple[Reading | None, State]:
        path = manifest.path_of(name)
        now = first_state(path) if kept is None else state_now(path, kept.state_of(name))
        if name in unwanted:
            return None, now._replace(state=unwanted[name][0], reason=unwanted[name][1])
        if now.state != OK:
            return None, now
        try:
            return read(name), now
        except RecordingError as error:
            return None, now._replace(state=error.status, reason=str(error))

    readings: dict[str, Reading] = {}
    states: dict[str, State] = {}
    problems: list[dict[str, str]] = []

    def leave_out(name: str, state: State) -> None:
        problems.append({"recording": name, "status": state.state, "reason": state.reason})
        if state.state != BLACK_LISTED:
            log(f"left out: {name}: {state.reason}")

    with ThreadPoolExecutor(threads) as pool:
        for done, (name, (reading, state)) in enumerate(zip(recordings, pool.map(look, recordings), strict=True), 1):
            states[name] = state
            if state.state == OK:
                readings[name] = reading  # type: ignore[assignment]
            else:
                leave_out(name, state)
            if progress is not None:
                progress(done, len(recordings))
    if not readings:
        raise DataError(
            f"none of the {len(recordings)} recordings can be read; the first: {problems[0]['reason']}"
            if problems else "the manifest names no recording"
        )  # fmt: skip
    if kept is None or split is None:
        kept = draw_splits(
            manifest, states, config.shares, seed, by_species=by_species, no_species=no_species,
            valid_groups=config.valid_groups,
        )  # fmt: skip
        split = kept.apply(manifest)
        for name in sorted(readings.keys() - set(kept.usable)):
            del readings[name]
            leave_out(name, kept.state_of(name))
    if by_species:
        log(describe_species(split, no_species))
    return Opened(split, readings, kept, pd.DataFrame(problems, columns=["recording", "status", "reason"]))


def _split_by_folds(
    manifest: Manifest, config: DataConfig, seed: int, no_species: Sequence[str]
) -> tuple[Manifest, dict[str, str]]:
    """The manifest with the sides of its folds, and what had to be left out where species are dealt."""
    assert config.folds is not None
    left_out: dict[str, str] = {}

    def draw(rest: Manifest, shares: Mapping[str, float], seed: int) -> Manifest:
        if config.split_by == "group":
            return split_by_group(rest, shares, seed, valid_groups=config.valid_groups)
        drawn, why = split_by_species(rest, shares, seed, no_species)
        left_out.update(why)
        return drawn

    return split_by_folds(manifest, config.folds, config.shares, seed, draw), left_out


def _black_listed(manifest: Manifest, config: DataConfig, log: Log) -> frozenset[str]:
    """The recordings that are not to be learned from; says how many."""
    if config.black_list is None:
        return frozenset()
    found, unknown = black_listed(manifest, read_black_list(config.black_list))
    rest = f"; {len(unknown)} of its names are of no recording, the first: {unknown[0]}" if unknown else ""
    log(f"left out of training: {len(found)} recordings, named in {config.black_list}{rest}")
    return frozenset(found)
