"""The blocks of a model that is on the recorder, by their hashes, so that only what is new must be sent.

As in rsync's algorithm (Tridgell and Mackerras, 1996): a weak hash that can be computed for every place of a file at
once, and a strong one for the places that the weak one finds. Both sides read this module. A block that is taken for
another one does no harm: the SHA-256 of the whole file is checked after it was put together.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

STRONG_BYTES = 8
_LEAST_BLOCK, _MOST_BLOCK, _ROUND = 256, 1 << 16, 64
_PIECE = 1 << 18  # bytes that are worked on at a time; a number takes eight
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))


class BlocksError(ValueError):
    """Hashes that cannot be those of a file."""


@dataclass(frozen=True)
class Blocks:
    """Hashes of the consecutive blocks of a file; what is left over at its end has none.

    Attributes
    ----------
    size
        Of the file, bytes.
    weak
        uint32 ``[blocks]``.
    strong
        ``STRONG_BYTES`` for each block, one after the other.
    """

    size: int
    weak: NDArray[np.uint32]
    strong: bytes

    @property
    def block(self) -> int:
        """Bytes of a block."""
        return block_bytes(self.size)

    def to_json(self) -> dict[str, Any]:
        """Return the values that :meth:`from_json` takes."""
        return {"size": self.size, "hashes": base64.b64encode(self.weak.astype("<u4").tobytes() + self.strong).decode()}

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Blocks:
        """Read what a recorder said, which may be anything.

        Raises
        ------
        BlocksError
            It is none of what :meth:`to_json` gives.
        """
        size, hashes = said.get("size"), said.get("hashes")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0 or not isinstance(hashes, str):
            raise BlocksError("the recorder did not say how its blocks look")
        try:
            content = base64.b64decode(hashes, validate=True)
        except (binascii.Error, ValueError):
            raise BlocksError("the hashes of the recorder's blocks are damaged") from None
        n = size // block_bytes(size)
        if len(content) != n * (4 + STRONG_BYTES):
            raise BlocksError(f"{len(content)} bytes of hashes for {n} blocks")
        return cls(size, np.frombuffer(content[: 4 * n], "<u4").astype(np.uint32), content[4 * n :])


def block_bytes(size: int) -> int:
    """Bytes of the blocks of a file of ``size`` bytes: as many blocks as a block has bytes, within limits."""
    rounded = -(-math.isqrt(size) // _ROUND) * _ROUND
    return min(max(rounded, _LEAST_BLOCK), _MOST_BLOCK)


def hash_blocks(path: Path) -> Blocks:
    """Hash the blocks of a file, in pieces of a quarter of a megabyte."""
    size = path.stat().st_size
    block = block_bytes(size)
    at_once = max(_PIECE // block, 1) * block
    weak, strong = [np.zeros(0, np.uint32)], []
    with path.open("rb") as file:
        for start in range(0, size // block * block, at_once):
            piece = file.read(min(at_once, size // block * block - start))
            rows = np.frombuffer(piece, np.uint8, len(piece) // block * block).reshape(-1, block)
            sums = rows.sum(axis=1, dtype=np.uint64)
            weighted = rows.astype(np.uint64) @ np.arange(block, 0, -1, dtype=np.uint64)
            weak.append(_mixed(sums, weighted))
            strong += [strong_hash(row) for row in rows]
    return Blocks(size, np.concatenate(weak), b"".join(strong))


def rolling_hashes(content: NDArray[np.uint8], block: int) -> NDArray[np.uint32]:
    """Compute the weak hashes of the blocks that begin at every place of ``content``.

    Returns
    -------
    ndarray of uint32, ``[len(content) - block + 1]``
    """
    sums = np.zeros(len(content) + 1, np.uint64)
    np.cumsum(content, dtype=np.uint64, out=sums[1:])
    of_sums = np.cumsum(sums)  # wraps around, as all of these numbers may
    plain = sums[block:] - sums[:-block]
    weighted = of_sums[block:] - of_sums[:-block] - np.uint64(block) * sums[:-block]
    return _mixed(plain, weighted)


def strong_hash(content: Any) -> bytes:
    """Hash the bytes of a block."""
    return hashlib.blake2b(content, digest_size=STRONG_BYTES).digest()


def _mixed(sums: NDArray[np.uint64], weighted: NDArray[np.uint64]) -> NDArray[np.uint32]:
    mixed: NDArray[np.uint64] = (sums * _MIX[0] + weighted) * _MIX[1]
    return (mixed >> np.uint64(32)).astype(np.uint32)
