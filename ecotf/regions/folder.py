"""The output folder of a job that cuts regions: its question, its ledger, its records, and the clips."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ecotf
from ecotf.append_only import AppendOnly
from ecotf.errors import ConfigError
from ecotf.files import explain_write_errors, remove_partials
from ecotf.inference import ledger, question
from ecotf.inference.held_folder import HeldFolder
from ecotf.inference.ledger import SETTLED, Entry, Ledger
from ecotf.inference.outcome import Outcome, Waiting
from ecotf.inference.question import Question
from ecotf.regions.config import RoiConfig
from ecotf.regions.cut import Region
from ecotf.regions.sheet import NAME as SHEET

CLIPS, RECORDS, MANIFEST, FEATURES = "clips", "regions.jsonl", "manifest.csv", "features.csv"
_HEADER = b'{"ecotf": "regions of interest, one recording a line", "format": 1}\n'
# In the order in which they are removed: what is left after a kill is a job that can be continued or replaced.
_FILES = (SHEET, MANIFEST, FEATURES, ledger.NAME, RECORDS, question.NAME)


class CutRecord(NamedTuple):
    """One recording that was cut.

    Attributes
    ----------
    recording, path
        As in the ledger.
    size, changed_ns
        Of its file, and when it was changed.
    group, split
        Of the manifest; the group of all its clips.
    folder
        Of its clips, below the output folder.
    """

    recording: str
    path: str
    size: int
    changed_ns: int
    status: str
    reason: str
    duration_s: float
    group: str
    split: str
    folder: str
    time_expansion: float | None
    regions: list[Region]


class CutFolder(HeldFolder):
    """A folder that holds one job, locked while it is open.

    A recording is settled in three steps: the folder of its clips appears, its record is appended to
    ``regions.jsonl``, its row to ``ledger.csv``. What a kill leaves undone is done again, or made good.

    Parameters
    ----------
    folder
        Made if absent.
    asked
        What the job is asked, by its name for people.

    Attributes
    ----------
    settled
        How many of the recordings an earlier job has settled, by their status.

    Raises
    ------
    ConfigError
        The folder is used already, holds another job, or another job is writing to it.
    """

    def __init__(self, folder: Path, asked: dict[str, Any], resume: bool, overwrite: bool) -> None:
        super().__init__(folder, question.NAME)
        try:
            now = Question(ecotf.__version__, {}, "regions of interest", asked, ("wav",), "")
            self._open(now, resume, overwrite)
            remove_partials(folder)
            self._ledger = Ledger(folder / ledger.NAME)
            self._file = AppendOnly(folder / RECORDS, _HEADER)
            if self._file.header() != _HEADER:
                raise ConfigError(f"{folder / RECORDS}: of another version; give another --output, or --overwrite")
            self._owners = {record.folder: record.path for record in self.records()}
        except BaseException:
            self.close()
            raise

    def records(self) -> Iterator[CutRecord]:
        """Yield all records in the order in which they were made; a later one of the same path counts."""
        for line, row in enumerate(self._file.rows(), start=2):
            try:
                values = json.loads(row)
                yield CutRecord(**{**values, "regions": [Region(*region) for region in values["regions"]]})
            except (ValueError, TypeError, KeyError):
                raise ConfigError(
                    f"{self.folder / RECORDS}: line {line} is damaged, or another program changed it"
                ) from None

    def look_up(self, wanted: Sequence[Waiting]) -> list[Waiting]:
        """Find out which recordings are still to be cut; those whose files have changed are."""
        asked = {one.path: one for one in wanted}
        counts: dict[str, int] = {}
        last: dict[str, CutRecord] = {}
        for record in self.records():
            counts[record.path], last[record.path] = len(record.regions), record._replace(regions=[])
        found = self._ledger.look_up([*asked, *last], (), ())
        in_ledger = {row.path: row.status for row in found.rows}
        for path, record in last.items():
            if path not in in_ledger:  # a kill came between the record and its row
                outcome = Outcome(record.status, record.reason, record.duration_s)  # type: ignore[arg-type]
                self._note(record, outcome, counts[path])
                in_ledger[path] = record.status  # type: ignore[assignment]
        good = {
            path for path, record in last.items() if path in asked and in_ledger[path] in SETTLED and _unchanged(record)
        }
        again = {path for path in in_ledger if path in asked} - good
        if again:
            self._ledger.forget(again)
        for path in good:
            self.settled[in_ledger[path]] += 1
        return [one for path, one in asked.items() if path not in good]

    def place(self, one: Waiting, label: str) -> str:
        """Return the folder of a recording's clips, below the output folder: one level for each species."""
        species = _name(label) or "unnamed"
        stem = _name(Path(one.name).stem) or "recording"
        digest = hashlib.blake2b(one.path.encode(), digest_size=4).hexdigest()
        for place in (f"{CLIPS}/{species}/{stem}", f"{CLIPS}/{species}/{stem}~{digest}"):
            if self._owners.setdefault(place, one.path) == one.path:
                return place
        raise AssertionError("two real paths with one digest")

    def settle(self, one: Waiting, record: CutRecord, outcome: Outcome) -> None:
        """Write the result of a recording; its clips are on the disk."""
        if outcome.status in SETTLED:
            values = record._asdict()
            self._file.append(json.dumps(values, allow_nan=False).encode("ascii") + b"\n")
        self._note(record, outcome, len(record.regions))

    def _open(self, now: Question, resume: bool, overwrite: bool) -> None:
        """Begin a job, or make sure that the one in the folder is asked the same."""
        present = [name for name in (*_FILES, CLIPS) if (self.folder / name).exists()]
        if present and question.NAME not in present:
            raise ConfigError(f"{self.folder} holds {present[0]} and no {question.NAME}; give another --output")
        if question.NAME in present:
            old = Question.read(self.folder)
            if old.answers != now.answers:
                raise ConfigError(f"{self.folder} holds another kind of job; give another --output")
            if not resume and not overwrite:
                raise ConfigError(f"{self.folder} holds a job already: --resume continues it, --overwrite replaces it")
            if resume:
                old.require_same(now, self.folder)
                return
            shutil.rmtree(self.folder / CLIPS, ignore_errors=True)
            for name in _FILES[:-1]:
                with explain_write_errors(self.folder / name):
                    (self.folder / name).unlink(missing_ok=True)
        now.write(self.folder)

    def _note(self, record: CutRecord, outcome: Outcome, count: int) -> None:
        self._ledger.add(
            Entry(
                record.recording,
                outcome.status,
                outcome.reason,
                outcome.duration_s,
                count,
                outcome.seconds_used,
                record.path,
                record.folder if count else "",
            )
        )


def asked_of(config: RoiConfig, others: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that a job must keep to be continued: all but those that only sort what is cut."""
    asked: dict[str, Any] = {}
    for key, value in config.model_dump(mode="json", exclude=set(config.sorting)).items():
        if isinstance(value, dict):
            asked |= {f"{key}.{name}": inner for name, inner in value.items()}
        else:
            asked[key] = value
    return asked | others


def _unchanged(record: CutRecord) -> bool:
    try:
        found = os.stat(record.path)
    except (OSError, ValueError):
        return False
    return (found.st_size, found.st_mtime_ns) == (record.size, record.changed_ns)


def _name(text: str) -> str:
    """Make a name of a folder of some text, short enough for the names of clips inside."""
    plain = "".join("_" if ord(letter) < 32 or letter in "/\\" else letter for letter in text)
    return plain.encode("utf-8", "replace")[:120].decode("utf-8", "ignore").strip(". ")
