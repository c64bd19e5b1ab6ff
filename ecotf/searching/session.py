"""A session: what was searched for, the hits, and a person's decisions about them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from ecotf.append_only import AppendOnly
from ecotf.config import Config, validate
from ecotf.embeddings.store import Embeddings, open_embeddings
from ecotf.errors import ConfigError, DataError
from ecotf.files import PARTIAL_PREFIX, atomic_file, lock, reading_arrays, unlock
from ecotf.models.heads import EmbeddingsHead
from ecotf.models.heads.ridge import RidgeConfig
from ecotf.review.journal import NAME as JOURNAL
from ecotf.review.journal import UNDO, Journal, in_force
from ecotf.searching.picks import Pick, Shares

if TYPE_CHECKING:
    import pandas as pd

FACTS, QUERIES, ROUNDS = "session.json", "queries.npz", "rounds.jsonl"
FORMAT = 1
ACCEPT, REJECT = "accept", "reject"
FIRST = "nearest"
"""Why the hits of a search itself were picked."""
_HEADER = b'{"ecotf": "hits that were shown, a round a line", "format": 1}\n'


class Teaching(Config):
    """How accepted and rejected hits teach, and what is shown next.

    Attributes
    ----------
    head
        Any head of rows of numbers: ``ridge`` (it is fitted at once), ``logistic``, ``nearest_mean``, ``trees`` ...
    shares
        Of a round's picks.
    picks
        Of a round.
    """

    head: EmbeddingsHead = RidgeConfig()
    shares: Shares = Shares()
    picks: int = Field(20, ge=1, le=1000)
    seed: int = 1979


@dataclass(frozen=True)
class Facts:
    """What a session is about; written once.

    Attributes
    ----------
    embeddings, digest, rows
        The folder, its embedder, and how many rows its table had.
    label
        What accepted hits are called.
    examples
        ``path, start_s, end_s`` of each; or the run and the class that were searched for.
    """

    embeddings: str
    digest: str
    rows: int
    label: str
    examples: list[dict[str, Any]]
    run: str = ""
    class_name: str = ""
    distance: str = "cosine"
    teaching: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT


@dataclass(frozen=True)
class Round:
    """Hits that were shown together.

    Attributes
    ----------
    decided
        How many decisions were in force when they were picked.
    """

    number: int
    picks: tuple[Pick, ...]
    decided: int
    time: str


def make_session(
    folder: Path, embeddings: Embeddings, facts: Facts, queries: np.ndarray, hits: pd.DataFrame
) -> Session:
    """Begin a session with the hits of a search.

    Parameters
    ----------
    queries
        float32 ``[examples, numbers]``; none where a class of a run was searched for.
    hits
        With ``row`` and ``score``.

    Raises
    ------
    ConfigError
        The folder holds a session already, or something else.
    """
    refuse_used(folder)
    validate(Teaching, facts.teaching, "teaching")
    (folder / ROUNDS).unlink(missing_ok=True)  # a kill came before the session was whole
    with atomic_file(folder / QUERIES) as partial, partial.open("wb") as stream:
        np.savez(stream, queries=np.asarray(queries, np.float32).reshape(-1, embeddings.numbers))
    picks = [Pick(int(row), FIRST, float(score)) for row, score in zip(hits["row"], hits["score"], strict=True)]
    _append_round(AppendOnly(folder / ROUNDS, _HEADER), Round(0, tuple(picks), 0, _now()))
    with atomic_file(folder / FACTS) as partial:
        partial.write_text(json.dumps(asdict(facts), indent=2) + "\n", encoding="utf-8")
    return Session(folder, embeddings)


def refuse_used(folder: Path) -> None:
    """Refuse a folder that a session or something else is in (`ConfigError`)."""
    if (folder / FACTS).exists():
        raise ConfigError(f"{folder}: holds a session already; go on with ecotf search show, or give another --output")
    known = {QUERIES, ROUNDS}  # of a session that a kill has cut short
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else {"a file"} if folder.exists() else set()
    if not {name for name in names if not name.startswith(PARTIAL_PREFIX)} <= known:
        raise ConfigError(f"{folder}: is not empty, and no session; give another --output")


def open_session(folder: str | Path) -> Session:
    """Open a session that ``ecotf search --output`` has begun.

    Raises
    ------
    ConfigError
        It is none, it is damaged, or its embeddings were made anew since.
    """
    folder = Path(folder)
    return Session(folder, open_embeddings(_read_facts(folder).embeddings))


@contextmanager
def held_session(folder: str | Path) -> Iterator[Session]:
    """Open a session that nobody else changes meanwhile; raises `ConfigError` where a page is open for it."""
    folder = Path(folder)
    _read_facts(folder)
    held = lock(folder / ".job.lock", f"{folder}: is in use (process {{pid}})")
    try:
        yield open_session(folder)
    finally:
        unlock(held)


class Session:
    """A session that is open; made by `make_session` or `open_session`.

    Decisions are appended to a journal and rounds to a file of their own. All else is computed from these, so a kill
    loses nothing.

    Attributes
    ----------
    rounds
        What was shown, in order.
    answers
        Whether each decided row was accepted, in the order in which they were decided.
    """

    def __init__(self, folder: Path, embeddings: Embeddings) -> None:
        self.folder, self.embeddings, self.facts = folder, embeddings, _read_facts(folder)
        if embeddings.about.digest != self.facts.digest or len(embeddings) != self.facts.rows:
            raise ConfigError(
                f"{folder}: {embeddings.folder} was made anew since this session began (with {self.facts.rows} rows); "
                "search again with another --output"
            )
        self.teaching = validate(Teaching, self.facts.teaching, str(folder / FACTS))
        with reading_arrays(folder / QUERIES, "the examples of a session") as kept:
            self.queries: np.ndarray = kept["queries"]
        self._file = AppendOnly(folder / ROUNDS, _HEADER)
        self.rounds = [_round_of(line, folder) for line in self._file.rows()]
        if not self.rounds:
            raise ConfigError(f"{folder / ROUNDS}: damaged; search again with another --output")
        self.journal = Journal(folder / JOURNAL, self._about())
        self.answers = _answers(in_force(self.journal.decisions))

    @property
    def shown(self) -> list[int]:
        """All rows that were shown, in order."""
        return [pick.row for one in self.rounds for pick in one.picks]

    @property
    def waiting(self) -> list[Pick]:
        """Picks of the last round that nobody has decided."""
        return [pick for pick in self.rounds[-1].picks if pick.row not in self.answers]

    def decide(self, what: str, row: int | None = None) -> None:
        """Accept or reject a row that was shown, or undo the last decision.

        It is on the disk when this returns.

        Raises
        ------
        DataError
            The row was not shown, or there is nothing to undo.
        """
        if what == UNDO:
            if not in_force(self.journal.decisions):
                raise DataError("there is nothing to undo")
            self.journal.append({"what": UNDO})
        elif what not in (ACCEPT, REJECT):
            raise DataError(f"a decision {what!r} is not known; known are {ACCEPT}, {REJECT}, {UNDO}")
        elif type(row) is not int or row not in self._shown:
            raise DataError(f"row {row} is not among the hits that were shown")
        else:
            self.journal.append({"what": what, "row": row})
        self.answers = _answers(in_force(self.journal.decisions))

    def add_round(self, picks: Sequence[Pick]) -> Round:
        """Keep what is shown next."""
        made = Round(len(self.rounds), tuple(picks), len(self.answers), _now())
        _append_round(self._file, made)
        self.rounds.append(made)
        self.__dict__.pop("_shown", None)
        return made

    @cached_property
    def _shown(self) -> set[int]:
        return set(self.shown)

    def _about(self) -> str:
        text = f"{self.facts.digest} {self.facts.rows} {self.facts.label}"
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def facts_of(
    embeddings: Embeddings, label: str, teaching: Mapping[str, Any], examples: Iterable[Any] = (), **asked: Any
) -> Facts:
    """Return the facts of a new session.

    Parameters
    ----------
    examples
        `ecotf.searching.examples.Example`.
    asked
        ``run``, ``class_name``, ``distance``.
    """
    listed = [
        {
            "path": os.path.realpath(one.path),
            "start_s": one.start_s,
            "end_s": None if one.end_s != one.end_s else one.end_s,
        }
        for one in examples
    ]
    if not label.strip():
        raise ConfigError("the label of what is searched for is empty; give --label")
    folder = os.path.realpath(embeddings.folder)
    return Facts(folder, embeddings.about.digest, len(embeddings), label, listed, teaching=dict(teaching), **asked)


def _read_facts(folder: Path) -> Facts:
    path = folder / FACTS
    try:
        facts = Facts(**json.loads(path.read_text(encoding="utf-8")))
    except OSError:
        raise ConfigError(
            f"{folder}: no session (it has no {FACTS}); ecotf search EMBEDDINGS --like CLIP --output SESSION makes one"
        ) from None
    except (ValueError, TypeError):
        raise ConfigError(
            f"{path}: damaged, or of another version of ecotf; search again with another --output"
        ) from None
    if facts.format != FORMAT:
        raise ConfigError(f"{path}: a session of format {facts.format}; this version of ecotf reads format {FORMAT}")
    return facts


def _answers(decisions: Iterable[Mapping[str, Any]]) -> dict[int, bool]:
    answers: dict[int, bool] = {}
    for decision in decisions:
        answers.pop(int(decision["row"]), None)
        answers[int(decision["row"])] = decision["what"] == ACCEPT
    return answers


def _append_round(file: AppendOnly, made: Round) -> None:
    file.append(json.dumps(asdict(made), allow_nan=False).encode("ascii") + b"\n")


def _round_of(line: bytes, folder: Path) -> Round:
    try:
        values = json.loads(line)
        return Round(**(values | {"picks": tuple(Pick(**pick) for pick in values["picks"])}))
    except (ValueError, TypeError, KeyError):
        raise ConfigError(f"{folder / ROUNDS}: a line is damaged, or another program changed it") from None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
