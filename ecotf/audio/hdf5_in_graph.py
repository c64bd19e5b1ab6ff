"""Reading rows of HDF5 files inside a TensorFlow graph, with tensorflow-io: the one module that knows its HDF5 reader.

What tensorflow-io 0.37.1 gets wrong, and how it is kept from it:

- a file that is missing, empty, truncated or no HDF5 file ends the whole program (segmentation fault), as does a file
  in the newer form (``libver="latest"``): h5py opens every file first, and the form is looked at;
- another type than was asked for ends the program (abort): only int16 is read;
- big-endian samples come out with their bytes swapped, without an error: they are refused;
- fewer columns than there are come without an error: the shape is h5py's;
- a file that was written anew under the same name is read from the old one: the handle names its size and time too.

One row of each file is compared with h5py's, bit for bit, before it is trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.audio.graph_decoding import tensorflow_io_ops
from ecotf.audio.hdf5_rows import FULL_SCALE, PackedClips, open_packed, split_row
from ecotf.errors import RecordingError

_FORM_AT = 8  # the byte after the signature: the version of the superblock


def why_not_in_graph(file: Path, sample_rate: int) -> str:
    """Say why tensorflow-io cannot read the rows of a file, in one sentence; empty where it can, or nobody can.

    Parameters
    ----------
    sample_rate
        The rate that clips are wanted at, in Hz; the graph does not resample rows.

    Raises
    ------
    ConfigError
        When tensorflow-io cannot be loaded beside this TensorFlow.
    """
    tensorflow_io_ops()
    try:
        packed = open_packed(file)
    except RecordingError:
        return ""
    with file.open("rb") as stream:
        form = stream.read(_FORM_AT + 1)[_FORM_AT]
    if form != 0:
        return f"tensorflow-io cannot read the newer form of HDF5 (superblock {form}); pack it with libver='earliest'"
    if packed.offset is None:
        return "tensorflow-io is not trusted with rows that are compressed, in pieces or big-endian"
    if packed.sample_rate != sample_rate:
        return f"its rows have {packed.sample_rate} Hz and the recipe asks for {sample_rate} Hz; pack it at that rate"
    first = _read(str(file), _handle(packed), np.array(packed.shape), 0)
    if not np.array_equal(first, packed.read(0)):
        return "tensorflow-io reads other samples than h5py"
    return ""


@dataclass(frozen=True)
class GraphRows:
    """The rows among some recordings, as tensors; `of` makes it.

    Attributes
    ----------
    files, handles
        HDF5 file of each recording and what tensorflow-io calls it, string ``[n]``; empty for other recordings.
    shapes
        Of the file's waveforms, int64 ``[n, 2]``.
    rows
        int64 ``[n]``; -1 for other recordings, and for rows that are not there.
    rates
        int32 ``[n]``, in Hz.
    """

    files: Any
    handles: Any
    shapes: Any
    rows: Any
    rates: Any

    @classmethod
    def of(cls, paths: Sequence[Path]) -> GraphRows | None:
        """Find the rows among the paths of recordings; None where there are none."""
        import tensorflow as tf

        facts = [_facts(path) for path in paths]
        if all(file == "" for file, *_ in facts):
            return None
        files, handles, shapes, rows, rates = zip(*facts, strict=True)
        return cls(
            tf.constant(files), tf.constant(handles), tf.constant(shapes, tf.int64), tf.constant(rows, tf.int64),
            tf.constant(rates, tf.int32),
        )  # fmt: skip

    def has(self, recording: Any) -> Any:
        """Whether a recording (scalar int tensor) is a row; bool scalar."""
        import tensorflow as tf

        return tf.strings.length(tf.gather(self.files, recording)) > 0

    def read(self, recording: Any) -> tuple[Any, Any]:
        """Read the row of a recording: float32 ``[samples, 1]`` and the rate, int32; an error for one not there."""
        import tensorflow as tf

        row = tf.gather(self.rows, recording)
        check = tf.debugging.Assert(row >= 0, ["no such row"])
        with tf.control_dependencies([] if check is None else [check]):
            file = tf.gather(self.files, recording)
        samples = _read(file, tf.gather(self.handles, recording), tf.gather(self.shapes, recording), row)
        return tf.cast(samples, tf.float32)[:, None] * np.float32(1 / FULL_SCALE), tf.gather(self.rates, recording)


def _facts(path: Path) -> tuple[str, str, tuple[int, int], int, int]:
    parts = split_row(path)
    if parts is None:
        return "", "", (0, 0), -1, 0
    try:
        packed = open_packed(parts[0])
    except RecordingError:
        return str(parts[0]), "", (0, 0), -1, 0
    return str(parts[0]), _handle(packed), packed.shape, packed.rows.get(parts[1], -1), packed.sample_rate


def _handle(packed: PackedClips) -> str:
    found = packed.path.stat()
    return f"{packed.path} {found.st_size} {found.st_mtime_ns}"


def _read(file: Any, handle: Any, shape: Any, row: Any) -> Any:
    """One row, int16 ``[samples]``."""
    import tensorflow as tf

    row = tf.cast(row, tf.int64)
    found = tensorflow_io_ops().io_hdf5_readable_read(
        input=file, shared=handle, component="/waveform", shape=tf.cast(shape, tf.int64), start=row[None],
        stop=row[None] + 1, dtype=tf.int16, container="ecotf",
    )  # fmt: skip
    return tf.reshape(found, [-1])
