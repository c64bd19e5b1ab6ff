"""Clusters of clips, as the page shows them and a person names them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.audio.channels import ChannelChoice
from ecotf.clustering.methods import NOISE
from ecotf.discovery.folder import JOURNAL, Clusters
from ecotf.errors import ConfigError, DataError, EcotfError
from ecotf.review.base import PAGE, SHARED_SCRIPTS, Clip, place_with_margin
from ecotf.review.card import Cards
from ecotf.review.journal import UNDO, Journal, read_decisions
from ecotf.review.naming import Naming
from ecotf.review.parts import split_in_parts

if TYPE_CHECKING:
    import pandas as pd

MOST_POINTS = 200_000
"""How many clips the map shows; of more, an even choice."""
_PAGE_CLIPS = 60
_VALUES = {
    "name": ("cluster", "name"), "merge": ("clusters", "into"), "split": ("cluster",), "noise": ("cluster",),
    "move": ("clips", "to"), UNDO: (),
}  # fmt: skip
_ABOVE = 1.25  # a picture shows so much more than the highest frequency of regions


class ReviewedClusters:
    """A folder of clusters, its journal, and what the page asks of them; `ecotf.review.base.Reviewed`.

    Raises
    ------
    ConfigError
        The decisions in the folder are about other clips, or their file was changed by another program.
    """

    body = (PAGE / "clusters.html").read_text(encoding="utf-8")
    scripts = (*SHARED_SCRIPTS, PAGE / "map.js", PAGE / "asking.js", PAGE / "cards.js", PAGE / "clusters.js")

    def __init__(self, clusters: Clusters) -> None:
        self.clusters = clusters
        self._clips = clusters.clips
        if not len(self._clips):
            raise ConfigError(f"{clusters.folder}: has no clips, so there is nothing to name")
        self._journal = Journal(clusters.folder / JOURNAL, digest_of(self._clips))
        self._naming = _replayed(self._clips, self._journal.decisions, clusters.folder)
        self._cards = Cards(self._clips)

    @property
    def folder(self) -> Path:
        """The folder of clusters."""
        return self.clusters.folder

    @property
    def title(self) -> str:
        """The last two parts of the folder's path: many a folder is called clusters."""
        return "/".join(self.folder.resolve().parts[-2:])

    @property
    def note(self) -> str:
        """What the user must know of the journal, or empty."""
        return self._journal.note

    def view(self, name: str, query: Mapping[str, str]) -> Any:
        """Return ``facts``, ``state``, ``points``, ``assigned``, ``card`` or ``clips``."""
        views = {
            "facts": lambda: self._facts, "state": self._state, "points": self._points,
            "assigned": lambda: self._naming.cluster[self._shown].astype("<i4").tobytes(),
            "card": lambda: self._card(_number(query, "cluster")),
            "clips": lambda: self._listed(_number(query, "cluster"), _number(query, "from")),
        }  # fmt: skip
        if name not in views:
            raise EcotfError(f"the page has no view {name!r}")
        return views[name]()

    def clip(self, number: int) -> Clip:
        """Return a clip with its recording."""
        if not 0 <= number < len(self._clips):
            raise DataError(f"there is no clip {number}")
        row, about = self._clips.iloc[number], self.clusters.about
        place = place_with_margin(
            row["recording"], row["path"], row["start_s"], row["end_s"], row["low_hz"], row["high_hz"],
            about.time_expansion, about.salvage,
        )  # fmt: skip
        channel: ChannelChoice = about.channel if isinstance(about.channel, int) else "mix"
        about_it = [row["time"].replace("T", " ").partition(".")[0], f"site {row['site']}" if row["site"] else ""]
        return Clip(place, (0.0, self._highest_hz), channel, ", ".join(filter(None, about_it)))

    def decide(self, decision: Mapping[str, Any]) -> Any:
        """Keep a decision; returns the new state, and whether clips changed their cluster."""
        what = decision.get("what")
        if what not in _VALUES:
            raise DataError(f"a decision {what!r} is not known; known are {', '.join(_VALUES)}")
        kept = {"what": what, **{name: decision.get(name) for name in _VALUES[what]}}
        if what == "split":
            kept["into"] = self._parts(kept["cluster"])
        before = self._naming.cluster.copy()
        self._naming.decide(kept)
        try:
            self._journal.append(kept)
        except BaseException:
            if what == UNDO:  # it cannot be done again, so all is made anew
                self._naming = _replayed(self._clips, self._journal.decisions, self.folder)
            else:
                self._naming.decide({"what": UNDO})
            raise
        moved = bool((before != self._naming.cluster).any())
        return {"state": self._state(), "moved": moved, "parts": len(kept["into"]) + 1 if what == "split" else 0}

    @cached_property
    def _facts(self) -> dict[str, Any]:
        about = self.clusters.about
        return {
            "title": self.title, "clips": len(self._clips), "shown": len(self._shown), "recipe": about.recipe,
            "embedder": about.embedder, "noise": NOISE, "dated": bool((self._cards.hours >= 0).any()),
        }  # fmt: skip

    def _state(self) -> dict[str, Any]:
        naming = self._naming
        ids, counts = np.unique(naming.cluster, return_counts=True)
        clusters = [
            {"cluster": int(one), "clips": int(count), "name": naming.names.get(int(one), ""),
             "noise": int(one) in naming.noise}
            for one, count in zip(ids, counts, strict=True) if one != NOISE
        ]  # fmt: skip
        left = int(counts[ids == NOISE].sum())
        return {"clusters": clusters, "left": left, "undo": naming.to_undo, "names": sorted(set(naming.names.values()))}

    @cached_property
    def _shown(self) -> np.ndarray:
        count = min(len(self._clips), MOST_POINTS)
        return np.unique(np.linspace(0, len(self._clips) - 1, count).round().astype(np.int64))

    def _points(self) -> bytes:
        """The places of all points as float32 ``x`` and ``y``, then their clips as int32, little-endian."""
        places = self._clips[["x", "y"]].to_numpy("<f4")[self._shown]
        return places.T.tobytes() + self._shown.astype("<i4").tobytes()

    def _card(self, cluster: int) -> dict[str, Any]:
        naming = self._naming
        members = naming.members(cluster)
        others = [one for one in naming.clusters if one != cluster]
        near: list[int] = []
        if cluster != NOISE and others:
            middles = self._cards.middles(naming.cluster, [cluster, *others])
            near = [others[i] for i in np.argsort(np.linalg.norm(middles[1:] - middles[0], axis=1), kind="stable")[:3]]
        return {**self._cards.card(members, cluster), "near": near}

    def _listed(self, cluster: int, start: int) -> dict[str, Any]:
        ordered = self._cards.ordered(self._naming.members(cluster), cluster)
        return {"all": len(ordered), "clips": self._cards.listed(ordered[start : start + _PAGE_CLIPS].tolist())}

    def _parts(self, cluster: Any) -> list[list[int]]:
        if not isinstance(cluster, int) or isinstance(cluster, bool):
            raise DataError(f"there is no cluster {cluster}")
        members = self._naming.members(cluster)
        rows = self.clusters.embeddings.rows(self._clips["row"].to_numpy(np.int64)[members])
        return [members[part].tolist() for part in split_in_parts(rows)[1:]]

    @cached_property
    def _highest_hz(self) -> float:
        """The highest frequency of pictures: above all regions, or the highest that the embedder hears."""
        highest = float(np.nan_to_num(self._clips["high_hz"].to_numpy(np.float64)).max())
        if highest > 0:
            return highest * _ABOVE
        try:
            return self.clusters.embeddings.about.sample_rate / 2
        except EcotfError:  # the embeddings were somewhere else, and are no longer there
            return float("inf")


def read_naming(clusters: Clusters) -> tuple[Naming, str]:
    """Read the present state of a folder of clusters, also while its page is open.

    Returns
    -------
    The state; and a line for the user where the journal's last line was cut off by a kill, else an empty one.
    """
    decisions, note = read_decisions(clusters.folder / JOURNAL, digest_of(clusters.clips))
    return _replayed(clusters.clips, decisions, clusters.folder), note


def digest_of(clips: pd.DataFrame) -> str:
    """Return a digest of what decisions are about: the clips in their order, and the clusters as they were found."""
    digest = hashlib.sha256("\n".join(clips["path"]).encode("utf-8", "surrogateescape"))
    for name, kind in (("start_s", "<f8"), ("end_s", "<f8"), ("cluster", "<i8")):
        digest.update(clips[name].to_numpy(kind).tobytes())
    return digest.hexdigest()[:32]


def _replayed(clips: pd.DataFrame, decisions: list[dict[str, Any]], folder: Path) -> Naming:
    try:
        return Naming.replayed(clips["cluster"].to_numpy(np.int64), decisions)
    except DataError as error:
        raise ConfigError(f"{folder / JOURNAL}: {error}; another program changed the file") from None


def _number(query: Mapping[str, str], name: str) -> int:
    try:
        return int(query.get(name, ""))
    except ValueError:
        raise EcotfError(f"{name}: a number is needed") from None
