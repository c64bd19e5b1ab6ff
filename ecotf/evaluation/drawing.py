"""Functions that all pictures share: draw text as it is written, and log a failure in one line."""

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
    """Draw a picture inside; log any error in one line, and continue with the work after the picture."""
    try:
        yield
    except Exception as error:
        reason = (str(error).strip().splitlines() or [""])[0] or type(error).__name__
        log(f"the picture {name} could not be drawn: {reason}")
