"""Episodes of few-shot learning: which clips are the support of each class, and which are the queries.

An episode draws some classes (``way``), a few clips of each that the model may look at (``shots``, the support), and a
few others of the same classes that it has to name (``queries``). The support and the queries of a class never share a
recording, nor a group of the manifest: otherwise a model would be praised for knowing a site's noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import Field

from ecotf.config import Config
from ecotf.datasets.manifest import Manifest
from ecotf.errors import DataError
from ecotf.pipelines.clips import Clips, ClipTable
from ecotf.wording import counted

_TRIES = 20


class EpisodeConfig(Config):
    """The size of episodes, and how many of them an epoch has.

    Attributes
    ----------
    way
        Classes in an episode (published ``N_WAY``).
    shots
        Clips of each class in the support (published ``N_SHOT``).
    queries
        Clips of each class that are to be named (published ``N_QUERY``).
    episodes
        Episodes in an epoch (published ``N_TASKS``).
    """

    way: int = Field(5, ge=2)
    shots: int = Field(5, ge=1)
    queries: int = Field(1, ge=1)
    episodes: int = Field(100, ge=1)

    @property
    def n_support(self) -> int:
        """Clips in the support of an episode; they come first in a batch."""
        return self.way * self.shots

    @property
    def n_clips(self) -> int:
        """Clips in an episode, support and queries."""
        return self.way * (self.shots + self.queries)

    @property
    def class_index(self) -> np.ndarray:
        """The class of each clip of an episode, int64 ``[n_clips]``, counted from 0 to ``way - 1``."""
        return np.concatenate(
            [np.repeat(np.arange(self.way), self.shots), np.repeat(np.arange(self.way), self.queries)]
        )


@dataclass(frozen=True, eq=False)
class EpisodeClips:
    """The clips that episodes are drawn from. Build it with `episode_clips`.

    Attributes
    ----------
    table
        The clips; only those of exactly one class are drawn.
    group
        int ``[n]``; clips with the same number are never in the support and in the queries of one class.
    classes
        The names of the classes, in the order of ``table.targets``.
    notes
        What people should know of these clips, one line each.
    """

    table: ClipTable
    group: np.ndarray
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def rows_of(self, code: int) -> np.ndarray:
        """The clips of a class, as rows of the table."""
        present = self.table.targets > 0
        return np.flatnonzero(present[:, code] & (present.sum(axis=1) == 1))


@dataclass(frozen=True, eq=False)
class Episodes:
    """The episodes of one epoch. Build it with `draw_episodes`.

    Attributes
    ----------
    config
        Their size.
    rows
        int64 ``[episodes, n_clips]``, rows of the clips' table: the support of class 0, of class 1 and so on, then the
        queries of class 0, of class 1 and so on.
    classes
        int64 ``[episodes, way]``: which classes they are, as columns of ``table.targets``.
    left_out
        Classes that have too few clips, one line each: what they have, and what is needed.
    """

    config: EpisodeConfig
    rows: np.ndarray
    classes: np.ndarray
    left_out: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def labels(self, number: int) -> np.ndarray:
        """The class of each clip of an episode as a column of ``table.targets``, int64 ``[n_clips]``."""
        return self.classes[number][self.config.class_index]


def episode_clips(clips: Clips, manifest: Manifest, digests: Mapping[str, str] | None = None) -> EpisodeClips:
    """Find which clips may not be in the support and in the queries of one class.

    Parameters
    ----------
    clips
        One or more clips of each recording.
    manifest
        Names the group of each recording.
    digests
        Recording to the digest of its file (``splits.csv``). Files of the same bytes count as one recording.

    Examples
    --------
    >>> valid = data.side("valid", stage.data)  # doctest: +SKIP
    >>> clips = clips_of_recordings(valid, valid.labels, plan.clips)  # doctest: +SKIP
    >>> source = episode_clips(clips, valid)  # doctest: +SKIP
    >>> draw_episodes(source, EpisodeConfig(way=5, shots=1), seed=1979, epoch=0).rows.shape  # doctest: +SKIP
    (100, 10)
    """
    group_of = dict(zip(manifest.table["recording"], manifest.table["group"], strict=True))
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(one: tuple[str, str]) -> tuple[str, str]:
        while parent.setdefault(one, one) != one:
            one = parent[one]
        return one

    times: dict[str, int] = {}
    for name in clips.recordings:
        digest = (digests or {}).get(name, "")
        if digest:
            times[digest] = times.get(digest, 0) + 1
            parent[root(("digest", digest))] = root(("group", group_of[name]))
    number: dict[tuple[str, str], int] = {}
    of_recording = np.array(
        [number.setdefault(root(("group", group_of[name])), len(number)) for name in clips.recordings], np.int64
    )
    copies = sum(count - 1 for count in times.values())
    notes = (
        (f"{copies} recordings are copies of others, byte for byte: a copy counts as the same recording",)
        if copies else ()
    )  # fmt: skip
    return EpisodeClips(clips.table, of_recording[clips.table.recording], tuple(clips.classes), notes)


def draw_episodes(clips: EpisodeClips, config: EpisodeConfig, seed: int, epoch: int) -> Episodes:
    """Draw the episodes of one epoch; the same for the same seed and epoch, whatever was drawn before.

    Parameters
    ----------
    clips
        To draw from. Classes with too few clips, or too few recordings to keep support and queries apart, are left out.
    seed, epoch
        Each episode draws from the seed, the epoch and its own number.

    Raises
    ------
    DataError
        Fewer classes can be drawn than ``config.way``; names those that were left out.
    """
    usable, left_out = _usable_classes(clips, config)
    if len(usable) < config.way:
        why = f"; {'; '.join(left_out[:3])}" + (f"; and {len(left_out) - 3} more" if len(left_out) > 3 else "")
        raise DataError(
            f"{config.way}-way episodes need {config.way} classes with enough clips, and {len(usable)} of "
            f"{len(clips.classes)} have{why if left_out else ''}; lower way, shots or queries"
        )
    rows = np.empty((config.episodes, config.n_clips), np.int64)
    classes = np.empty((config.episodes, config.way), np.int64)
    for number in range(config.episodes):
        rng = np.random.default_rng([seed, epoch, number, _EPISODE])
        chosen = [usable[place] for place in rng.choice(len(usable), config.way, replace=False)]
        sides = [one.draw(config, rng) for one in chosen]
        rows[number] = np.concatenate([support for support, _ in sides] + [queries for _, queries in sides])
        classes[number] = [one.code for one in chosen]
    return Episodes(config, rows, classes, tuple(left_out))


_EPISODE = 0x455049  # so that episodes share no random numbers with crops


@dataclass(frozen=True, eq=False)
class _Class:
    """A class whose support and queries can be kept apart.

    Attributes
    ----------
    groups
        Its clips, as rows of the table, by group.
    apart
        Groups that make a support with enough clips, and leave enough for queries.
    """

    code: int
    groups: list[np.ndarray]
    apart: frozenset[int]
    sizes: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def draw(self, config: EpisodeConfig, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The support and the queries of an episode."""
        for _ in range(_TRIES):
            order = rng.permutation(len(self.groups))
            before = np.cumsum(self.sizes[order])
            cuts = np.flatnonzero((before >= config.shots) & (before[-1] - before >= config.queries))
            if len(cuts):
                cut = 1 + int(rng.choice(cuts))
                return self._of(order[:cut], config.shots, rng), self._of(order[cut:], config.queries, rng)
        others = set(range(len(self.groups))) - self.apart
        return self._of(self.apart, config.shots, rng), self._of(others, config.queries, rng)

    def _of(self, groups: Iterable[int], wanted: int, rng: np.random.Generator) -> np.ndarray:
        return rng.choice(np.concatenate([self.groups[group] for group in sorted(groups)]), wanted, replace=False)


def _usable_classes(clips: EpisodeClips, config: EpisodeConfig) -> tuple[list[_Class], list[str]]:
    """The classes that can be drawn, and a line for each other one."""
    usable, left_out = [], []
    for code, name in enumerate(clips.classes):
        rows = clips.rows_of(code)
        of_row = clips.group[rows]
        groups = [rows[of_row == group] for group in np.unique(of_row)]
        sizes = np.array([len(group) for group in groups], np.int64)
        apart = _apart(sizes.tolist(), config.shots, config.queries)
        if apart is not None:
            usable.append(_Class(code, groups, apart, sizes))
        else:
            there = (
                f"{counted(len(rows), 'clip')} of {counted(len(groups), 'recording or group', 'recordings or groups')}"
            )
            need = f"{config.shots} + {config.queries} are needed, of different recordings or groups"
            left_out.append(f"{name} is not drawn: it has {there}; {need}")
    return usable, left_out


def _apart(sizes: Sequence[int], shots: int, queries: int) -> frozenset[int] | None:
    """Groups with at least ``shots`` clips together whose others have at least ``queries``; None where there are none.

    A group that could be a side alone is as good as a greater one, so sums stay small, whatever the clips.
    """
    sizes = [min(size, max(shots, queries)) for size in sizes]
    reached: dict[int, frozenset[int]] = {0: frozenset()}
    for group, size in enumerate(sizes):
        for total, inside in list(reached.items()):
            if total < shots and total + size not in reached:
                reached[total + size] = inside | {group}
    fitting = [total for total in reached if total >= shots and sum(sizes) - total >= queries]
    return reached[min(fitting)] if fitting else None
