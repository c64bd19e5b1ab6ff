"""The inputs that a file is tried on, and the desktop's outputs for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ecotf.detection.view import COLUMNS as DETECTION_COLUMNS
from ecotf.export.prove.recordings import Heard, Sound
from ecotf.export.stages.sound import SoundType

COLUMNS = ("recording", *DETECTION_COLUMNS)


@dataclass
class Examples:
    """Inputs of a file's signatures, and what is expected of them, by ``signature.name``: ``[n, ...]`` each.

    Attributes
    ----------
    candidates
        What the desktop finds in the sounds, with the columns `COLUMNS`.
    each_second
        How often a recorder asks each signature in a second of sound.
    peaks_per_s
        Peaks in a second of sound; None of runs that look for none.
    detector
        What a rehearsal needs to search for calls in whole sounds, as `FileDetector.of` takes it; None without one.
    segments
        How many each sound has; of runs of segments.
    frame_times
        Middles of the frames of a segment, seconds from its start; of heads that give frames.
    """

    inputs: dict[str, np.ndarray] = field(default_factory=dict)
    expected: dict[str, np.ndarray] = field(default_factory=dict)
    candidates: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(COLUMNS)))
    each_second: dict[str, float] = field(default_factory=dict)
    peaks_per_s: float | None = None
    detector: dict[str, Any] | None = None
    segments: tuple[int, ...] = ()
    frame_times: np.ndarray = field(default_factory=lambda: np.empty(0))


def samples_for(kind: SoundType, sound: Sound) -> np.ndarray:
    """Convert samples of ``sound`` to those that a file takes: int16 or float32 ``[n]``."""
    return sound.pcm if kind == "int16" else sound.samples


def as_float(samples: np.ndarray) -> np.ndarray:
    """Convert samples to those that the desktop takes, float32 in [-1, 1)."""
    return np.asarray(samples / np.float32(32768) if samples.dtype == np.int16 else samples, np.float32)


def pieces(kind: SoundType, heard: Heard, n_samples: int, n: int) -> np.ndarray:
    """At most ``n`` pieces of ``n_samples``, evenly drawn from the sounds; short ones are followed by silence."""
    each = max(1, n // len(heard.sounds))
    found = []
    for sound in heard.sounds:
        samples = samples_for(kind, sound)
        for start in np.linspace(0, max(0, len(samples) - n_samples), each).astype(int):
            piece = samples[start : start + n_samples]
            found.append(np.pad(piece, (0, n_samples - len(piece))))
    return np.stack(found[:n] if each == 1 else found)
