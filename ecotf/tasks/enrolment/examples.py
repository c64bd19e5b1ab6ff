"""The examples of a species: whole clips, or boxes in recordings; checked, each with where it came from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecotf.audio.channels import ChannelChoice
from ecotf.audio.recording import Recording, open_recording
from ecotf.datasets.manifest import Manifest
from ecotf.errors import DataError, RecordingError
from ecotf.runs.splits import fingerprint

SHORTEST_S = 0.02
"""A shorter example holds no call that an embedder could know again."""
_SILENT = 1e-5  # -100 dB of full scale; 16 bits end at -96


@dataclass(frozen=True)
class Example:
    """One example of a species.

    Attributes
    ----------
    recording
        The file, as a full path.
    start_s, end_s
        Where in it, seconds of real time.
    fingerprint
        Of the file's content (`ecotf.runs.splits.fingerprint`).
    time_expansion
        As stated by a manifest.
    whole
        It is the whole of a clip, so nothing is known of what is around.
    """

    recording: str
    start_s: float
    end_s: float
    fingerprint: str
    time_expansion: float | None = None
    whole: bool = False

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end_s - self.start_s

    @property
    def key(self) -> tuple[str, float, float]:
        """What makes two examples the same: the file's content and the place in it."""
        return self.fingerprint, round(self.start_s, 4), round(self.end_s, 4)

    def opened(self) -> Recording:
        """Open the recording; raises `DataError` that names it."""
        return opened(self.recording, self.time_expansion)

    def __str__(self) -> str:
        """Name it for people."""
        name = os.path.basename(self.recording)
        return name if self.whole else f"{name} at {self.start_s:.2f} s"


def opened(path: str, time_expansion: float | None = None) -> Recording:
    """Open a recording; raises `DataError` that names it."""
    try:
        return open_recording(path, time_expansion=time_expansion)
    except RecordingError as error:
        raise DataError(f"{path}: {error}") from None


def read_part(
    recording: Recording, start_s: float, end_s: float, channel: ChannelChoice, rate: int | None = None
) -> np.ndarray:
    """Read a part of a recording, as far as it goes; raises `DataError` that names it."""
    first, last = max(0.0, min(start_s, recording.duration_s)), min(end_s, recording.duration_s)
    try:
        return recording.read(first, max(first, last), channel=channel, sample_rate=rate)
    except RecordingError as error:
        raise DataError(f"{recording.path}: {error}") from None


def whole_clips(paths: Iterable[str | Path]) -> list[Example]:
    """Make an example of each clip; raises `DataError` for one that cannot be read."""
    examples = []
    for path in paths:
        found = opened(str(path))
        where = os.path.abspath(path)
        examples.append(Example(where, 0.0, found.duration_s, fingerprint(Path(where))[1], whole=True))
    return examples


def boxes_of(manifest: Manifest, label: str) -> list[Example]:
    """Make an example of each row of a manifest with this label; without an end it is the whole recording.

    Raises
    ------
    DataError
        No row has the label, a recording cannot be read, or a box lies behind its end.
    """
    table = manifest.annotations
    table = table[table["label"] == label]
    if not len(table):
        known = ", ".join(manifest.labels[:8]) or "none"
        raise DataError(f"no row has the label {label!r}; labels that are there: {known}; say which with --label")
    examples, marks = [], dict[str, str]()
    for name, start, end in table[["recording", "start_s", "end_s"]].itertuples(index=False, name=None):
        path, expansion = os.path.abspath(manifest.path_of(name)), manifest.time_expansion_of(name)
        found = opened(path, expansion)
        if start >= found.duration_s:
            raise DataError(
                f"{path}: an example begins at {start:g} s, and the recording ends at {found.duration_s:g} s"
            )
        if path not in marks:
            marks[path] = fingerprint(Path(path))[1]
        whole = not np.isfinite(end)
        until = found.duration_s if whole else min(float(end), found.duration_s)
        examples.append(Example(path, float(start), until, marks[path], expansion, whole))
    return examples


def check_examples(examples: Sequence[Example], channel: ChannelChoice, known: Sequence[Example] = ()) -> None:
    """Refuse examples that are too short, silent, or the same as another or one that is ``known`` (`DataError`)."""
    seen = {example.key: example for example in known}
    for example in examples:
        if example.key in seen:
            raise DataError(
                f"{example} and {seen[example.key]} are the same sound; give each example once: copies of one call say "
                "nothing more about the species"
            )
        seen[example.key] = example
        if example.seconds < SHORTEST_S:
            raise DataError(f"{example}: {example.seconds:.3f} s long; an example needs at least {SHORTEST_S:g} s")
        sound = read_part(example.opened(), example.start_s, example.end_s, channel)
        if not len(sound) or float(np.ptp(sound)) < 2 * _SILENT:
            raise DataError(f"{example}: it is silent; an example needs the call to be heard in it")
