"""Sound sources: the kinds of things that clips are cut from, and how they are decoded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from ecotf.audio.channels import ChannelChoice
from ecotf.audio.hdf5_rows import split_row
from ecotf.audio.recording import open_recording
from ecotf.config import Config
from ecotf.errors import RecordingError
from ecotf.registry import Registry


class Sound(Protocol):
    """Sound of one place, opened: its length is known, and passages of it can be read.

    Attributes
    ----------
    path
        The file that it is in.
    sample_rate
        In real hertz.
    n_frames
        Its length, at that rate.
    time_expansion
        How many times slower than life it is stored.
    """

    @property
    def path(self) -> Path: ...  # noqa: D102
    @property
    def sample_rate(self) -> int: ...  # noqa: D102
    @property
    def n_frames(self) -> int: ...  # noqa: D102
    @property
    def time_expansion(self) -> float: ...  # noqa: D102
    @property
    def duration_s(self) -> float: ...  # noqa: D102

    def read(
        self, start_s: float, end_s: float, *, channel: ChannelChoice = "mix", sample_rate: int | None = None
    ) -> np.ndarray:
        """Read a passage, float32 ``[n]``, of one channel and at another rate if asked for; raises `RecordingError`."""

    def blocks(
        self, block_frames: int, *, channel: ChannelChoice = "mix", sample_rate: int | None = None
    ) -> Iterator[np.ndarray]:
        """Stream the whole, float32 ``[block_frames]`` each; raises `RecordingError`."""


SOURCES: Registry[Sound] = Registry("sound source")
"""Each entry is built, that is opened, with ``(source, path, time_expansion)``; it raises `RecordingError`."""


class RecordingSource(Config):
    """A recording: a sound file, or a row of an HDF5 file (``clips.h5#Yabc.wav``).

    Attributes
    ----------
    decode
        ``soundfile`` reads only the passage that a clip needs (of a row without soundfile). ``graph`` reads and decodes
        the whole file or row inside the TensorFlow graph, with tensorflow-io, every time; nothing is kept decoded.
    """

    name: Literal["recording"] = "recording"
    decode: Literal["soundfile", "graph"] = "soundfile"


@SOURCES.register(RecordingSource)
def open_source(source: RecordingSource, path: Path, time_expansion: float | None = None) -> Sound:
    """Open a recording: its header is read."""
    return open_recording(path, time_expansion=time_expansion)


class Hdf5Source(Config):
    """A row of an HDF5 file of clips (:mod:`ecotf.audio.hdf5_rows`), and nothing else.

    Attributes
    ----------
    decode
        ``graph`` reads rows inside the TensorFlow graph, with tensorflow-io. ``soundfile`` reads them from Python, as
        a ``recording`` is read; also rows that tensorflow-io does not read right.
    """

    name: Literal["hdf5"] = "hdf5"
    decode: Literal["soundfile", "graph"] = "graph"


@SOURCES.register(Hdf5Source)
def open_row(source: Hdf5Source, path: Path, time_expansion: float | None = None) -> Sound:
    """Open a row of an HDF5 file: the names of the file and the row are read."""
    if split_row(path) is None:
        raise RecordingError("is no row of an HDF5 file; set clips.source.name=recording", "unsupported")
    return open_recording(path, time_expansion=time_expansion)
