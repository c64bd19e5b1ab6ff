"""``detections.csv`` and ``gaps.csv``: tables that grow line by line, and are whole again after a power cut."""

from __future__ import annotations

import csv
import errno
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count, islice
from pathlib import Path
from threading import Thread
from typing import TextIO

from ecotf_recorder.files import atomic_file, sync
from ecotf_recorder.strangers import as_cell, from_cell

_ROWS_AT_A_TIME, _TURNS_TO_A_SYNC = 1000, 16


class GrowingTable:
    """A CSV file that is only ever added to, and handed to the disk at each `append`.

    Parameters
    ----------
    path
        Made with its header if absent.
    committed
        Bytes that the database knows of, if any: complete lines behind them were never acknowledged and are cut off,
        so that table and database agree.
    """

    def __init__(self, path: Path, columns: Sequence[str], committed: int | None = None) -> None:
        self.path = path
        self.columns = tuple(columns)
        self.repaired = 0
        if not path.exists() or path.stat().st_size == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._begin()
        else:
            self._repair(committed)

    @property
    def is_of_other_columns(self) -> bool:
        """Whether the file begins with another header: an older recorder wrote it, or somebody saved it anew."""
        with open(self.path, "rb") as file:
            return file.readline() != _lines([self.columns])

    @property
    def has_rows(self) -> bool:
        """Whether there is more in it than its header."""
        return self.size > len(_lines([self.columns]))

    def put_aside(self) -> Path:
        """Keep the file under another name, ``detections.older-1.csv``, and begin a new one; return its new place."""
        places = (self.path.with_suffix(f".older-{number}{self.path.suffix}") for number in count(1))
        aside = next(place for place in places if not place.exists())
        os.rename(self.path, aside)
        self._begin()
        return aside

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self.path.stat().st_size if self.path.exists() else 0

    def append(self, rows: Iterable[Sequence[object]]) -> None:
        """Add rows and wait until they are on the disk: all of them, or, when that fails, none."""
        content = _lines(rows)
        if not content:
            return
        if not self.path.exists():  # somebody took it away to read it; the next rows begin a new one
            content = _lines([self.columns]) + content
        size = self.size
        try:
            with open(self.path, "ab") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            if self.path.exists():
                os.truncate(self.path, size)
            raise

    def cut(self, size: int) -> None:
        """Take back what was added behind ``size`` bytes."""
        if self.size > size:
            os.truncate(self.path, size)

    def rewriting(
        self,
        change: Callable[[list[str]], list[str]],
        ready: Callable[[], None],
        change_line: Callable[[str], str] | None = None,
    ) -> Iterator[None]:
        """Change rows of the whole file, some at a time; rows may be appended between two of them.

        Parameters
        ----------
        change
            Gives a row's new cells.
        ready
            Is called before the new file takes the place of the old one, which then happens without another turn.
        change_line
            Does the same as ``change``, for a whole line without quotes and with its ``\\n``.

        Raises
        ------
        OSError
            The disk does not take it, or somebody took the file away meanwhile; nothing has changed then.
        """
        if not self.path.exists():
            return
        with (
            _closing_aside(open(self.path, newline="", encoding="utf-8", errors="surrogateescape")) as old,
            atomic_file(self.path) as partial,
            open(partial, "w", newline="", encoding="utf-8", errors="surrogateescape") as new,
        ):
            writer = csv.writer(new, lineterminator="\n")
            writer.writerow(next(csv.reader(old), self.columns))
            for turn in count(1):
                done = 0
                for line in islice(old, _ROWS_AT_A_TIME):
                    done += 1
                    if change_line is not None and '"' not in line and "\r" not in line and line[-1] == "\n":
                        new.write(change_line(line))
                    else:
                        row = next(csv.reader(chain((line,), old)))  # of as many lines as its quotes hold
                        writer.writerow(map(as_cell, change(list(map(from_cell, row)))))
                if done < _ROWS_AT_A_TIME:  # that was the end, however fast new rows come
                    break
                if turn % _TURNS_TO_A_SYNC == 0:  # so that the last sync, which is waited for, has little to do
                    new.flush()
                    os.fsync(new.fileno())
                yield
            new.flush()
            if not os.path.exists(self.path) or not os.path.samestat(os.fstat(old.fileno()), os.stat(self.path)):
                raise OSError(errno.ESTALE, "somebody took the table away")
            ready()

    def _begin(self) -> None:
        self.path.write_bytes(_lines([self.columns]))
        sync(self.path)
        sync(self.path.parent)

    def _repair(self, committed: int | None) -> None:
        """Cut off what a power cut left: half a line, zeros, lines that were never acknowledged."""
        size = self.size
        keep = size
        with open(self.path, "rb") as file:
            if committed is not None and 0 < committed < size:
                file.seek(committed - 1)
                keep = committed if file.read(1) == b"\n" else size
            if keep == size:
                keep = _last_whole_line(file, size)
        self.repaired = size - keep
        if keep < size:
            os.truncate(self.path, keep)
            sync(self.path)
        if keep == 0:
            self.path.write_bytes(_lines([self.columns]))


@contextmanager
def _closing_aside(file: TextIO) -> Iterator[TextIO]:
    """Close a file in a thread: the disk takes its time to give back what a large file held that was replaced."""
    try:
        yield file
    finally:
        Thread(target=file.close).start()


def _last_whole_line(file: io.BufferedReader, size: int) -> int:
    """Find the end of the last complete line without zero bytes."""
    at = size
    while at > 0:
        start = max(0, at - (1 << 16))
        file.seek(start)
        content = file.read(at - start)
        zero = content.find(b"\0")
        end = content.rfind(b"\n", 0, zero if zero >= 0 else len(content)) + 1
        if end:
            return start + end
        at = start
    return 0


def _lines(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(as_cell, row) for row in rows)
    return text.getvalue().encode("utf-8", "surrogateescape")
