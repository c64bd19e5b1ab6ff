"""Rows of half-precision numbers in files of one size, which are mapped into memory when they are read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ecotf.errors import ConfigError
from ecotf.files import explain_write_errors

FOLDER = "shards"
SHARD_ROWS = 65_536
"""Rows of a shard: 128 MiB where an embedding has 1,024 numbers. Only the last one may have fewer."""


class ShardWriter:
    """Appends rows to the shards of a folder.

    Parameters
    ----------
    folder
        The folder of the embeddings.
    numbers
        The length of a row.
    rows
        How many rows are known to be whole; what is behind them is cut off.

    Raises
    ------
    ConfigError
        There are fewer.
    """

    def __init__(self, folder: Path, numbers: int, rows: int) -> None:
        self._folder, self._numbers = folder / FOLDER, numbers
        with explain_write_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        found = sum(shard.stat().st_size for shard in self._folder.glob("*.f16")) // (2 * numbers)
        if found < rows:
            raise ConfigError(f"{self._folder}: {found} rows, and {rows} were written; give another --output")
        self.rows = found
        self.cut(rows)

    def append(self, rows: np.ndarray) -> None:
        """Write rows ``[n, numbers]`` behind the others."""
        rows = np.ascontiguousarray(rows, np.float16)
        while len(rows):
            part = rows[: SHARD_ROWS - self.rows % SHARD_ROWS]
            path = self._shard(self.rows)
            with explain_write_errors(path), path.open("ab") as opened:
                opened.write(part.tobytes())
            self.rows += len(part)
            rows = rows[len(part) :]

    def cut(self, rows: int) -> None:
        """Take back all rows behind the first ``rows``."""
        for shard in sorted(self._folder.glob("*.f16")):
            size = 2 * self._numbers * min(max(0, rows - SHARD_ROWS * int(shard.stem)), SHARD_ROWS)
            with explain_write_errors(shard):
                if size == 0:
                    shard.unlink()
                elif shard.stat().st_size > size:
                    os.truncate(shard, size)
        self.rows = rows

    def sync(self) -> None:
        """Wait until the last shard is on the disk; those before it are, by then."""
        if self.rows:
            path = self._shard(self.rows - 1)
            with explain_write_errors(path), path.open("rb") as opened:
                os.fsync(opened.fileno())

    def _shard(self, row: int) -> Path:
        return shard_path(self._folder.parent, row // SHARD_ROWS)


def shard_path(folder: Path, shard: int) -> Path:
    """Return the file of a shard."""
    return folder / FOLDER / f"{shard:05d}.f16"


def open_shard(folder: Path, shard: int, numbers: int) -> np.ndarray:
    """Map a shard into memory: float16 ``[rows, numbers]``; raises `ConfigError` where it is not there or cut off."""
    path = shard_path(folder, shard)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    if size == 0 or size % (2 * numbers):
        raise ConfigError(f"{path}: damaged or cut off; it does not hold whole rows of {numbers} numbers")
    return np.memmap(path, np.float16, "r", shape=(size // (2 * numbers), numbers))
