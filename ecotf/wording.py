"""Numbers with their nouns, as people say them."""

from __future__ import annotations


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun; ``many`` where that is not ``one`` with an s.

    Examples
    --------
    >>> counted(1, "call"), counted(2, "class", "classes")
    ('1 call', '2 classes')
    """
    return f"{count} {one if count == 1 else many or one + 's'}"
