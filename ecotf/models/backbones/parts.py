"""What every backbone gives: a trunk, a neck, and how they line up in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class BackboneParts:
    """The two halves of a backbone.

    Attributes
    ----------
    trunk
        Keras model ``(batch, time, rows, 1) -> (batch, time // stride, rows', channels)``; any length of time.
    neck
        Keras model ``(batch, columns // stride, rows', channels) -> (batch, embedding)``; exactly one window.
    stride
        Columns of the spectrogram per column of the trunk's output.
    context
        Columns on either side of a window that its convolutions can see when the trunk runs over a longer stretch;
        0 when the trunk cannot be shared between windows.
    """

    trunk: Any
    neck: Any
    stride: int
    context: int
