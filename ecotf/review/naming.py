"""The present state of clusters: which clip is in which, and what a person has called them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecotf.clustering.methods import NOISE
from ecotf.errors import DataError
from ecotf.review.journal import UNDO, Decision, in_force

_LONGEST_NAME = 200


@dataclass(frozen=True)
class _Before:
    """What a decision has changed, as it was."""

    what: str
    clips: np.ndarray
    cluster: np.ndarray
    names: dict[int, str]
    noise: frozenset[int]
    following: int


class Naming:
    """Clusters with the decisions of a person; made from the same decisions, it is the same.

    A cluster that loses all its clips is no more; the name of one cluster may be that of another, too.

    Parameters
    ----------
    cluster
        int ``[clips]``, as they were found; `NOISE` for none.

    Attributes
    ----------
    cluster
        int64 ``[clips]``, as they are now.
    names
        Of clusters that have one.
    noise
        Clusters that a person has called noise.

    Examples
    --------
    >>> naming = Naming(np.array([0, 0, 1, -1]))
    >>> naming.decide({"what": "merge", "clusters": [1], "into": 0})
    >>> naming.decide({"what": "name", "cluster": 0, "name": "Ninox boobook"})
    >>> naming.cluster.tolist(), naming.names
    ([0, 0, 0, -1], {0: 'Ninox boobook'})
    >>> naming.decide({"what": "undo"})
    >>> naming.names
    {}
    """

    def __init__(self, cluster: np.ndarray) -> None:
        self.cluster = np.array(cluster, np.int64)
        self.names: dict[int, str] = {}
        self.noise: frozenset[int] = frozenset()
        self._following = int(self.cluster.max(initial=-1)) + 1
        self._before: list[_Before] = []
        self._kinds: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "name": self._name, "merge": self._merge, "split": self._split, "noise": self._call_noise,
            "move": self._move, UNDO: self._undo,
        }  # fmt: skip

    @classmethod
    def replayed(cls, cluster: np.ndarray, decisions: Sequence[Decision]) -> Naming:
        """Make the state that decisions lead to; raises `DataError` that numbers a decision which is impossible."""
        naming = cls(cluster)
        for number, decision in enumerate(in_force(decisions), start=1):
            try:
                naming.decide(decision)
            except DataError as error:
                raise DataError(f"decision {number} of those in force: {error}") from None
        return naming

    @property
    def clusters(self) -> list[int]:
        """The clusters that have clips, sorted, without `NOISE`."""
        return [int(one) for one in np.unique(self.cluster) if one != NOISE]

    @property
    def to_undo(self) -> str:
        """What the last decision in force did; empty where there is none."""
        return self._before[-1].what if self._before else ""

    def members(self, cluster: int) -> np.ndarray:
        """Return the clips of a cluster, or of `NOISE`; raises `DataError` where there is none."""
        found = np.flatnonzero(self.cluster == cluster)
        if not len(found) and cluster != NOISE:
            raise DataError(f"there is no cluster {cluster}")
        return found

    def decide(self, decision: Mapping[str, Any]) -> None:
        """Do what a decision says; raises `DataError`, and changes nothing, where it is impossible."""
        what = decision.get("what")
        if what not in self._kinds:
            raise DataError(f"a decision {what!r} is not known; known are {', '.join(self._kinds)}")
        self._kinds[what](decision)

    def _name(self, decision: Mapping[str, Any]) -> None:
        cluster = self._there(decision.get("cluster"))
        name = decision.get("name")
        name = " ".join(name.split()) if isinstance(name, str) else "\n"
        if not name.isprintable() or len(name) > _LONGEST_NAME:
            raise DataError(f"a name is text of one line, with at most {_LONGEST_NAME} letters")
        self._remember(f"name of cluster {cluster}")
        self.names = {key: value for key, value in self.names.items() if key != cluster}
        if name:
            self.names[cluster] = name
            self.noise = self.noise - {cluster}

    def _merge(self, decision: Mapping[str, Any]) -> None:
        into = self._there(decision.get("into"))
        merged = [self._there(one) for one in _list(decision.get("clusters"), "clusters")]
        if into in merged or len(set(merged)) < len(merged):
            raise DataError(f"cluster {into} cannot be merged with itself: give other clusters")
        name = next((self.names[one] for one in (into, *merged) if one in self.names), "")
        self._remember(f"merge into cluster {into}", np.flatnonzero(np.isin(self.cluster, merged)), into)
        self._forget(merged)
        if name:
            self.names[into] = name
            self.noise = self.noise - {into}

    def _split(self, decision: Mapping[str, Any]) -> None:
        cluster = self._there(decision.get("cluster"))
        parts = [self._clips(part) for part in _list(decision.get("into"), "into")]
        leaving = np.concatenate(parts)
        members = self.members(cluster)
        if len(np.unique(leaving)) < len(leaving) or not np.isin(leaving, members).all():
            raise DataError(f"the parts of cluster {cluster} are not clips of it, each in one part")
        if len(leaving) == len(members):
            raise DataError(f"cluster {cluster} cannot lose all its clips in a split")
        new = np.repeat(np.arange(len(parts)), [len(part) for part in parts]) + self._following
        self._remember(f"split of cluster {cluster}", leaving, new)
        self._following += len(parts)

    def _call_noise(self, decision: Mapping[str, Any]) -> None:
        cluster = self._there(decision.get("cluster"))
        self._remember(f"cluster {cluster} as noise")
        self._forget([cluster])
        self.noise = self.noise | {cluster}

    def _move(self, decision: Mapping[str, Any]) -> None:
        clips = self._clips(decision.get("clips"))
        to = decision.get("to")
        new = to == "new"
        target = self._following if new else NOISE if to == NOISE else self._there(to)
        self._remember(f"move of {len(clips)} clip{'s' if len(clips) > 1 else ''}", clips, target)
        self._following += new
        self._forget(set(self.names) | self.noise, only_empty=True)

    def _undo(self, _: Mapping[str, Any]) -> None:
        if not self._before:
            raise DataError("there is nothing to undo")
        before = self._before.pop()
        self.cluster[before.clips] = before.cluster
        self.names, self.noise, self._following = before.names, before.noise, before.following

    def _remember(self, what: str, clips: np.ndarray | None = None, new: np.ndarray | int = 0) -> None:
        """Keep what is now, and put clips into new clusters."""
        moved = np.empty(0, np.int64) if clips is None else clips
        self._before.append(_Before(what, moved, self.cluster[moved], self.names, self.noise, self._following))
        self.names = dict(self.names)
        self.cluster[moved] = new

    def _forget(self, clusters: Sequence[int] | frozenset[int] | set[int], only_empty: bool = False) -> None:
        left = set(self.clusters) if only_empty else set()
        self.names = {key: name for key, name in self.names.items() if key not in clusters or key in left}
        self.noise = frozenset(one for one in self.noise if one not in clusters or one in left)

    def _there(self, cluster: Any) -> int:
        if not _whole(cluster) or cluster == NOISE or not (self.cluster == cluster).any():
            raise DataError(f"there is no cluster {cluster}")
        return int(cluster)

    def _clips(self, clips: Any) -> np.ndarray:
        numbers = _list(clips, "clips")
        if not all(_whole(one) and 0 <= one < len(self.cluster) for one in numbers):
            raise DataError(f"clips are numbers from 0 to {len(self.cluster) - 1}")
        return np.unique(np.array(numbers, np.int64))


def _list(values: Any, name: str) -> list[Any]:
    if not isinstance(values, list) or not values:
        raise DataError(f"{name}: a list with at least one is needed")
    return values


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
