"""The embeddings of a training's clips: computed once, and kept for the next training."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ecotf.embeddings.windows import windows_of
from ecotf.errors import ConfigError
from ecotf.files import atomic_file, explain_write_errors
from ecotf.models.embedders import Embedder

_AT_ONCE = 64  # windows that are embedded together: a few seconds of work between two writes
_ROWS, _ABOUT = "rows.bin", "about.json"


def embed_clips(embedder: Embedder, sounds: Iterable[np.ndarray], cache: Path | None = None) -> np.ndarray:
    """Embed clips: the mean of the embeddings of the windows in each.

    Parameters
    ----------
    embedder
        From `ecotf.models.embedders.open_embedder`.
    sounds
        float32 ``[samples]`` each, of any length, at ``embedder.sample_rate``. One is held at a time.
    cache
        A folder where embeddings are kept, by the digests of the embedder and of the sound.

    Returns
    -------
    float32 ``[clips, embedder.numbers]``

    Examples
    --------
    >>> rows = embed_clips(embedder, [night[:144_000], night[144_000:]], Path("cache"))  # doctest: +SKIP
    """
    counts: list[int] = []

    def windows() -> Iterable[np.ndarray]:
        for sound in sounds:
            counts.append(0)
            for window in windows_of([sound], embedder.samples, embedder.hop_samples):
                counts[-1] += 1
                yield window

    rows = embed_windows(embedder, windows(), cache)
    if not counts:
        return rows
    starts = np.cumsum([0, *counts[:-1]])
    return (np.add.reduceat(rows, starts, axis=0) / np.array(counts, np.float32)[:, None]).astype(np.float32)


def embed_windows(
    embedder: Embedder, windows: Iterable[np.ndarray], cache: Path | EmbeddingCache | None = None
) -> np.ndarray:
    """Embed windows ``[embedder.samples]``: float32 ``[windows, embedder.numbers]``; see `embed_clips`."""
    kept = EmbeddingCache(cache, embedder) if isinstance(cache, Path) else cache
    parts: list[np.ndarray] = [np.empty((0, embedder.numbers), np.float32)]
    waiting: list[np.ndarray] = []
    for window in windows:
        waiting.append(window)
        if len(waiting) == _AT_ONCE:
            parts.append(_embed(embedder, waiting, kept))
            waiting = []
    if waiting:
        parts.append(_embed(embedder, waiting, kept))
    return np.concatenate(parts)


class EmbeddingCache:
    """A folder with the embeddings of windows, by the digests of the embedder and of the window's samples.

    Another embedder has a folder of its own inside, and changed sound another digest, so neither is ever taken for
    what it is not. Several processes may use one folder. A row that a kill cut off, or that was damaged, is not read.

    Raises
    ------
    ConfigError
        The folder is of something else.
    """

    def __init__(self, folder: Path, embedder: Embedder) -> None:
        self._folder = folder / embedder.digest
        self._numbers = embedder.numbers
        self._type = np.dtype([("key", "V16"), ("row", "<f4", (self._numbers,)), ("check", "<u4")])
        about = {"numbers": self._numbers, "digest": embedder.digest}
        path = self._folder / _ABOUT
        if not path.exists():
            with atomic_file(path) as partial:
                partial.write_text(json.dumps(about | {"embedder": embedder.title}, indent=2) + "\n", encoding="utf-8")
        elif not _same(path, about):
            raise ConfigError(f"{self._folder}: no cache of {embedder.title}; another program wrote it; remove it")
        self._places: dict[bytes, int] = {}
        self._read_places()

    def __len__(self) -> int:
        """Return the number of windows."""
        return len(self._places)

    def get(self, keys: list[bytes]) -> dict[bytes, np.ndarray]:
        """Return those rows of ``keys`` that are kept."""
        found = {}
        for key in set(keys) & self._places.keys():
            record = np.fromfile(self._folder / _ROWS, self._type, 1, offset=self._places[key] * self._type.itemsize)
            if len(record) and record[0]["check"] == zlib.crc32(record[0]["row"].tobytes()):
                found[key] = record[0]["row"]
        return found

    def add(self, keys: list[bytes], rows: np.ndarray) -> None:
        """Keep rows ``[n, numbers]``."""
        records = np.empty(len(keys), self._type)
        records["row"] = rows
        for number, key in enumerate(keys):
            records[number]["key"] = np.void(key)
            records[number]["check"] = zlib.crc32(records[number]["row"].tobytes())
        path = self._folder / _ROWS
        with explain_write_errors(path), path.open("ab") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX)
            end = os.fstat(opened.fileno()).st_size
            whole = end - end % self._type.itemsize
            if whole < end:  # a killed process left a part of a row
                os.truncate(path, whole)
            opened.write(records.tobytes())
        self._places.update({key: whole // self._type.itemsize + number for number, key in enumerate(keys)})

    def _read_places(self) -> None:
        path = self._folder / _ROWS
        whole = path.stat().st_size // self._type.itemsize if path.exists() else 0
        if whole:
            keys = np.memmap(path, self._type, "r", shape=(whole,))["key"]
            self._places = {key.tobytes(): number for number, key in enumerate(keys)}


def _embed(embedder: Embedder, windows: list[np.ndarray], cache: EmbeddingCache | None) -> np.ndarray:
    if cache is None:
        return embedder.embed(np.stack(windows))
    keys = [hashlib.blake2b(np.asarray(one, np.float32).tobytes(), digest_size=16).digest() for one in windows]
    found = cache.get(keys)
    new = {key: window for key, window in zip(keys, windows, strict=True) if key not in found}
    if new:
        rows = embedder.embed(np.stack(list(new.values())))
        cache.add(list(new), rows)
        found |= dict(zip(new, rows, strict=True))
    return np.stack([found[key] for key in keys])


def _same(path: Path, about: dict[str, object]) -> bool:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return {name: kept[name] for name in about} == about
    except (OSError, ValueError, KeyError, TypeError):
        return False
