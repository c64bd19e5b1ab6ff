"""Where events begin and end, and how long they are, as targets of frames; and what the numbers of frames mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_S, OCTAVES = 0.005, 13.0
"""A length is a number from 0 to 1 on a scale of octaves, from 5 ms to 41 s."""
_NEAR = 0.5  # frames that are so much an onset say how long its event is


@dataclass(frozen=True)
class OnsetTruth:
    """Targets of the onsets of events.

    Attributes
    ----------
    width
        Of an onset or an end, in frames: the sigma of a bell around it. Nobody draws a box to the frame.
    """

    width: float = 1.0

    def of(
        self, middles: NDArray[np.float64], frame_s: float, start_s: NDArray[Any], end_s: NDArray[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        """Compute what is true of frames by the events of one class.

        Parameters
        ----------
        middles
            Of the frames, seconds ``[t]``.
        start_s, end_s
            Of the events, ``[events]``, by the same clock.

        Returns
        -------
        Whether an event begins there, from 0 to 1 (1 in the frame that is nearest to an onset), and whether one ends
        there; how long the event is whose onset is nearest, as `encoded`; and whether that is known; ``[t]`` each.
        """
        if not len(start_s) or not len(middles):
            nothing = np.zeros(len(middles))
            return nothing, nothing, nothing, nothing > 0
        bell = self._bell(middles, frame_s, start_s)
        near, length = bell.max(axis=1), encoded(end_s - start_s)[bell.argmax(axis=1)]
        return near, self._bell(middles, frame_s, end_s).max(axis=1), length, near >= _NEAR

    def _bell(self, middles: NDArray[np.float64], frame_s: float, moments: NDArray[Any]) -> NDArray[np.float64]:
        distance = np.abs(middles[:, None] - moments) / frame_s
        bell = np.exp(-0.5 * np.square(distance / self.width))
        bell[distance <= 0.5] = 1.0
        return np.asarray(bell)


def encoded(lengths_s: Any) -> Any:
    """Return lengths as numbers from 0 to 1, on a scale of octaves."""
    return np.clip(np.log2(np.maximum(lengths_s, LEAST_S) / LEAST_S) / OCTAVES, 0.0, 1.0)
