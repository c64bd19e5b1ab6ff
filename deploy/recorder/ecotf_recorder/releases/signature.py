"""Ed25519 signatures, verified with nothing but Python's integers (RFC 8032, section 5.1.7).

The board has no cryptography package, and ``openssl pkeyutl -rawin`` differs from version to version, so the few lines
are here; the tests hold them against the RFC's own vectors. Nothing secret is handled, so timing does not matter.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_SQRT_MINUS_ONE = pow(2, (_P - 1) // 4, _P)

# A point as (X, Y, Z, T): x = X/Z, y = Y/Z, x*y = T/Z.
_Point = tuple[int, int, int, int]


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Check that ``signature`` (64 bytes) of ``message`` was made with the secret half of ``public_key`` (32 bytes)."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    key, point = _decode(public_key), _decode(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if key is None or point is None or s >= _ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + public_key + message).digest()
    challenge = int.from_bytes(digest, "little") % _ORDER
    return _equal(_times(s, _BASE), _add(point, _times(challenge, key)))


def read_public_key(path: Path) -> bytes:
    """The 32 bytes of an OpenSSH public key file (``ssh-ed25519 AAAA... name``, as ``ssh-keygen -t ed25519`` makes it).

    Raises
    ------
    ValueError
        It is no such file.
    """
    try:
        kind, text, *_ = path.read_text(encoding="ascii").split()
        blob = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise ValueError(f"{path}: not an OpenSSH public key") from None
    # Two strings, each behind its length in four bytes.
    header = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"
    if kind != "ssh-ed25519" or not blob.startswith(header) or len(blob) != len(header) + 32:
        raise ValueError(f"{path}: {kind} is no ed25519 key; make one with ssh-keygen -t ed25519")
    return blob[len(header) :]


def _add(a: _Point, b: _Point) -> _Point:
    e = (a[1] - a[0]) * (b[1] - b[0]) % _P
    f = (a[1] + a[0]) * (b[1] + b[0]) % _P
    g = 2 * a[3] * b[3] * _D % _P
    h = 2 * a[2] * b[2] % _P
    return (f - e) * (h - g) % _P, (h + g) * (f + e) % _P, (h - g) * (h + g) % _P, (f - e) * (f + e) % _P


def _times(factor: int, point: _Point) -> _Point:
    result: _Point = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            result = _add(result, point)
        point = _add(point, point)
        factor >>= 1
    return result


def _equal(a: _Point, b: _Point) -> bool:
    return (a[0] * b[2] - b[0] * a[2]) % _P == 0 and (a[1] * b[2] - b[1] * a[2]) % _P == 0


def _decode(encoded: bytes) -> _Point | None:
    """The point of 32 bytes, or None where there is none."""
    y = int.from_bytes(encoded, "little")
    odd, y = y >> 255, y & ((1 << 255) - 1)
    x = _x_of(y, odd)
    return None if x is None else (x, y, 1, x * y % _P)


def _x_of(y: int, odd: int) -> int | None:
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    if square == 0:
        return None if odd else 0
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _SQRT_MINUS_ONE % _P
    if (x * x - square) % _P:
        return None
    return _P - x if x & 1 != odd else x


def _base_point() -> _Point:
    y = 4 * pow(5, -1, _P) % _P
    x = _x_of(y, 0)
    assert x is not None
    return x, y, 1, x * y % _P


_BASE = _base_point()
