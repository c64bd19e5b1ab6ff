"""How an enrolled run listens: windows as long as the examples, a short hop, and the events made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecotf.models.embedders import Embedder
from ecotf.models.embedders.base import find_config
from ecotf.tasks.enrolment.examples import Example
from ecotf.tasks.run_embedder import build_embedder, with_window

HOPS = 4
"""Windows begin so many times in the length of a call."""
_HOP_S = (0.02, 0.25)  # at least, at most
_CALL_S = (0.05, 5.0)


@dataclass(frozen=True)
class Listening:
    """Lengths, in seconds.

    Attributes
    ----------
    call_s
        What is taken for the length of a call: the median of the examples, within limits.
    segment_s
        From one window to the next.
    window_s
        What the embedder hears around each.
    listen_s
        What is kept of that; None keeps all.
    """

    call_s: float
    segment_s: float
    window_s: float
    listen_s: float | None


def typical_length(examples: Sequence[Example]) -> float:
    """Return the median length of examples, seconds, within what a window can be."""
    return float(np.clip(np.median([example.seconds for example in examples]), *_CALL_S))


def open_for(
    what: str | Path, description: str | Path | None, call_s: float, whole_window: bool = False
) -> tuple[Embedder, Listening]:
    """Open an embedder for calls of a length.

    A run is made to hear windows of that length; of a window that its author has fixed, as much is kept in its middle.

    Parameters
    ----------
    what
        A run folder, a model with its description beside it, or the file that ``description`` describes.
    whole_window
        Hear a fixed window with all that is around the call.

    Raises
    ------
    ConfigError
        No such embedder.
    """
    config = find_config(what) if description is None else find_config(description, what)
    embedder = build_embedder(with_window(config, call_s))
    window_s = embedder.samples / embedder.sample_rate
    listen_s = None if whole_window or call_s >= 0.8 * window_s else call_s
    row = round(float(np.clip(call_s / HOPS, *_HOP_S)) * embedder.sample_rate)
    row += (embedder.samples - row) % 2  # the margin is then the same on both sides
    return embedder, Listening(call_s, row / embedder.sample_rate, window_s, listen_s)
