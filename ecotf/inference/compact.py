"""A mapping of numbers to numbers for millions of entries: sixteen bytes each."""

from __future__ import annotations

import os

import numpy as np

_FRESH = 50_000  # entries that wait, in an ordinary dict, to be sorted in
_GONE = -(1 << 62)


def key_of(text: str | bytes) -> int:
    """Return a number for a path, the same within this process; of a million paths two are alike once in 30 million."""
    return hash(os.fsencode(text))


class CompactMap:
    """Whole numbers below 64 bits, by whole numbers.

    Examples
    --------
    >>> known = CompactMap([3, 5], [30, 50])
    >>> known.set(4, 40)
    >>> known.get(4), known.get(5), known.get(6)
    (40, 50, None)
    """

    def __init__(self, keys: object = (), values: object = ()) -> None:
        self._keys, self._values = np.asarray(keys, np.int64), np.asarray(values, np.int64)
        self._fresh: dict[int, int] = {}
        self._sort()

    def get(self, key: int) -> int | None:
        """Return the value of a key, or None."""
        found = self._fresh.get(key)
        if found is None:
            at = int(np.searchsorted(self._keys, key))
            if at == len(self._keys) or self._keys[at] != key:
                return None
            found = int(self._values[at])
        return None if found == _GONE else found

    def set(self, key: int, value: int) -> None:
        """Set the value of a key."""
        self._fresh[key] = value
        if len(self._fresh) > _FRESH:
            self._keys = np.concatenate([self._keys, np.fromiter(self._fresh, np.int64)])
            self._values = np.concatenate([self._values, np.fromiter(self._fresh.values(), np.int64)])
            self._fresh = {}
            self._sort()

    def drop(self, key: int) -> None:
        """Forget a key."""
        self.set(key, _GONE)

    def copy(self) -> CompactMap:
        """Return the same once more."""
        twin = CompactMap()
        twin._keys, twin._values, twin._fresh = self._keys, self._values, dict(self._fresh)
        return twin

    def _sort(self) -> None:
        """Sort by key; of one that comes twice the later value stays."""
        order = np.argsort(self._keys, kind="stable")
        keys = self._keys[order]
        last = np.append(keys[1:] != keys[:-1], True) if len(keys) else np.ones(0, bool)
        self._keys, self._values = keys[last], self._values[order][last]
