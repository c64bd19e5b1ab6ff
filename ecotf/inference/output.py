"""The output folder of a job: its question, its ledger, what was found, and the files made of that."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ecotf.audio.beginning import time_zone_of
from ecotf.audio.discover import shown_name
from ecotf.audio.provenance import read_provenance
from ecotf.errors import ConfigError, DiskFullError, RecordingStatus
from ecotf.files import PARTIAL_PREFIX, explain_write_errors
from ecotf.inference import ledger, question, records
from ecotf.inference.formats import Call
from ecotf.inference.held_folder import HeldFolder
from ecotf.inference.ledger import SETTLED, Entry, Ledger
from ecotf.inference.places import Places
from ecotf.inference.question import Question
from ecotf.inference.records import Record, Records
from ecotf.inference.submission import FILE as SUBMISSION_FILE
from ecotf.inference.submission import NAME as SUBMISSION
from ecotf.inference.submission import check_stems, write_submission
from ecotf.inference.tables import Row
from ecotf.inference.writers import WRITERS, WholeJob, paths_of_one, write_one, write_whole_job

_OF_A_JOB = (question.NAME, ledger.NAME, records.NAME)
_TABLES = {name: writer.file_name for name, writer in WRITERS.items() if isinstance(writer, WholeJob)}
_TABLES[SUBMISSION] = SUBMISSION_FILE


class Outcome(NamedTuple):
    """The result of one recording, before it is written down; ``began`` and ``recorder`` are of its ledger row."""

    status: RecordingStatus
    reason: str = ""
    duration_s: float = float("nan")
    seconds_used: float = 0.0
    sample_rate: int = 0
    calls: Sequence[Call] = ()
    segments: list[list[float]] | None = None
    began: str = ""
    recorder: str = ""


class Waiting(NamedTuple):
    """A recording that is to be listened to.

    Attributes
    ----------
    file
        Its path, as given by the user.
    name, path
        What stands for it in every table, and its real path, both in letters that every program reads.
    """

    file: str
    name: str
    path: str

    @classmethod
    def of(cls, file: str) -> Waiting:
        """Look up the real path."""
        return cls(file, shown_name(file), shown_name(os.path.realpath(file)))


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
        Paths as given by the user; a file that is given twice is taken once.
    resume
        Go on with the job in the folder, if there is one.
    overwrite
        Remove the job in the folder, with all files that it wrote.

    Attributes
    ----------
    waiting
        The recordings that are not settled.
    settled
        How many of the recordings an earlier job has settled, by their status.

    Raises
    ------
    ConfigError
        The folder is used already, holds another question, or another job is writing to it.
    EcotfError
        The disk is full, or the folder cannot be written to.
    """

    def __init__(
        self, folder: Path, asked: Question, recordings: Sequence[str], resume: bool = False, overwrite: bool = False
    ) -> None:
        self.question = asked
        super().__init__(folder, question.NAME)
        old: Question | None = None
        is_new = False
        try:
            if overwrite:
                self._remove_older()
            old = self._older_job(resume)
            is_new = old is None
            if old is not None:
                self.question = old.joined(asked)
            else:
                asked.write(folder)
            self._ledger, self._records = Ledger(folder / ledger.NAME), Records(folder / records.NAME)
            self._look_up([Waiting.of(file) for file in recordings])
            if not overwrite:
                self._refuse_strange_files(old)
            if SUBMISSION in self.question.formats:
                check_stems([*(one.name for one in self.waiting), *(record.recording for record in self._records)])
            if resume:
                self._remove_partials()
            self._write_missing_formats()
        except BaseException:
            for name in _OF_A_JOB if is_new else ():  # nothing was done yet
                (folder / name).unlink(missing_ok=True)
            self.close()
            raise

    def settle(self, one: Waiting, outcome: Outcome) -> Outcome:
        """Write the result of a recording; returns it, ``failed`` where its own files cannot be written."""
        files, outcome = "", outcome._replace(reason=_readable(outcome.reason))
        if outcome.status in SETTLED:
            files = self._places.take(one.name, one.path)
            record = Record(
                one.name, one.path, files, outcome.status, outcome.reason, outcome.duration_s, outcome.seconds_used,
                outcome.sample_rate, list(outcome.calls), outcome.segments,
            )  # fmt: skip
            self._records.add(record)
            outcome = self._write_files(record, outcome)
        self._note(one.name, one.path, files, outcome)
        return outcome

    def finish(self, classes: Sequence[str], segment_s: float | None) -> dict[str, tuple[int, int, float]]:
        """Write the tables of all recordings; returns detections, recordings and highest score by label."""
        formats = self.question.formats
        write_whole_job(
            self.folder, [name for name in formats if name != SUBMISSION], self._rows, Path(self.question.root)
        )
        if SUBMISSION in formats and segment_s is not None:
            write_submission(self.folder, classes, segment_s, self._records)
        found: dict[str, tuple[int, int, float]] = {}
        for record in self._records:
            for label in {call.label for call in record.calls}:
                scores = [call.score for call in record.calls if call.label == label]
                detections, recordings, highest = found.get(label, (0, 0, 0.0))
                found[label] = (detections + len(scores), recordings + 1, max(highest, *scores))
        return found

    def _rows(self) -> Iterator[Row]:
        return ((record.recording, call) for record in self._records for call in record.calls)

    def _older_job(self, resume: bool) -> Question | None:
        """Read the question of the job to continue; None for a new job."""
        present = [name for name in (*_OF_A_JOB, *_TABLES.values()) if (self.folder / name).exists()]
        if not present:
            return None
        if question.NAME not in present:
            raise ConfigError(
                f"{self.folder} holds {present[0]} and no {question.NAME}: it is not of a job that can be continued; "
                "give another --output, or --overwrite"
            )
        if not resume:
            raise ConfigError(f"{self.folder} holds a job already: --resume continues it, --overwrite replaces it")
        old = Question.read(self.folder)
        if old.replacing:
            self._remove_older()
            return None
        old.require_same(self.question, self.folder)
        if SUBMISSION in self.question.formats and SUBMISSION not in old.formats:
            raise ConfigError(
                f"format {SUBMISSION} cannot be added to the job in {self.folder}, which did not keep the scores of "
                "segments; give another --output, or --overwrite"
            )
        return old

    def _remove_older(self) -> None:
        """Remove an older job; a kill in the middle leaves a note that it is to be removed."""
        try:
            older = Question.read(self.folder)
            replace(older, replacing=True).write(self.folder)
            if (self.folder / records.NAME).exists():
                for record in Records(self.folder / records.NAME):
                    for path in paths_of_one(self.folder, record.files, older.formats):
                        path.unlink(missing_ok=True)
        except ConfigError:
            pass  # damaged, or none; what is known by name goes
        for name in (*_TABLES.values(), ledger.NAME, records.NAME, question.NAME):
            with explain_write_errors(self.folder / name):
                (self.folder / name).unlink(missing_ok=True)

    def _look_up(self, asked: Sequence[Waiting]) -> None:
        """Find out what an earlier job has settled, and do what a kill left undone."""
        wanted = {one.path: one for one in reversed(asked)}  # the first of several names of a file stays
        names = {one.name: one.path for one in wanted.values()}
        places = Places(self.question.root)
        choices = [place for name in (*names, *wanted) for place in places.choices(name)]
        unfinished = self._records.last() if len(self._records) else None
        paths = wanted.keys() | ({unfinished.path} if unfinished else set())
        found = self._ledger.look_up(paths, names, choices)
        done = [row for row in found.rows if row.status in SETTLED]
        settled = {row.path for row in done}
        self._places = Places(self.question.root, {row.files: row.path for row in done})
        again = {row.path for row in found.rows if row.status not in SETTLED and row.path in wanted}
        if again:
            self._ledger.forget(again)
        more = len(self._records) - sum(found.counts[status] for status in SETTLED)
        if more == 1 and unfinished is not None and unfinished.path not in settled:
            if self._finish_last(unfinished) in SETTLED:
                settled.add(unfinished.path)
        elif more != 0:
            raise ConfigError(
                f"{self.folder}: {ledger.NAME} and {records.NAME} do not hold the same recordings, another program "
                "changed one of them; give another --output, or --overwrite"
            )
        for row in done:
            self.settled[row.status] += row.path in wanted
        others = {row.recording for row in found.rows if names.get(row.recording, row.path) != row.path}
        self.waiting = [
            one._replace(name=one.path) if one.name in others else one
            for one in dict.fromkeys(wanted[one.path] for one in asked)
            if one.path not in settled
        ]

    def _finish_last(self, record: Record) -> RecordingStatus:
        """Do for the last record what a kill prevented; returns its status."""
        self._places.take(record.recording, record.path)
        outcome = self._write_files(
            record, Outcome(record.status, record.reason, record.duration_s, record.seconds_used, calls=record.calls)
        )
        stated = self.question.options.get("time_zone")
        origin = read_provenance(record.path, None if stated is None else time_zone_of(stated))
        self._note(
            record.recording, record.path, record.files, outcome._replace(began=origin.time, recorder=origin.recorder)
        )
        self.settled[outcome.status] += outcome.status in SETTLED
        return outcome.status

    def _write_files(self, record: Record, outcome: Outcome) -> Outcome:
        """Write the files of one recording; where that fails, its record is taken back and it is ``failed``."""
        paths = [p for p in paths_of_one(self.folder, record.files, self._own_formats) if not os.path.lexists(p)]
        try:
            write_one(self.folder, record.files, self._own_formats, record.calls, record.recording, record.sample_rate)
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

    def _note(self, name: str, path: str, files: str, outcome: Outcome) -> None:
        files = files if outcome.status in SETTLED else ""
        found = len(outcome.calls)
        self._ledger.add(
            Entry(
                name,
                outcome.status,
                outcome.reason,
                outcome.duration_s,
                found,
                outcome.seconds_used,
                path,
                files,
                outcome.began,
                outcome.recorder,
            )
        )

    @property
    def _own_formats(self) -> list[str]:
        """Formats with a file for each recording."""
        return [name for name in self.question.formats if name not in _TABLES]

    def _refuse_strange_files(self, old: Question | None) -> None:
        """Refuse to write over files that no job here has written; raises `ConfigError`."""
        planned = Places(self.question.root, self._places.owners)
        paths = [
            path
            for one in self.waiting
            for path in paths_of_one(self.folder, planned.take(one.name, one.path), self._own_formats)
        ]
        added = [name for name in self.question.formats if old is not None and name not in old.formats]
        paths += [self.folder / _TABLES[name] for name in added if name in _TABLES]
        own = [name for name in added if name not in _TABLES]
        for record in self._records if own else ():
            paths += [path for path in paths_of_one(self.folder, record.files, own) if os.path.lexists(path)]
        strange = next((path for path in paths if os.path.lexists(path)), None)
        if strange is not None:
            raise ConfigError(f"{strange} is there already and not of this job; give another --output, or --overwrite")

    def _remove_partials(self) -> None:
        """Remove what a killed job left half-written, only where this job writes."""
        parents = {self.folder}
        for one in self.waiting:
            parents.update((self.folder / place).parent for place in self._places.choices(one.name))
        for record in self._records if self.question.missing_formats else ():
            parents.add((self.folder / record.files).parent)
        for parent in parents:
            for left in parent.glob(f"{PARTIAL_PREFIX}*"):
                left.unlink(missing_ok=True)

    def _write_missing_formats(self) -> None:
        """Write the formats that are new for what is settled too; a kill in the middle is made good next time."""
        self.question.write(self.folder)
        missing = [name for name in self.question.missing_formats if name not in _TABLES]
        for record in self._records if missing else ():
            write_one(self.folder, record.files, missing, record.calls, record.recording, record.sample_rate)
        if self.question.missing_formats:
            self.question = replace(self.question, missing_formats=())
            self.question.write(self.folder)


def said(error: BaseException) -> str:
    """Write one line about an error of any kind, for the ledger."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {text[:300]}" if text else name


def _readable(text: str) -> str:
    """Text in which no byte stands that is not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
