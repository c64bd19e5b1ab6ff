"""The output folder of a job: its question, its ledger, what was found, and the files made of that."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ecotf.audio.beginning import time_zone_of
from ecotf.audio.provenance import read_provenance
from ecotf.errors import ConfigError, DiskFullError, RecordingStatus
from ecotf.files import PARTIAL_PREFIX
from ecotf.inference import ledger, question, records
from ecotf.inference.compact import CompactMap, key_of
from ecotf.inference.dataset import NAME as DATASET
from ecotf.inference.dataset import DatasetWriter
from ecotf.inference.held_folder import HeldFolder
from ecotf.inference.joined import NAME as JOINED
from ecotf.inference.joined import write_joined
from ecotf.inference.ledger import SETTLED, STATUSES, Entry, Ledger, read_ledger
from ecotf.inference.older_job import OF_A_JOB, TABLES, older_job, remove_older
from ecotf.inference.outcome import Outcome, Waiting, readable, said
from ecotf.inference.places import Places
from ecotf.inference.question import Question
from ecotf.inference.records import Record, Records
from ecotf.inference.submission import NAME as SUBMISSION
from ecotf.inference.submission import check_stems, write_submission
from ecotf.inference.tables import Row
from ecotf.inference.writers import WRITERS, paths_of_one, write_one, write_whole_job

_MOST_TOGETHER = 64  # results that are settled at once
_CATCH_UP = 500_000  # detections, after which the data set is brought up to date in the middle of a job


class OutputFolder(HeldFolder):
    """A folder that holds one job, locked while it is open.

    A recording is settled in three steps: its record is appended to ``job.jsonl``, its own files are written, its row
    is appended to ``ledger.csv``. Whatever a kill leaves undone of these, the next opening does. Tables of all
    recordings are written from the records when a job ends.

    Parameters
    ----------
    folder
        Made if absent.
    asked
        The question of this job.
    recordings
        Paths as given by the user, to be gone through several times and never held; a file that is given twice is
        taken once.
    resume
        Go on with the job in the folder, if there is one.
    overwrite
        Remove the job in the folder, with all files that it wrote.

    Attributes
    ----------
    settled
        How many of the recordings an earlier job has settled, by their status, as far as `waiting` has come.

    Raises
    ------
    ConfigError
        The folder is used already, holds another question, or another job is writing to it.
    EcotfError
        The disk is full, or the folder cannot be written to.
    """

    def __init__(
        self, folder: Path, asked: Question, recordings: Iterable[str], resume: bool = False, overwrite: bool = False
    ) -> None:
        self.question, self._recordings, self._fresh, self._seen = asked, recordings, 0, CompactMap()
        super().__init__(folder, question.NAME)
        old: Question | None = None
        is_new = False
        try:
            if overwrite:
                remove_older(folder)
            old = older_job(folder, asked, resume)
            is_new = old is None
            if old is not None:
                self.question = old.joined(asked)
            else:
                asked.write(folder)
            is_whole = (folder / ledger.NAME).exists() or not (folder / records.NAME).exists()
            self._ledger, self._records = Ledger(folder / ledger.NAME), Records(folder / records.NAME)
            self._look_up(is_whole)
            if not overwrite:
                self._refuse_strange_files(old)
            if SUBMISSION in self.question.formats:
                check_stems([*(one.name for one in self._open()), *(record.recording for record in self._records)])
            if resume:
                self._remove_partials()
            self._write_missing_formats()
        except BaseException:
            for name in OF_A_JOB if is_new else ():  # nothing was done yet
                (folder / name).unlink(missing_ok=True)
            self.close()
            raise

    def waiting(self) -> Iterator[Waiting]:
        """Go through the recordings; yield those that are not settled, and count the others.

        Each comes once, also where this is done again.
        """
        for one, status in self._asked():
            key = key_of(one.path)
            if self._seen.get(key) is not None:
                continue
            self._seen.set(key, 0)
            if status in SETTLED:
                self.settled[status] += 1
                continue
            if status is not None:
                self._forget({one.path})
            yield one

    @property
    def at_once(self) -> int:
        """How many results may be settled together; one where each has files of its own."""
        return 1 if self._own_formats else _MOST_TOGETHER

    def settle(self, results: Sequence[tuple[Waiting, Outcome]]) -> list[Outcome]:
        """Write results down; returns them, ``failed`` where a recording's own files cannot be written.

        Several together, `at_once` at most, cost as much waiting for the disk as one.
        """
        found: list[tuple[Waiting, Outcome, Record | None]] = []
        for one, outcome in results:
            outcome, record = outcome._replace(reason=readable(outcome.reason)), None
            if outcome.status in SETTLED:
                record = Record(
                    one.name, one.path, self._places.take(one.name, one.path), outcome.status, outcome.reason,
                    outcome.duration_s, outcome.seconds_used, outcome.sample_rate, list(outcome.calls),
                    outcome.segments,
                )  # fmt: skip
            found.append((one, outcome, record))
        self._records.add(*(record for _, _, record in found if record is not None))
        entries, outcomes = [], []
        for one, outcome, record in found:
            if record is not None:
                outcome = self._write_files(record, outcome, self._own_formats)
            outcomes.append(outcome)
            entries.append(_entry(one, outcome, "" if record is None else record.files))
        self._ledger.add(*entries)
        self._fresh += sum(len(outcome.calls) for outcome in outcomes)
        if self._fresh > _CATCH_UP:
            self._write_dataset()
        return outcomes

    def finish(self, classes: Sequence[str], segment_s: float | None) -> dict[str, tuple[int, int, float]]:
        """Write the tables of all recordings; returns detections, recordings and highest score by label."""
        formats = self.question.formats
        tables = [name for name in formats if name in WRITERS]
        write_whole_job(self.folder, tables, self._rows, Path(self.question.root))
        self._write_dataset()
        if SUBMISSION in formats and segment_s is not None:
            write_submission(self.folder, classes, segment_s, self._records)
        if JOINED in formats:
            write_joined(self.folder, self._records, read_ledger(self._ledger.path))
        found: dict[str, tuple[int, int, float]] = {}
        for record in self._records:
            for label in {call.label for call in record.calls}:
                scores = [call.score for call in record.calls if call.label == label]
                detections, recordings, highest = found.get(label, (0, 0, 0.0))
                found[label] = (detections + len(scores), recordings + 1, max(highest, *scores))
        return found

    def _write_dataset(self) -> None:
        if DATASET in self.question.formats:
            DatasetWriter(self.folder, self.question).catch_up(self._records)
        self._fresh = 0

    def _rows(self) -> Iterator[Row]:
        return ((record.recording, call) for record in self._records for call in record.calls)

    def _look_up(self, is_whole: bool) -> None:
        """Find out what an earlier job has settled, and do what a kill left undone."""
        known = self._ledger.known()
        self._statuses, self._named = known.statuses, known.named
        self._places = Places(self.question.root, known.owners)
        more = len(self._records) - sum(known.counts[status] for status in SETTLED)
        unfinished = self._records.last(more) if more > 0 else []
        if (
            more < 0
            or more > (_MOST_TOGETHER if is_whole else 0)
            or any(self._status(record.path) in SETTLED for record in unfinished)
        ):
            raise ConfigError(
                f"{self.folder}: {ledger.NAME} and {records.NAME} do not hold the same recordings, another program "
                "changed one of them; give another --output, or --overwrite"
            )
        again = {record.path for record in unfinished if self._status(record.path) is not None}
        if any(known.counts[status] for status in STATUSES if status not in SETTLED):
            again |= {one.path for one, status in self._asked() if status is not None and status not in SETTLED}
        self._forget(again)
        for record in unfinished:
            self._finish_last(record)

    def _asked(self) -> Iterator[tuple[Waiting, RecordingStatus | None]]:
        """Go through all recordings, with the status of those that the ledger knows, under the names for tables."""
        for file in self._recordings:
            one = Waiting.of(file)
            if self._named.get(key_of(one.name)) not in (None, key_of(one.path)):
                one = one._replace(name=one.path)  # another file has that name
            yield one, self._status(one.path)

    def _open(self) -> Iterator[Waiting]:
        return (one for one, status in self._asked() if status not in SETTLED)

    def _status(self, path: str) -> RecordingStatus | None:
        code = self._statuses.get(key_of(path))
        return None if code is None else STATUSES[code]

    def _forget(self, paths: set[str]) -> None:
        """Take recordings out of the ledger that are looked at again."""
        if paths:
            self._ledger.forget(paths)
        for path in paths:
            self._statuses.drop(key_of(path))

    def _finish_last(self, record: Record) -> None:
        """Do for one of the last records what a kill prevented."""
        self._places.take(record.recording, record.path)
        missing = self.question.missing_formats
        stated = self.question.options.get("time_zone")
        origin = read_provenance(record.path, None if stated is None else time_zone_of(stated))
        outcome = Outcome(
            record.status, record.reason, record.duration_s, record.seconds_used, calls=record.calls,
            began=origin.time, recorder=origin.recorder,
        )  # fmt: skip
        # Several were settled at once where they had no files of their own; what is asked only now comes later.
        outcome = self._write_files(record, outcome, [f for f in self._own_formats if f not in missing])
        self._ledger.add(_entry(Waiting("", record.recording, record.path), outcome, record.files))
        self._statuses.set(key_of(record.path), STATUSES.index(outcome.status))
        self._named.set(key_of(record.recording), key_of(record.path))

    def _write_files(self, record: Record, outcome: Outcome, formats: Sequence[str]) -> Outcome:
        """Write the files of one recording; where that fails, its record is taken back and it is ``failed``."""
        paths = [p for p in paths_of_one(self.folder, record.files, formats) if not os.path.lexists(p)]
        try:
            write_one(self.folder, record.files, formats, record.calls, record.recording, record.sample_rate)
        except DiskFullError:
            raise
        except Exception as error:
            for path in paths:
                with suppress(OSError):
                    path.unlink()
            self._records.take_back(record)
            self._places.give_back(record.files)
            return Outcome("failed", f"its detections cannot be written: {said(error)}", outcome.duration_s)
        return outcome

    @property
    def _own_formats(self) -> list[str]:
        """Formats with a file for each recording."""
        return [name for name in self.question.formats if name not in TABLES]

    def _refuse_strange_files(self, old: Question | None) -> None:
        """Refuse to write over files that no job here has written; raises `ConfigError`."""
        strange = next((path for path in self._paths_to_write(old) if os.path.lexists(path)), None)
        if strange is not None:
            raise ConfigError(f"{strange} is there already and not of this job; give another --output, or --overwrite")

    def _paths_to_write(self, old: Question | None) -> Iterator[Path]:
        planned = Places(self.question.root, self._places.owners.copy())
        for one in self._open() if self._own_formats else ():
            yield from paths_of_one(self.folder, planned.take(one.name, one.path), self._own_formats)
        added = [name for name in self.question.formats if old is not None and name not in old.formats]
        yield from (self.folder / TABLES[name] for name in added if name in TABLES)
        own = [name for name in added if name not in TABLES]
        for record in self._records if own else ():
            yield from paths_of_one(self.folder, record.files, own)

    def _remove_partials(self) -> None:
        """Remove what a killed job left half-written, only where this job writes."""
        parents = {self.folder}
        for one in self._open() if self._own_formats else ():
            parents.update((self.folder / place).parent for place in self._places.choices(one.name))
        for record in self._records if self.question.missing_formats else ():
            parents.add((self.folder / record.files).parent)
        for parent in parents:
            for left in parent.glob(f"{PARTIAL_PREFIX}*"):
                left.unlink(missing_ok=True)

    def _write_missing_formats(self) -> None:
        """Write the formats that are new for what is settled too; a kill in the middle is made good next time."""
        self.question.write(self.folder)
        missing = [name for name in self.question.missing_formats if name not in TABLES]
        for record in self._records if missing else ():
            write_one(self.folder, record.files, missing, record.calls, record.recording, record.sample_rate)
        if self.question.missing_formats:
            self.question = replace(self.question, missing_formats=())
            self.question.write(self.folder)


def _entry(one: Waiting, outcome: Outcome, files: str) -> Entry:
    return Entry(
        one.name, outcome.status, outcome.reason, outcome.duration_s, len(outcome.calls), outcome.seconds_used,
        one.path, files if outcome.status in SETTLED else "", outcome.began, outcome.recorder,
    )  # fmt: skip
