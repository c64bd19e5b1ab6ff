"""Numbers as C: arrays, each written only once, and their size in the flash."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES = {"int8": "int8_t", "int16": "int16_t", "uint16": "uint16_t", "int32": "int32_t", "uint32": "uint32_t",
          "float32": "float"}  # fmt: skip
_WIDTH = 110


class Constants:
    """The arrays of a translation, by name.

    Attributes
    ----------
    bytes
        Of all arrays so far, by what they are for.
    """

    def __init__(self) -> None:
        self.text: list[str] = []
        self.bytes: dict[str, int] = {}
        self._names: dict[tuple[str, bytes], str] = {}

    def add(self, name: str, values: NDArray[Any], purpose: str) -> str:
        """Add an array with these values and return its name; an equal array is used again."""
        flat = np.ascontiguousarray(values).ravel()
        key = str(flat.dtype), flat.tobytes()
        if key not in self._names:
            self._names[key] = name
            self.count(purpose, flat.nbytes)
            self.text.append(array(f"static const {_TYPES[str(flat.dtype)]} {name}", flat))
        return self._names[key]

    def count(self, purpose: str, n_bytes: int) -> None:
        """Add bytes that something else takes."""
        self.bytes[purpose] = self.bytes.get(purpose, 0) + n_bytes


def array(declaration: str, values: NDArray[Any]) -> str:
    """Write the definition of a C array in lines of a readable width."""
    flat = values.ravel()
    words = [number(value) for value in flat] if flat.dtype.kind == "f" else [str(int(value)) for value in flat]
    lines, line = [], ""
    for word in words:
        if len(line) + len(word) > _WIDTH:
            lines.append(line)
            line = ""
        line += f"{word},"
    return "\n".join([f"{declaration}[{flat.size}] = {{", *lines, line, "};"])


def number(value: Any) -> str:
    """Write a float32 as C text that reads back as the same number."""
    text = f"{float(value):.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def text_of(words: str) -> str:
    """Write a C string literal; characters outside ASCII become their UTF-8 bytes."""
    parts = []
    for byte in words.encode():
        plain = 32 <= byte < 127 and chr(byte) not in '"\\?'
        parts.append(chr(byte) if plain else f"\\{byte:03o}")
    return f'"{"".join(parts)}"'


def comment_of(words: str) -> str:
    """Make words safe inside a C comment: one line, and nothing that ends it, begins another, or is a trigraph.

    Examples
    --------
    >>> comment_of("bats */ int x; /*")
    'bats * / int x; / *'
    """
    plain = "".join(letter if letter.isprintable() else " " for letter in words)
    for pair in ("*/", "/*", "??"):
        while pair in plain:
            plain = plain.replace(pair, f"{pair[0]} {pair[1]}")
    return plain
