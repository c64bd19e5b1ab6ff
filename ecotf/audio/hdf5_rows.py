"""Clips packed into an HDF5 file, each a row, read like recordings: ``clips.h5#Yabc.wav`` is a path of one.

The file is laid out as PANNs' are: ``audio_name`` ``[n]``, ``waveform`` int16 ``[n, samples]`` (32767 is full scale),
``target`` bool ``[n, classes]``, and the rate as the attribute ``sample_rate``; ``class_names`` says what the columns
of ``target`` are. The index files of PANNs, which name rows of other files, are read by
`ecotf.datasets.importers.panns_hdf5`.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.audio.integrity import check_file
from ecotf.audio.odd_samples import why_not_sound
from ecotf.errors import RecordingError

FULL_SCALE = 32767
ENDINGS = (".h5", ".hdf5")
_MARKS = tuple(f"{ending}#" for ending in ENDINGS)


def split_row(path: str | Path) -> tuple[Path, str] | None:
    """Split the path of a row into its HDF5 file and the row's name; None for the path of an ordinary file.

    Examples
    --------
    >>> split_row("packed/clips.h5#Y-0Gj8-vB1q4.wav")
    (PosixPath('packed/clips.h5'), 'Y-0Gj8-vB1q4.wav')
    >>> split_row("night.wav") is None
    True
    """
    text = os.fspath(path)
    at = max(text.lower().rfind(mark) + len(mark) if mark in text.lower() else 0 for mark in _MARKS)
    return None if at == 0 or os.path.exists(text) else (Path(text[: at - 1]), text[at:])


def file_of(path: Path) -> Path:
    """Return the file that must be there for this path: the HDF5 file of a row, else the path itself."""
    row = split_row(path)
    return path if row is None else row[0]


@dataclass(frozen=True)
class PackedClips:
    """An HDF5 file of clips, its names and sizes read; `open_packed` opens it.

    Attributes
    ----------
    path
        The file.
    sample_rate
        In Hz.
    rows
        Name to the first row that has it.
    shape
        Rows and samples of ``waveform``.
    offset
        Where the samples begin in the file, in bytes; None where they are not kept one after the other.
    """

    path: Path
    sample_rate: int
    rows: dict[str, int]
    shape: tuple[int, int]
    offset: int | None
    _open: list[Any] = field(default_factory=list, repr=False, compare=False)

    def read(self, row: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Read samples of a row, int16 ``[stop - start]``, from any thread; raises `RecordingError`."""
        stop = self.shape[1] if stop is None else min(stop, self.shape[1])
        try:
            if self.offset is None:
                return self._through_h5py(row, start, stop)
            # The rows lie as they are in the file, so no lock is needed, as the HDF5 library would.
            with self.path.open("rb") as stream:
                place = self.offset + 2 * (row * self.shape[1] + start)
                samples = np.frombuffer(os.pread(stream.fileno(), 2 * (stop - start), place), "<i2")
        except OSError as error:
            raise RecordingError(f"{self.path.name}: cannot be read ({_first_line(error)})", "failed") from None
        if len(samples) < stop - start:
            raise RecordingError(f"{self.path.name}: truncated within row {row}", "corrupt")
        return samples

    def _through_h5py(self, row: int, start: int, stop: int) -> np.ndarray:
        import h5py

        if not self._open:
            self._open.append(h5py.File(self.path, "r"))
        samples: np.ndarray = self._open[0]["waveform"][row, start:stop]
        return samples.astype("<i2")


def open_packed(path: str | Path) -> PackedClips:
    """Open an HDF5 file of clips; one that has not changed is read once.

    Raises
    ------
    RecordingError
        The file is missing, truncated or no HDF5 file, or is not laid out as clips are.
    """
    path = Path(path)
    try:
        check_file(path)
    except RecordingError as error:
        raise RecordingError(f"{path.name}: {error}", error.status) from None
    found = path.stat()
    return _opened(path, found.st_mtime_ns, found.st_size)


@functools.lru_cache(maxsize=128)
def _opened(path: Path, _changed: int, _size: int) -> PackedClips:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            names, waveform = _dataset(path, file, "audio_name"), _dataset(path, file, "waveform")
            if waveform.ndim != 2 or waveform.dtype.kind != "i" or waveform.dtype.itemsize != 2:
                raise RecordingError(
                    f"{path.name}: waveform is {waveform.dtype} of shape {waveform.shape}; int16 [clips, samples] is "
                    "needed",
                    "unsupported",
                )
            if len(names) != len(waveform):
                raise RecordingError(f"{path.name}: {len(names)} names for {len(waveform)} waveforms", "corrupt")
            rate = int(file.attrs.get("sample_rate", 0))
            if rate < 1:
                raise RecordingError(f"{path.name}: has no attribute sample_rate, in Hz; write it", "unsupported")
            rows: dict[str, int] = {}
            for row, name in enumerate(names_of(names)):
                rows.setdefault(name, row)
            plain = waveform.dtype == np.dtype("<i2") and not waveform.external and waveform.size
            return PackedClips(path, rate, rows, waveform.shape, waveform.id.get_offset() if plain else None)
    except OSError as error:
        reason = _first_line(error)
        kind = "truncated, or still being written" if "truncated" in reason else "damaged, or no HDF5 file"
        raise RecordingError(f"{path.name}: {kind} ({reason})", "corrupt") from None


def row_fingerprint(file: Path, name: str) -> tuple[int, str]:
    """Bytes and digest of a row's sound; raises `OSError` where it is not there, as for a file."""
    try:
        packed = open_packed(file)
        row = packed.rows[name]
        return 2 * packed.shape[1], hashlib.blake2b(packed.read(row).tobytes(), digest_size=16).hexdigest()
    except (RecordingError, KeyError) as error:
        reason = f"it has no row {name!r}" if isinstance(error, KeyError) else str(error)
        raise FileNotFoundError(0, reason, str(file)) from None


def names_of(names: Any) -> list[str]:
    """Read a data set of names as text."""
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names[:].tolist()]


def _dataset(path: Path, file: Any, name: str) -> Any:
    if name not in file:
        there = ", ".join(file) or "nothing"
        raise RecordingError(f"{path.name}: has no data set {name!r}; it has: {there}", "unsupported")
    return file[name]


def _first_line(error: OSError) -> str:
    return str(error.strerror or error).splitlines()[0]


def row_facts(path: Path, time_expansion: float | None) -> dict[str, Any]:
    """Open a row: what `ecotf.audio.recording.Recording` keeps of it.

    Raises
    ------
    RecordingError
        The file cannot be used, has no such row, or the row holds no sound.
    """
    file, name = split_row(path) or (path, "")
    packed = open_packed(file)
    if name not in packed.rows:
        raise RecordingError(f"{file.name}: has no row {name!r} ({len(packed.rows)} others)", "failed")
    reason = why_not_sound(packed.read(packed.rows[name]))
    if reason:
        raise RecordingError(f"row {packed.rows[name]} of {file.name}: {reason}", "corrupt")
    factor = time_expansion or 1.0
    rate = round(packed.sample_rate * factor)
    return {
        "path": path, "sample_rate": rate, "file_rate": packed.sample_rate, "time_expansion": factor, "n_channels": 1,
        "n_frames": packed.shape[1],
    }  # fmt: skip


def row_pieces(path: Path, start: int, end: int) -> Iterator[np.ndarray]:
    """Read frames ``start`` to ``end`` of a row, float32; as published, 32767 is 1.0. Raises `RecordingError`."""
    file, name = split_row(path) or (path, "")
    packed = open_packed(file)
    yield np.multiply(packed.read(packed.rows[name], start, end), np.float32(1 / FULL_SCALE), dtype=np.float32)
