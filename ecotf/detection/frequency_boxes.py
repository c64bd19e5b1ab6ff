"""Boxes in frequency around events: the settings, what is kept of a class, and tables of events with their edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from ecotf.config import Config
from ecotf.detection.band_edges import ClassEdges, EdgeSettings, EdgeStream
from ecotf.detection.finders import Numbers
from ecotf.detection.view import COLUMNS, in_order

if TYPE_CHECKING:
    import pandas as pd

_OVER_DB, _UNDER_DB, _SHARE = 10.0, 25.0, 0.03  # of a class without boxes to fit them on


class BoxesConfig(Config):
    """Give each event its lowest and its highest frequency, measured in the spectrogram (`ecotf.detection.band_edges`).

    Attributes
    ----------
    rows
        Rows of that spectrogram from the lowest to the highest frequency that the model hears. More rows are finer in
        frequency and coarser in time.
    around_s
        The sound before and after an event that it is compared with. Events come out so much later.
    """

    rows: int = Field(256, ge=8, le=4096)
    around_s: float = Field(1.0, gt=0, le=10)

    def settings(self, band_hz: tuple[float, float]) -> EdgeSettings:
        """Return the settings of the spectrogram for a model that hears this band."""
        return EdgeSettings(self.rows, self.around_s, *band_hz)

    def facts(self, classes: Sequence[str], numbers: Numbers | None, band_hz: tuple[float, float]) -> dict[str, Any]:
        """Return what a recorder must know to measure the same edges; classes in their order."""
        kept = [(numbers or {}).get(name) or unfitted(band_hz) for name in classes]
        return {"rows": self.rows, "around_s": self.around_s, "classes": kept}


def unfitted(band_hz: tuple[float, float]) -> dict[str, Any]:
    """Return the numbers of a class without boxes: what is measured, anywhere in the band, and else all of the band."""
    low, high = ({"weight": 1.0, "offset_hz": 0.0, "typical_hz": hz} for hz in band_hz)
    return {
        "from_hz": band_hz[0], "to_hz": band_hz[1], "over_db": _OVER_DB, "under_db": _UNDER_DB, "share": _SHARE,
        "low": low, "high": high,
    }  # fmt: skip


class BoxedEvents:
    """Tables of events of one channel, each event with its edges in frequency; `EdgeStream` says how it is used."""

    def __init__(
        self,
        config: BoxesConfig,
        classes: Sequence[str],
        numbers: Numbers | None,
        band_hz: tuple[float, float],
        sample_rate: float,
    ) -> None:
        made = [ClassEdges.read(one) for one in config.facts(classes, numbers, band_hz)["classes"]]
        self._codes = {name: code for code, name in enumerate(classes)}
        self._edges: EdgeStream[tuple[Any, ...]] = EdgeStream(config.settings(band_hz), made, sample_rate)

    def hear(self, sound: np.ndarray) -> None:
        """Take more sound ``[n]``."""
        self._edges.hear(sound)

    def settle(self, tables: Sequence[pd.DataFrame], settled_s: float | None) -> list[pd.DataFrame]:
        """Take tables of new events; return those whose surroundings are heard. ``settled_s``: None at the end."""
        import pandas as pd

        rows = [row for table in tables for row in table[list(COLUMNS)].itertuples(index=False, name=None)]
        label = COLUMNS.index("label")
        known = self._edges.settle([(row[0], row[1], self._codes[row[label]], row) for row in rows], settled_s)
        if not known:
            return []
        made = [(*row[:2], low, high, *row[4:]) for row, low, high in known]
        return [in_order([pd.DataFrame(made, columns=list(COLUMNS))])]

    def settled_s(self, of_events_s: float) -> float:
        """Return what later events begin after; seconds."""
        return self._edges.settled_s(of_events_s)
