"""The facts of one cluster for its card: its clips, when they were recorded, and where."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.clustering.methods import NOISE

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 6
"""How many of the most central clips a card shows, and how many of the most doubtful."""
_TOLD = 4
_CENTRAL_SHARE = 0.5


class Cards:
    """Makes the cards of clusters from the table of clips.

    Parameters
    ----------
    clips
        As `ecotf.discovery.folder.Clusters.clips`.
    """

    def __init__(self, clips: pd.DataFrame) -> None:
        self._clips = clips
        self._probability = np.nan_to_num(clips["probability"].to_numpy(np.float64))
        self._map = np.nan_to_num(clips[["x", "y"]].to_numpy(np.float64))

    @cached_property
    def _recordings(self) -> tuple[np.ndarray, list[str]]:
        return _coded(self._clips["recording"])

    @cached_property
    def _sites(self) -> tuple[np.ndarray, list[str]]:
        return _coded(self._clips["site"])

    @cached_property
    def _labels(self) -> tuple[np.ndarray, list[str]]:
        return _coded(self._clips["label"])

    @cached_property
    def hours(self) -> np.ndarray:
        """The hour of the day of each clip, from 0 to 23, -1 where it is not known."""
        import pandas as pd

        found = pd.to_numeric(self._clips["time"].str.extract(r"^\d{4}-\d\d-\d\d[T ](\d\d):", expand=False))
        return found.fillna(-1).to_numpy(np.int64)

    def card(self, members: np.ndarray, cluster: int) -> dict[str, Any]:
        """Return the facts of a cluster with these clips, for JSON."""
        ordered = self.ordered(members, cluster)
        hours = self.hours[members]
        central = ordered[: max(SHOWN, round(_CENTRAL_SHARE * len(ordered)))]
        shown = self._of_many_recordings(central)[:SHOWN]
        doubtful = [int(one) for one in ordered[::-1] if one not in set(shown.tolist())][:SHOWN]
        return {
            "cluster": cluster, "clips": len(members),
            "hours": np.bincount(hours[hours >= 0], minlength=24).tolist(), "undated": int((hours < 0).sum()),
            "recordings": self._counted(self._recordings, members), "sites": self._counted(self._sites, members),
            "labels": self._counted(self._labels, members),
            "central": self.listed(shown), "doubtful": self.listed(doubtful),
        }  # fmt: skip

    def ordered(self, members: np.ndarray, cluster: int) -> np.ndarray:
        """Order clips of a cluster: first the surest, and of equally sure ones those in its middle of the map.

        What was left over is in no order of its own: every so many clips of it come first.
        """
        if cluster == NOISE:
            place = np.arange(len(members)) * 0.6180339887498949 % 1.0
            return np.asarray(members[np.argsort(place, kind="stable")])
        middle = np.median(self._map[members], axis=0) if len(members) else np.zeros(2)
        away = np.linalg.norm(self._map[members] - middle, axis=1)
        return np.asarray(members[np.lexsort((away, -self._probability[members]))])

    def listed(self, clips: Any) -> list[dict[str, Any]]:
        """Return what stands below the picture of each clip."""
        clips = np.asarray(clips, np.int64)
        rows = self._clips.iloc[clips][["recording", "start_s", "time"]].to_dict("records")
        return [
            {"clip": int(clip), "probability": float(self._probability[clip]), **row}
            for clip, row in zip(clips, rows, strict=True)
        ]

    def middles(self, cluster: np.ndarray, wanted: list[int]) -> np.ndarray:
        """Return the middle of each wanted cluster on the map, ``[wanted, 2]``."""
        order = np.argsort(cluster, kind="stable")
        start = np.searchsorted(cluster[order], wanted)
        end = np.searchsorted(cluster[order], wanted, side="right")
        parts = [self._map[order[first:last]] for first, last in zip(start, end, strict=True)]
        return np.array([np.median(part, axis=0) for part in parts]).reshape(-1, 2)

    def _of_many_recordings(self, ordered: np.ndarray) -> np.ndarray:
        """Put the first clip of each recording first, then the second of each, and so on."""
        codes = self._recordings[0][ordered]
        by_code = np.argsort(codes, kind="stable")
        sorted_ = codes[by_code]
        turn = np.empty(len(codes), np.int64)
        turn[by_code] = np.arange(len(codes)) - np.searchsorted(sorted_, sorted_)
        return np.asarray(ordered[np.argsort(turn, kind="stable")])

    def _counted(self, coded: tuple[np.ndarray, list[str]], members: np.ndarray) -> Mapping[str, Any]:
        """How many values there are, and the most frequent ones with the number of their clips."""
        codes, names = coded
        counts = np.bincount(codes[members], minlength=len(names))
        counts[[number for number, name in enumerate(names) if not name]] = 0
        most = np.argsort(-counts, kind="stable")[:_TOLD]
        return {"different": int((counts > 0).sum()), "most": [[names[i], int(counts[i])] for i in most if counts[i]]}


def _coded(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    codes, names = column.factorize()
    return codes, [str(name) for name in names]
