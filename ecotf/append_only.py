"""A file of rows that only grows: CSV or JSON lines. A kill, a power cut or a full disk leaves whole rows."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ecotf.errors import ConfigError, EcotfError
from ecotf.files import atomic_file, explain_write_errors

_CHUNK = 1 << 20


class AppendOnly:
    """The rows of one file, one after the other, after a first line that says what they are.

    Opening makes the file, or drops what a kill cut off at its end. :meth:`append` returns when the rows are on the
    disk; when it fails, the file is as it was before.

    Parameters
    ----------
    path
        The file; missing folders are made.
    header
        Its first line, with the line end, for a new file. The header of an older file is not compared.
    quoted
        Whether a row may hold line ends between quotation marks, as in CSV.

    Raises
    ------
    ConfigError
        The file was changed by something else: a quotation mark has no partner.
    EcotfError
        The disk is full, or the place cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> file = AppendOnly(Path(tempfile.mkdtemp()) / "trials.jsonl", b'{"search": 7}\\n')
    >>> file.append(b'{"trial": 1}\\n')
    >>> list(file.rows())
    [b'{"trial": 1}\\n']
    """

    def __init__(self, path: str | Path, header: bytes, quoted: bool = False) -> None:
        self.path, self.quoted = Path(path), quoted
        if not self.path.exists():
            self._replace([header])
            return
        end = _whole_until(self.path, quoted)
        if end == 0:
            self._replace([header])
        elif end < self.path.stat().st_size:
            with explain_write_errors(self.path):
                os.truncate(self.path, end)

    def append(self, rows: bytes) -> None:
        """Add whole rows, each with its line end, and wait until they are on the disk.

        Raises
        ------
        DiskFullError
            The disk is full; the file is as it was before.
        EcotfError
            The file cannot be written to, or is no longer there.
        """
        with explain_write_errors(self.path):
            try:
                stream = self.path.open("r+b", buffering=0)
            except FileNotFoundError:
                raise EcotfError(f"{self.path}: is gone; something removed it while it was in use") from None
            with stream:
                end = stream.seek(0, os.SEEK_END)
                try:
                    left = memoryview(rows)
                    while left:
                        left = left[stream.write(left) :]
                    os.fsync(stream.fileno())
                except BaseException as error:
                    stream.truncate(end)
                    if isinstance(error, OSError):
                        error.filename = str(self.path)  # so that the user is told which file could not be written
                    raise

    def take_back(self, rows: bytes) -> None:
        """Remove ``rows``, which were appended last."""
        with explain_write_errors(self.path), self.path.open("r+b") as stream:
            stream.truncate(stream.seek(0, os.SEEK_END) - len(rows))
            os.fsync(stream.fileno())

    def header(self) -> bytes:
        """Return the first line."""
        with self.path.open("rb") as stream:
            return next(_rows(stream, self.quoted), b"")

    def rows(self) -> Iterator[bytes]:
        """Return all rows after the first line, each with its line end; memory does not grow with the file."""
        with self.path.open("rb") as stream:
            rows = _rows(stream, self.quoted)
            next(rows, b"")
            yield from rows

    def count(self) -> int:
        """Return how many rows there are after the first line, of a file whose rows hold no line ends; fast."""
        with self.path.open("rb") as stream:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(_CHUNK), b"")) - 1

    def last(self, n: int = 1) -> list[bytes]:
        """Return the last rows, of a file whose rows hold no line ends; only the end of the file is read."""
        with self.path.open("rb") as stream:
            at, tail = stream.seek(0, os.SEEK_END), b""
            while at > 0 and tail[:-1].count(b"\n") < n:
                at = max(0, at - _CHUNK)
                stream.seek(at)
                tail = stream.read()
        return tail.splitlines(keepends=True)[-n:]

    def rows_from(self, start: int) -> Iterator[tuple[bytes, int]]:
        """Yield each row from byte ``start`` on with the byte behind it, of a file whose rows hold no line ends.

        0 stands for the first row.
        """
        with self.path.open("rb") as stream:
            stream.seek(start)
            end = start
            for row in stream:
                end += len(row)
                if start or end > len(row):
                    yield row, end

    def rewrite(self, header: bytes, changed: Callable[[bytes], bytes]) -> None:
        """Write the file anew with another header and every row ``changed``; a kill leaves the old file or the new."""
        self._replace([header], map(changed, self.rows()))

    def keep(self, wanted: Callable[[bytes], bool]) -> None:
        """Write the file anew with the rows that are ``wanted``; a kill leaves the old file or the new one."""
        self._replace([self.header()], (row for row in self.rows() if wanted(row)))

    def _replace(self, *parts: Iterable[bytes]) -> None:
        with atomic_file(self.path) as partial, partial.open("wb") as stream:
            for part in parts:
                stream.writelines(part)


def whole_rows(path: str | Path, quoted: bool = False) -> Iterator[bytes]:
    """Return the first line and all whole rows of a file that another process may be writing; nothing is changed.

    Raises
    ------
    ConfigError
        A quotation mark has no partner.
    """
    path = Path(path)
    left = _whole_until(path, quoted)
    with path.open("rb") as stream:
        for row in _rows(stream, quoted):
            left -= len(row)
            if left < 0:
                return
            yield row


def csv_rows(rows: Iterable[Iterable[object]]) -> bytes:
    """CSV text of rows; bytes of file names that are not UTF-8 pass through unharmed.

    Examples
    --------
    >>> csv_rows([("night.wav", 1.5), ("a, b.wav", "")])
    b'night.wav,1.5\\n"a, b.wav",\\n'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _rows(lines: Iterable[bytes], quoted: bool) -> Iterator[bytes]:
    if not quoted:
        yield from lines
        return
    held = b""
    for line in lines:
        held = held + line if held else line
        if held.count(b'"') % 2 == 0:
            yield held
            held = b""
    if held:
        yield held


def _whole_until(path: Path, quoted: bool) -> int:
    """Where the last whole row ends, in bytes."""
    quotes, last = 0, b""
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            quotes += chunk.count(b'"') if quoted else 0
            last = chunk[-1:]
        if last == b"\n" and quotes % 2 == 0:
            return stream.tell()
        stream.seek(0)
        end = lines = 0
        for row in _rows(stream, quoted):
            if not row.endswith(b"\n") or (quoted and row.count(b'"') % 2):
                if row.count(b"\n") > 1:  # a kill cuts one row off, not many
                    raise ConfigError(f"{path}: line {lines + 1} has a quotation mark without a partner")
                break
            end += len(row)
            lines += row.count(b"\n")
        return end
