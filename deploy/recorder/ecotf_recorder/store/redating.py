"""What a boot heard before its clock was set gets its time, some rows at a time, while the recorder listens on.

A power cut may come at any step: what is under way is noted first, and each step can be done again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence

from ecotf_recorder.store.database import Database
from ecotf_recorder.store.table import GrowingTable
from ecotf_recorder.times.clock import UNSET_PREFIX, Clock, file_time, iso_time
from ecotf_recorder.times.trust import REDATED

_NOTE = "redating"  # a fact: the boot, and its wall time less its steady time
_ROWS_AT_A_TIME = 2000
_UNDATED = "SELECT id, steady FROM stretches WHERE began IS NULL AND steady IS NOT NULL AND boot = ? LIMIT ?"
_DATE_STRETCH = "UPDATE stretches SET recording = ?, began = ? WHERE id = ?"
_DATED = (
    "SELECT id, steady, began FROM stretches WHERE boot = ? AND steady IS NOT NULL AND began IS NOT NULL AND id > ? "
    "ORDER BY id LIMIT ?"
)
_DATE_GAPS = (
    "UPDATE gaps SET began = steady + ?, time_quality = ? WHERE began IS NULL AND steady IS NOT NULL AND boot = ?"
)
_DATE_DETECTIONS = f"""
UPDATE {{table}} SET recording = s.recording, time = s.began + start_s, time_quality = '{REDATED}'
FROM stretches AS s WHERE s.id = {{table}}.stretch AND s.boot = ? AND s.steady IS NOT NULL
AND +{{table}}.time IS NULL AND {{table}}.id > ? AND {{table}}.id <= ?"""  # + keeps it from the index by time

Dating = Generator[None, None, None]


def redate(
    database: Database,
    tables: Sequence[GrowingTable],
    gaps: GrowingTable,
    clock: Clock,
    clips: Callable[[str, float], Dating] | None,
    replacing: Callable[[GrowingTable, bool], None],
) -> Dating:
    """Do the next part at each turn; at the end everything has its time.

    Parameters
    ----------
    tables
        Of detections, and of what was kept out.
    clips
        Gives the clips of a boot their time.
    replacing
        Called with True before a table is replaced, and with False afterwards.
    """
    noted = database.fact(_NOTE)
    if noted is None:
        if not _has_undated(database, clock.boot):
            return
        noted = f"{clock.boot} {clock.offset!r}"
        database.remember(_NOTE, noted)
        database.commit()
    boot, offset = noted.split()[0], float(noted.split()[1])
    yield from _date_stretches(database, boot, offset)
    for table in tables:
        yield from _date_table(database, table, boot, replacing)
    for name in ("detections", "kept_out"):
        yield from _date_detections(database, name, boot)
    yield from _date_gaps(database, gaps, boot, offset)
    if clips is not None:
        yield from clips(boot, offset)
    database.forget(_NOTE)
    database.commit()


def is_needed(database: Database, clock: Clock) -> bool:
    """Whether something waits for its time, or an earlier process was killed while it gave it."""
    return database.fact(_NOTE) is not None or (clock.is_set and _has_undated(database, clock.boot))


def _has_undated(database: Database, boot: str) -> bool:
    for table in ("stretches", "gaps", "clips"):
        query = f"SELECT 1 FROM {table} WHERE began IS NULL AND steady IS NOT NULL AND boot = ? LIMIT 1"
        if database.execute(query, (boot,)).fetchone() is not None:
            return True
    return False


def _date_stretches(database: Database, boot: str, offset: float) -> Dating:
    while rows := database.execute(_UNDATED, (boot, _ROWS_AT_A_TIME)).fetchall():
        for stretch, steady in rows:
            database.execute(_DATE_STRETCH, (file_time(steady + offset), steady + offset, stretch))
        database.commit()
        yield


def _date_table(
    database: Database, table: GrowingTable, boot: str, replacing: Callable[[GrowingTable, bool], None]
) -> Dating:
    began: dict[str, tuple[str, float]] = {}  # name and beginning, by the name before the clock was set
    last, more = -1, True
    while more:
        rows = database.execute(_DATED, (boot, last, _ROWS_AT_A_TIME)).fetchall()
        began.update((f"{UNSET_PREFIX}{boot}-{steady:.3f}", (file_time(wall), wall)) for _, steady, wall in rows)
        if more := len(rows) == _ROWS_AT_A_TIME:
            last = rows[-1][0]
            yield
    prefix, n_commas = f"{UNSET_PREFIX}{boot}-", len(table.columns) - 1

    def dated(row: list[str]) -> list[str]:
        found = began.get(row[0]) if len(row) == len(table.columns) else None
        if found is None:
            return row
        try:
            return [found[0], *row[1:-2], iso_time(found[1] + float(row[1])), REDATED]
        except (ValueError, OverflowError):  # a line that somebody changed
            return row

    def dated_line(line: str) -> str:  # the same for a line without quotes, five times as fast
        if not line.startswith(prefix) or line.count(",") != n_commas:
            return line
        name, start, rest = line.split(",", 2)
        found = began.get(name)
        if found is None:
            return line
        try:
            when = iso_time(found[1] + float(start))
        except (ValueError, OverflowError):
            return line
        return f"{found[0]},{start},{rest.rsplit(',', 2)[0]},{when},{REDATED}\n"

    if began:
        yield from table.rewriting(dated, lambda: replacing(table, True), dated_line)
        replacing(table, False)


def _date_detections(database: Database, name: str, boot: str) -> Dating:
    last = database.execute(f"SELECT COALESCE(MAX(id), 0) FROM {name}").fetchone()[0]
    change = _DATE_DETECTIONS.format(table=name)
    for at in range(0, last, _ROWS_AT_A_TIME):
        with database.unhurried():  # what a power cut undoes is done again, since the note of it is still there
            database.execute(change, (boot, at, at + _ROWS_AT_A_TIME))
        yield


def _date_gaps(database: Database, gaps: GrowingTable, boot: str, offset: float) -> Dating:
    query = "SELECT id, steady, boot, seconds, reason FROM gaps WHERE began IS NULL ORDER BY id"
    rows = database.execute(query).fetchall()
    times: dict[tuple[str, str], deque[str]] = {}  # of gaps that are written alike, in their order
    for _, steady, its_boot, seconds, reason in rows:
        known = its_boot == boot and steady is not None
        written = "" if seconds is None else str(round(seconds, 3))
        times.setdefault((written, reason), deque()).append(iso_time(steady + offset) if known else "")

    def dated(row: list[str]) -> list[str]:
        waiting = times.get((row[1], row[2])) if len(row) == len(gaps.columns) and not row[0] else None
        time = waiting.popleft() if waiting else ""
        return [time, *row[1:-1], REDATED] if time else row

    yield from gaps.rewriting(dated, lambda: None)
    database.execute(_DATE_GAPS, (offset, REDATED, boot))
    database.commit()
    yield
