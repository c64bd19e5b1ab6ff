"""Files whose headers do not say what they hold: one table, for the readers of the desktop and of the recorder.

All hold the same two seconds of sound at 48 kHz, 16 bits (or what is said), unless they are broken.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

RATE = 48_000
N = 2 * RATE
SOUND = np.random.default_rng(7).normal(0, 3000, N).clip(-30_000, 30_000).astype("<i2")
DATA = SOUND.tobytes()
BYTES = len(DATA)
TEXT = b"GUANO|Version: 1.0\nTE: 10\nTimestamp: 2026-06-21T22:15:00+02:00\n"
GUANO = TEXT + b"\n" * (len(TEXT) % 2)


class Odd(NamedTuple):
    """One odd file: its content, and what is right.

    ``frames`` is None for a refusal, of which ``words`` are part; else ``words`` are part of the note.
    """

    content: bytes | Callable[[Path], None]
    frames: int | None = N
    words: str = ""
    expansion: int = 1
    status: str = "corrupt"


def fmt(rate: int = RATE, bits: int = 16, channels: int = 1, tag: int = 1) -> bytes:
    block = channels * bits // 8
    return b"fmt " + struct.pack("<IHHIIHH", 16, tag, channels, rate, rate * block & 0xFFFFFFFF, block & 0xFFFF, bits)


def chunk(name: bytes, body: bytes, size: int | None = None, pad: bool = True) -> bytes:
    return name + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (pad and len(body) % 2)


def riff(*parts: bytes, head: bytes = b"RIFF") -> bytes:
    body = b"WAVE" + b"".join(parts)
    return head + struct.pack("<I", 0xFFFFFFFF if head != b"RIFF" else len(body) & 0xFFFFFFFF) + body


def long(head: bytes, stated: int, data: bytes = DATA, *more: bytes) -> bytes:
    ds64 = chunk(b"ds64", struct.pack("<QQQI", len(data) + 72, stated, stated // 2, 0))
    return riff(ds64, fmt(), chunk(b"data", data, 0xFFFFFFFF), *more, head=head)


def stating(size: int, *more: bytes) -> bytes:
    """A file whose data chunk states a size."""
    return riff(fmt(), chunk(b"data", DATA, size), *more)


def followed_by_zeros(content: bytes, zeros: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)
        with path.open("r+b") as file:
            file.truncate(len(content) + zeros)

    return write


def over_4_gib(size: int, head: int = 0) -> Callable[[Path], None]:
    """More than 4 GiB of sound, nearly all of it a hole; the last second is sound."""

    def write(path: Path) -> None:
        with path.open("wb") as file:
            file.write(stating(size)[: 44 + BYTES])
            file.seek(44 + FRAMES_OVER_4_GIB * 2 - BYTES)
            file.write(DATA)

    return write


FRAMES_OVER_4_GIB = (1 << 31) + N
LESS = "its header promises 1.000 s, it holds 2.000 s"
MORE = "truncated: its header promises 2.000 s of sound, it holds "
DATA_24 = np.frombuffer(DATA, np.uint8).reshape(-1, 2)
DATA_24 = np.insert(DATA_24, 0, 0, axis=1).tobytes()
PLAIN = stating(BYTES)

ODD: dict[str, Odd] = {
    "plain": Odd(PLAIN),
    "promises half": Odd(stating(BYTES // 2), words=LESS),
    "promises 44 bytes": Odd(stating(44), words="its header promises 0.000 s, it holds 2.000 s"),
    "promises 1 byte": Odd(stating(1), words="it holds 2.000 s"),
    "promises 99 %": Odd(stating(BYTES // 100 * 99), words="its header promises 1.980 s, it holds 2.000 s"),
    "promises half, metadata behind": Odd(stating(BYTES // 2, chunk(b"guan", GUANO)), words=" s", expansion=10),
    "promises half, 24 bits": Odd(riff(fmt(bits=24), chunk(b"data", DATA_24, N // 2 * 3)), words=LESS),
    "promises nothing": Odd(stating(0), words="its header promises 0.000 s, it holds 2.000 s"),
    "promises nothing, metadata behind": Odd(stating(0, chunk(b"guan", GUANO)), words=" s", expansion=10),
    "RF64 promises half": Odd(long(b"RF64", BYTES // 2), words=LESS),
    "RF64 promises nothing": Odd(long(b"RF64", 0), words="it holds 2.000 s"),
    "RF64 without ds64": Odd(riff(fmt(), chunk(b"data", DATA, 0xFFFFFFFF), head=b"RF64")),
    "RF64 with a placeholder": Odd(long(b"RF64", (1 << 64) - 1)),
    "RF64": Odd(long(b"RF64", BYTES, DATA, chunk(b"guan", GUANO)), expansion=10),
    "BW64": Odd(long(b"BW64", BYTES)),
    "BW64 promises half": Odd(long(b"BW64", BYTES // 2), words=LESS),
    "RF64 cut": Odd(long(b"RF64", BYTES, DATA[: BYTES // 4]), None, MORE + "0.500 s"),
    **{
        f"placeholder {size - less:#x}": Odd(stating(size - less))
        for size in (0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
        for less in (0, 36, 44, 80, 4095)
    },
    "placeholder, metadata behind": Odd(stating(0x7FFFFFFF, chunk(b"guan", GUANO)), expansion=10),
    "placeholder, metadata without pad": Odd(stating(0xFFFFFFFF, chunk(b"guan", GUANO[:-1], pad=False)), expansion=10),
    "preallocated": Odd(followed_by_zeros(PLAIN, 80_000_000)),
    "preallocated, metadata between": Odd(followed_by_zeros(PLAIN + chunk(b"guan", GUANO), 80_000_000), expansion=10),
    "preallocated, erased flash": Odd(PLAIN + b"\xff" * 3_000_000),
    "preallocated, metadata at the end": Odd(PLAIN + bytes(3_000_000) + chunk(b"guan", GUANO), expansion=10),
    "promises half, silent from there on": Odd(
        riff(fmt(), chunk(b"data", DATA + bytes(4_000_000) + DATA, BYTES)), 2 * N + 2_000_000, "it holds 45.667 s"
    ),
    "spaces behind": Odd(PLAIN + b" " * 900),
    "a tag behind": Odd(PLAIN + b"TAG" + b"x" * 125),
    "a long tag behind": Odd(PLAIN + b"ID3\4\0\0\0\1\0\0" + b"picture" * 5000),
    "metadata behind odd sound": Odd(
        riff(fmt(bits=8), chunk(b"data", DATA[1:], pad=False), chunk(b"guan", GUANO)), 2 * N - 1, expansion=10
    ),
    "metadata behind odd sound and pad": Odd(
        riff(fmt(bits=8), chunk(b"data", DATA[1:]), chunk(b"guan", GUANO)), 2 * N - 1, expansion=10
    ),
    **{
        f"metadata, {more} bytes too many": Odd(stating(BYTES + more, chunk(b"guan", GUANO)), expansion=10)
        for more in (2, 8, 36, 44, 64)
    },
    "metadata, 44 bytes too few": Odd(stating(BYTES - 44, chunk(b"guan", GUANO)), expansion=10),
    "metadata counted as sound": Odd(stating(BYTES + 8 + len(GUANO), chunk(b"guan", GUANO)), expansion=10),
    "metadata before the sound, odd": Odd(
        riff(fmt(), chunk(b"LIST", b"INFOx", pad=False), chunk(b"guan", GUANO), chunk(b"data", DATA)), expansion=10
    ),
    "unknown chunks behind": Odd(stating(BYTES, chunk(b"SMet", b"abc"), chunk(b"guan", GUANO)), expansion=10),
    "chunks without end": Odd(stating(BYTES, b"abcd\0\0\0\0" * 200_000)),
    "cut": Odd(PLAIN[: 44 + BYTES // 2], None, MORE + "1.000 s"),
    "cut at the header": Odd(PLAIN[:44], None, MORE + "none"),
    "cut, 24 bits": Odd(riff(fmt(bits=24), chunk(b"data", DATA_24[: N * 3 // 2], N * 3)), None, MORE + "1.000 s"),
    "header alone": Odd(stating(0)[:44], None, "holds a header, but no sound (0 samples)"),
    "no sound, metadata behind": Odd(riff(fmt(), chunk(b"data", b""), chunk(b"guan", GUANO)), None, "but no sound"),
    "no sound, preallocated": Odd(followed_by_zeros(stating(0)[:44], 1_000_000), None, "but no sound"),
    "two pieces": Odd(
        riff(fmt(), chunk(b"data", DATA[:N]), chunk(b"data", DATA[N:])), None, "lies in 2 pieces", status="unsupported"
    ),
    "two files in one": Odd(PLAIN + PLAIN, None, "its sound lies in 2 pieces", status="unsupported"),
    "an empty piece and one of sound": Odd(riff(fmt(), chunk(b"data", b""), chunk(b"data", DATA))),
    "rate 0": Odd(riff(fmt(rate=0), chunk(b"data", DATA)), None, "its header gives a sample rate of 0"),
    "rate 4 GHz": Odd(riff(fmt(rate=0xFFFFFFFF), chunk(b"data", DATA)), None, "a sample rate of 4294967295 Hz"),
    "no channels": Odd(riff(fmt(channels=0), chunk(b"data", DATA)), None, "its header gives 0 channels"),
    "65535 channels": Odd(riff(fmt(channels=65535), chunk(b"data", DATA)), None, "its header gives 65535 channels"),
    "0 bits": Odd(riff(fmt(bits=0), chunk(b"data", DATA)), None, "its header gives 0 bits a sample"),
    "no format": Odd(riff(chunk(b"data", DATA)), None, "its header does not say how the sound is stored"),
    "format cut": Odd(riff(chunk(b"fmt ", fmt()[8:16]), chunk(b"data", DATA)), None, "does not say how the sound is"),
    "4 GiB behind 0xFFFFFFFF": Odd(over_4_gib(0xFFFFFFFF), FRAMES_OVER_4_GIB),
    "4 GiB behind 0x7FFFFFFF": Odd(over_4_gib(0x7FFFFFFF), FRAMES_OVER_4_GIB),
    "4 GiB, and the size went round": Odd(over_4_gib(BYTES), FRAMES_OVER_4_GIB, "promises 2.000 s, it holds 447"),
}  # fmt: skip


def write(name: str, folder: Path) -> Path:
    """Write one of the odd files."""
    path = folder / "odd.wav"
    content = ODD[name].content
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)
    return path
