"""The output folder of a job that embeds: its question, its ledger, its records, and the shards and table of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import ecotf
from ecotf.embeddings import records
from ecotf.embeddings.records import Embedded, EmbeddedRecords
from ecotf.embeddings.shards import FOLDER as SHARDS
from ecotf.embeddings.shards import ShardWriter
from ecotf.embeddings.store import ABOUT, TABLE, About, write_table
from ecotf.errors import ConfigError
from ecotf.files import explain_write_errors
from ecotf.inference import ledger, question
from ecotf.inference.held_folder import HeldFolder
from ecotf.inference.ledger import SETTLED, Entry, Ledger
from ecotf.inference.outcome import Outcome, Waiting
from ecotf.inference.question import Question
from ecotf.models.embedders import Embedder

# In the order in which they are removed: what is left after a kill is a job that can be continued or replaced.
_FILES = (TABLE, ledger.NAME, records.NAME, ABOUT, question.NAME)


class EmbeddingFolder(HeldFolder):
    """A folder that holds one job, locked while it is open.

    A recording is settled in three steps: its rows are appended to the shards, its record to ``embedded.jsonl``, its
    row to ``ledger.csv``. Rows without a record are cut off at the next opening, and a row of the ledger that a kill
    prevented is made good. The table is written from the records when a job ends.

    Parameters
    ----------
    folder
        Made if absent.
    asked
        What the job is asked, by its name for people.
    labelled
        Whether the annotations of a manifest are embedded.

    Attributes
    ----------
    shards
        The rows, to be appended to.
    settled
        How many of the recordings an earlier job has settled, by their status.

    Raises
    ------
    ConfigError
        The folder is used already, holds another job, or another job is writing to it.
    """

    def __init__(
        self, folder: Path, embedder: Embedder, asked: dict[str, object], labelled: bool, resume: bool, overwrite: bool
    ) -> None:
        self._labelled = labelled
        super().__init__(folder, question.NAME)
        try:
            model = {str(embedder.config.model): embedder.digest}
            now = Question(ecotf.__version__, model, embedder.title, asked, ("parquet",), "")
            self._open(now, resume, overwrite)
            About.of(embedder, labelled).write(folder)
            self._ledger, self._records = Ledger(folder / ledger.NAME), EmbeddedRecords(folder)
            self._known: dict[str, Embedded] = {}
            rows = 0
            for record in self._records:
                rows = max(rows, record.first + record.rows)
                self._remember(record)
            self.shards = ShardWriter(folder, embedder.numbers, rows)
        except BaseException:
            self.close()
            raise

    def look_up(self, wanted: Sequence[Waiting], settles: Callable[[Embedded], bool]) -> dict[str, Waiting]:
        """Find out which recordings are still to be embedded: by their real path, with the name to be used.

        Parameters
        ----------
        settles
            Whether a record is still that of its file.
        """
        asked = {one.path: one for one in wanted}
        names = {one.name: one.path for one in wanted}
        record_of, last = {}, None
        for last in self._records:
            if last.path in asked:
                record_of[last.path] = last
        found = self._ledger.look_up([*asked, *([last.path] if last else [])], names, ())
        done = {row.path for row in found.rows if row.status in SETTLED}
        if last is not None and last.path not in done:  # a kill came between the record and its row
            self._note(last)
            done.add(last.path)
        good = {path for path, record in record_of.items() if path in done and settles(record)}
        again = {row.path for row in found.rows if row.path in asked} - good
        if last is not None and last.path in asked and last.path not in good:
            again.add(last.path)
        if again:
            self._ledger.forget(again)
        for path in good:
            self.settled[record_of[path].status] += 1  # type: ignore[index]
        others = {row.recording for row in found.rows if names.get(row.recording, row.path) != row.path}
        return {
            path: one._replace(name=path) if one.name in others else one
            for path, one in asked.items()
            if path not in good
        }

    def known(self, sound: str) -> Embedded | None:
        """Return the record of sound with this digest, under whatever name it was embedded."""
        return self._known.get(sound)

    def settle(self, one: Waiting, outcome: Outcome, record: Embedded | None) -> None:
        """Write the result of a recording; its rows are in the shards."""
        if record is None:
            self._add(one.name, one.path, outcome, 0)
            return
        self.shards.sync()
        self._records.add(record)
        self._remember(record)
        self._add(one.name, one.path, outcome, record.rows)

    def finish(self) -> int:
        """Write the table of all recordings; returns its number of rows."""
        return write_table(self.folder, self._labelled)

    def _open(self, now: Question, resume: bool, overwrite: bool) -> None:
        """Begin a job, or make sure that the one in the folder is asked the same."""
        present = [name for name in (*_FILES, SHARDS) if (self.folder / name).exists()]
        mine = not present or ABOUT in present or present == [question.NAME]
        if not mine:
            raise ConfigError(f"{self.folder} holds {present[0]} of another kind of job; give another --output")
        if overwrite:
            self._remove_older()
        elif question.NAME in present and not resume:
            raise ConfigError(f"{self.folder} holds a job already: --resume continues it, --overwrite replaces it")
        elif question.NAME in present:
            Question.read(self.folder).require_same(now, self.folder)
        elif present:
            raise ConfigError(f"{self.folder} holds {present[0]} and no {question.NAME}; give another --output")
        now.write(self.folder)

    def _remove_older(self) -> None:
        for name in _FILES[:3]:
            with explain_write_errors(self.folder / name):
                (self.folder / name).unlink(missing_ok=True)
        shutil.rmtree(self.folder / SHARDS, ignore_errors=True)

    def _remember(self, record: Embedded) -> None:
        self._known[record.sound] = record._replace(recording="", path="")

    def _note(self, record: Embedded) -> None:
        outcome = Outcome(record.status, record.reason, record.duration_s)  # type: ignore[arg-type]
        self._add(record.recording, record.path, outcome, record.rows)

    def _add(self, name: str, path: str, outcome: Outcome, rows: int) -> None:
        self._ledger.add(
            Entry(name, outcome.status, outcome.reason, outcome.duration_s, rows, outcome.seconds_used, path)
        )
