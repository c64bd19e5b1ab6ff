"""Clips: stretches of a recording with labels that say "somewhere in here", and where they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from ecotf.config import Config
from ecotf.datasets.manifest import Manifest
from ecotf.pipelines.sources import SOURCES, Hdf5Source, RecordingSource

if TYPE_CHECKING:
    SourceConfig = RecordingSource | Hdf5Source
else:
    SourceConfig = SOURCES.config_type()


class ClipsConfig(Config):
    """How clips are made of recordings.

    Attributes
    ----------
    seconds
        Length of a clip.
    crop
        Where a clip begins, of a recording that is longer: anywhere (``random``), where there is more sound than usual
        more often (``energy``), or at the ``start``.
    pad
        What fills a clip of a recording that is shorter: the recording again and again (``repeat``), ``zeros`` after
        it, or zeros before and after it (``centre``, as published for Darksound).
    fade_s
        The beginning and the end of each recording are faded in and out along half a period of a cosine; published for
        Darksound 0.1. A recording that is shorter than one fade is left out; between one and two, both overlap. Where a
        clip is cut out of the middle of a recording, nothing is faded.
    secondary_value
        Target of a label that is not in the foreground; published 0.9.
    self_mixup
        Which recordings give the sum of their parts: those whose labels are all in the ``background`` (the call is then
        surely in the clip), as published, ``all``, or ``none``.
    self_mixup_s
        How much of such a recording is added up; published 60.
    min_per_class
        A class with fewer clips gets some of them again until it has so many; 0 leaves it as it is.
    max_per_class
        A class with more clips is trained on so many of them, drawn once for a training; 0 takes all.
    unrated
        Weighs recordings anew by the manifest's column ``rating``: the rating of those that have none, or ``random``,
        as published for 2024. By default the manifest's ``weight`` holds.
    least_overlap
        A window that is cut at a fixed place gets the labels of annotations that share with it at least this part of
        the shorter of the two.
    source
        What clips are cut from, and how that is decoded.
    """

    seconds: float = Field(5.0, gt=0, le=600)
    crop: Literal["random", "energy", "start"] = "random"
    pad: Literal["repeat", "zeros", "centre"] = "repeat"
    fade_s: float = Field(0.0, ge=0, le=10)
    secondary_value: float = Field(0.9, ge=0, le=1)
    self_mixup: Literal["none", "background", "all"] = "none"
    self_mixup_s: float = Field(60.0, gt=0)
    min_per_class: int = Field(0, ge=0)
    max_per_class: int = Field(0, ge=0)
    unrated: float | Literal["random"] | None = None
    least_overlap: float = Field(0.25, gt=0, le=1)
    source: SourceConfig = RecordingSource()


@dataclass(frozen=True)
class ClipTable:
    """Clips to train on or to score.

    Attributes
    ----------
    recording
        int ``[n]``, index into a list of recordings.
    start_s
        float64 ``[n]``; NaN: a crop is drawn anew every time.
    targets
        float32 ``[n, classes]``, 1 in the foreground, less behind it.
    weight
        float32 ``[n]``, how much the clip counts in the loss.
    foreground
        bool ``[n]``, whether any label is in the foreground; all are, where it is not given.
    """

    recording: np.ndarray
    start_s: np.ndarray
    targets: np.ndarray
    weight: np.ndarray
    foreground: np.ndarray = field(default_factory=lambda: np.empty(0, bool))

    def __post_init__(self) -> None:
        if len(self.foreground) != len(self.recording):
            object.__setattr__(self, "foreground", np.ones(len(self.recording), bool))

    def __len__(self) -> int:
        return len(self.recording)

    def take(self, index: np.ndarray) -> ClipTable:
        """Return the clips at ``index``."""
        return ClipTable(
            self.recording[index], self.start_s[index], self.targets[index], self.weight[index], self.foreground[index]
        )

    def joined(self, other: ClipTable) -> ClipTable:
        """These clips followed by ``other``; both index the same list of recordings."""
        return ClipTable(
            np.concatenate([self.recording, other.recording]),
            np.concatenate([self.start_s, other.start_s]),
            np.concatenate([self.targets, other.targets]),
            np.concatenate([self.weight, other.weight]),
            np.concatenate([self.foreground, other.foreground]),
        )


@dataclass(frozen=True)
class Clips:
    """Clips with what their numbers stand for.

    Attributes
    ----------
    recordings
        As the manifest writes them; `ClipTable.recording` counts in this list.
    outside
        Labels that are not among the classes, and how many annotations have them.
    """

    table: ClipTable
    recordings: list[str]
    classes: list[str]
    outside: dict[str, int]

    def paths(self, manifest: Manifest) -> list[Path]:
        """Return the file of each recording."""
        return [manifest.path_of(recording) for recording in self.recordings]
