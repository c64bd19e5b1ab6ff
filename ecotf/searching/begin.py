"""Begin a session: search, and keep what was asked and found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ecotf.embeddings.store import Embeddings, open_embeddings
from ecotf.errors import ConfigError
from ecotf.searching.find import Asked, Found, Wanted, find
from ecotf.searching.session import Session, facts_of, make_session, refuse_used


def begin_session(
    embeddings: Embeddings | str | Path,
    output: str | Path,
    asked: Asked,
    wanted: Wanted,
    label: str | None = None,
    teaching: dict[str, Any] | None = None,
) -> tuple[Session, Found]:
    """Search and begin a session with the hits; each is a window of its own.

    Parameters
    ----------
    output
        The folder of the session.
    label
        What accepted hits are called; by default the class that is searched for, or the name of the first example.
    teaching
        Settings of `ecotf.searching.session.Teaching`.

    Returns
    -------
    The session; and what was found.

    Raises
    ------
    ConfigError, DataError
        As `ecotf.search`; or the folder is used already.

    Examples
    --------
    >>> session, found = begin_session("embeddings/", "owls/", Asked(("owl.wav",)), Wanted())  # doctest: +SKIP
    """
    folder = embeddings if isinstance(embeddings, Embeddings) else open_embeddings(embeddings)
    if wanted.merge:
        raise ConfigError("a session is of single windows, since decisions teach a head; leave --merge out")
    output = Path(output)
    refuse_used(output)
    found = find(folder, asked, wanted)
    named = label or asked.class_name or Path(asked.like[0]).stem
    facts = facts_of(
        folder, named, teaching or {}, found.examples, run=str(asked.model or ""), class_name=asked.class_name or "",
        distance=wanted.distance,
    )  # fmt: skip
    return make_session(output, folder, facts, found.queries, found.hits), found
