"""The wall-clock budget of a search, over all the sittings that it takes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from time import monotonic

from ecotf.files import atomic_file

_WRITE_EVERY_S = 5.0


class Clock:
    """Counts the seconds that a search has run, on disk every few seconds, so that a kill costs no more than those.

    Parameters
    ----------
    path
        Where the seconds are kept.
    budget_s
        How many there are; None is no end.
    """

    def __init__(self, path: Path, budget_s: float | None) -> None:
        self._path = path
        self._budget_s = math.inf if budget_s is None else budget_s
        self._before = _read(path)
        self._began = monotonic()
        self._written = -math.inf

    def spent_s(self) -> float:
        """Return the seconds that the search has run, now and before interruptions."""
        return self._before + monotonic() - self._began

    def left_s(self) -> float:
        """Return the seconds until the budget is spent."""
        return self._budget_s - self.spent_s()

    def tick(self, now: bool = False) -> None:
        """Write the seconds down if that was some time ago, or ``now``."""
        if now or monotonic() - self._written > _WRITE_EVERY_S:
            with atomic_file(self._path) as partial:
                partial.write_text(json.dumps({"spent_s": round(self.spent_s(), 1)}))
            self._written = monotonic()


def _read(path: Path) -> float:
    try:
        return max(0.0, float(json.loads(path.read_text())["spent_s"]))
    except (OSError, ValueError, LookupError, TypeError):
        return 0.0
