"""Which detections a broker has: the last one is known by what was heard, because another database numbers anew."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from ecotf_recorder.files import atomic_file

_log = logging.getLogger(__name__)
_MEMORY = "mqtt.json"
_SAME_TIME_S = 0.01  # a database that somebody made of the table has milliseconds
_LABEL = 4
CALL = ("start_s", "end_s", "low_hz", "high_hz", "label", "score", "detection_score")
COLUMNS = ("id", "time", *CALL, "recording", "time_quality")
_ROWS = f"SELECT {', '.join(COLUMNS)} FROM detections"
_NUMBERED = f"{_ROWS} WHERE id = ?"
_LATEST = f"{_ROWS} ORDER BY id DESC LIMIT 1"
_ALIKE = f"{_ROWS} WHERE ({', '.join(CALL)}) IS ({', '.join('?' * len(CALL))}) ORDER BY id DESC"
_NEW = f"{_ROWS} WHERE id > ? ORDER BY id LIMIT ?"

Row = tuple[Any, ...]
_Query = Callable[..., list[Row]]


class Sent(NamedTuple):
    """A detection that the broker has: its number, its time if that is known, and its cells `CALL`.

    The cells are empty where an older recorder remembered the number alone. Recording and time change when the clock
    is set; the cells do not.
    """

    number: int
    time: float | None = None
    call: Row = ()

    @classmethod
    def of(cls, row: Row) -> Sent:
        """Return what is remembered of a row of `COLUMNS`."""
        return cls(row[0], row[1], tuple(row[2 : 2 + len(CALL)]))

    def is_in(self, row: Row) -> bool:
        """Check that a row is this detection."""
        other = Sent.of(row)
        if self.time is not None and other.time is not None and abs(self.time - other.time) > _SAME_TIME_S:
            return False
        return not self.call or self.call == other.call


class SentMemory:
    """The last detection that a broker has, remembered in ``mqtt.json``, and those that come after it.

    At the first start, what was heard before counts as sent. The same holds if ``mqtt.json`` is damaged.

    Parameters
    ----------
    folder
        Of the recorder's data.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._database = folder / _MEMORY, folder / "detections.sqlite"
        self._last = self._read()  # None while the database cannot be asked
        if self._last is None and not self._database.exists():
            self.keep(Sent(0))
        self.begin()

    def begin(self) -> None:
        """At the first start, note where it begins as soon as the database can be asked."""
        if self._last is None:
            self.new(0)

    def new(self, at_most: int) -> list[Row]:
        """Return rows of `COLUMNS` that the broker does not have, in their order.

        If the last one that it has is not in the database, this is another database, which is sent as a whole.
        """
        try:
            with closing(sqlite3.connect(f"{self._database.as_uri()}?mode=ro", uri=True, timeout=2)) as file:
                file.execute("BEGIN")  # one view for all questions

                def query(question: str, *values: object) -> list[Row]:
                    return file.execute(question, values).fetchall()

                return query(_NEW, self._place(query).number, at_most)
        except sqlite3.Error:  # not there yet, or locked for a moment
            return []

    def keep(self, last: Sent) -> None:
        """The broker has this one, and all before it."""
        self._last = last
        try:
            with atomic_file(self._path) as partial:
                partial.write_text(
                    json.dumps({"last": last.number, "time": last.time, "call": last.call}), encoding="utf-8"
                )
        except OSError as error:  # a full disk; after a restart some are sent twice
            _log.warning("mqtt: %s cannot be written (%s)", self._path, error.strerror)

    def _place(self, query: _Query) -> Sent:
        """Find the last one that the broker has in the database of now."""
        last = self._last
        if last is None:
            found = query(_LATEST)
        elif last.number == 0:
            return last
        else:
            found = [row for row in query(_NUMBERED, last.number) if last.is_in(row)]
            if found and last.call:
                return last
            if not found and last.call:
                found = [row for row in query(_ALIKE, *last.call) if last.is_in(row)]
            if not found:
                _log.warning("mqtt: the database has begun anew; it is sent from its first detection on")
        last = Sent.of(found[0]) if found else Sent(0)
        self.keep(last)
        return last

    def _read(self) -> Sent | None:
        try:
            return _checked(json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            _log.warning("mqtt: %s is damaged (%s); what is in the database counts as sent", self._path, error)
            return None


def _checked(said: dict[str, Any]) -> Sent:
    """Return what ``mqtt.json`` says.

    Raises
    ------
    ValueError, KeyError, TypeError
        It is not what `SentMemory.keep` writes, nor what an older recorder wrote.
    """
    number, time, call = said["last"], said.get("time"), tuple(said.get("call", ()))
    numbers = [time, *call[:_LABEL], *call[_LABEL + 1 :]]
    if (
        type(number) is not int or not 0 <= number < 2**63
        or len(call) not in (0, len(CALL)) or not all(isinstance(one, float | None) for one in numbers)
        or (call and not isinstance(call[_LABEL], str))
    ):  # fmt: skip
        raise ValueError("it has other content than expected")
    if call:
        call[_LABEL].encode("utf-8")
    return Sent(number, time, call)
