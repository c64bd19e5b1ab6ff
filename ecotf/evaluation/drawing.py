"""What all pictures need: text that is drawn as it is written, and a failure that is one line and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


def literal(text: str) -> str:
    r"""Make matplotlib draw ``text`` as it is written: a dollar begins no formula.

    Examples
    --------
    >>> print(literal("=1+$x^{$"))
    =1+\$x^{\$
    """
    readable = str(text).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return readable.replace("$", r"\$")


@contextmanager
def drawing(name: str, log: Callable[[str], None]) -> Iterator[None]:
    """Draw inside: whatever goes wrong is logged in one line, and what is to be done after the picture goes on."""
    try:
        yield
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0] or type(error).__name__
        log(f"the picture {name} could not be drawn: {reason}")
