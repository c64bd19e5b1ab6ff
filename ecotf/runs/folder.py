"""The run folder: everything one training made, written whole, resumed after a kill, read by inference and export."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from ecotf.errors import ConfigError
from ecotf.files import atomic_file, atomic_folder, explain_write_errors, lock, remove_partials, unlock
from ecotf.plain import plain
from ecotf.runs.progress import PROGRESS, new_progress, read_progress

if TYPE_CHECKING:
    import pandas as pd

_LOCK = ".lock"
_RECIPE_NAME = re.compile(r"[\w.+-]+(/[\w.+-]+)*")


class RunFolder:
    """One run, ``runs/<recipe name>/<timestamp>/``.

    Make one with :meth:`create`, :meth:`resume`, :meth:`open` or :meth:`latest`. The first two hold a lock until
    :meth:`finish`, :meth:`close` or the end of the process, however it ends; the others only read a complete run.

    Every write is whole or absent: a kill or a full disk leaves the older file, or none.

    Attributes
    ----------
    save_every_s
        The state of a fit is written at most so often, in seconds.
    """

    save_every_s = 15.0

    def __init__(self, path: Path, progress: dict[str, Any], held: IO[str] | None = None) -> None:
        self.path = path
        self._progress = progress
        self._held = held

    @classmethod
    def create(
        cls, root: str | Path, recipe_name: str, now: datetime | None = None, steps: Sequence[str] = ()
    ) -> RunFolder:
        """Make a new, locked run folder; a second run in the same second gets ``_2`` after its name.

        Parameters
        ----------
        root
            The folder of all runs, usually ``runs``.
        recipe_name
            As ``bats/field``; a slash makes a sub-folder.
        now
            Local time for the folder's name; the present if left out.
        steps
            Names of all steps that make the run complete, so that a half-written run can say what it lacks.
        """
        now = now or datetime.now()
        parent = _recipe_folder(Path(root), recipe_name)
        stamp, twin = now.strftime("%Y-%m-%d_%H-%M-%S"), 1
        path = parent / stamp
        with explain_write_errors(path):
            parent.mkdir(parents=True, exist_ok=True)
            while True:
                try:
                    path.mkdir()
                    break
                except FileExistsError:
                    twin += 1
                    path = parent / f"{stamp}_{twin}"
        run = cls(path, new_progress(recipe_name, steps), _lock(path))
        try:
            run._save_progress()
        except BaseException:
            run.close()
            path.rmdir()
            raise
        return run

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Read a complete run.

        Raises
        ------
        ConfigError
            No such folder, not a run, a training that stopped half-way (says what is missing and how to resume), or
            a copy that lacks files.
        """
        path = Path(path)
        progress = read_progress(path)
        if not progress["complete"]:
            lacking = [step for step in progress["steps"] if step not in progress["done"]]
            what = f"not done yet: {', '.join(lacking)}" if lacking else "its training did not finish"
            raise ConfigError(f"{path}: the run is half written ({what}); resume with --resume {path}")
        absent = [name for name in progress["files"] if not (path / name).exists()]
        if absent:
            more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            raise ConfigError(f"{path}: the run lacks {absent[0]}{more}; copy the whole folder again, or train again")
        return cls(path, progress)

    @classmethod
    def resume(cls, path: str | Path) -> RunFolder:
        """Go on with a half-written run: locked, and cleared of what a killed writer left.

        Raises
        ------
        ConfigError
            Not a run, complete already, or another process is training in it.
        """
        path = Path(path)
        read_progress(path)
        held = _lock(path)
        try:
            progress = read_progress(path)  # again: the other process may have finished it meanwhile
            if progress["complete"]:
                raise ConfigError(f"{path}: the run is complete, there is nothing to resume")
            remove_partials(path)
        except BaseException:
            unlock(held)
            raise
        return cls(path, progress, held)

    @classmethod
    def latest(cls, root: str | Path, recipe_name: str, *, unfinished: bool = False) -> RunFolder:
        """Open the newest complete run of a recipe, or resume the newest half-written one (``unfinished=True``)."""
        parent = _recipe_folder(Path(root), recipe_name)
        newest: tuple[str, int, str] | None = None
        for found in parent.glob(f"*/{PROGRESS}"):
            progress = read_progress(found.parent)
            if progress["complete"] != unfinished:
                key = (progress["started"], len(found.parent.name), found.parent.name)
                newest = key if newest is None else max(newest, key)
        if newest is None:
            kind = "half-written" if unfinished else "complete"
            raise ConfigError(f"{root}: there is no {kind} run of {recipe_name!r}")
        return cls.resume(parent / newest[2]) if unfinished else cls.open(parent / newest[2])

    @property
    def recipe_name(self) -> str:
        """The recipe that the run was made with."""
        return self._progress["recipe"]

    @property
    def started(self) -> str:
        """Time at which the run was created, ISO 8601 in UTC."""
        return self._progress["started"]

    @property
    def steps(self) -> list[str]:
        """The names of all steps that make the run complete."""
        return list(self._progress["steps"])

    @property
    def complete(self) -> bool:
        """Whether :meth:`finish` was reached."""
        return self._progress["complete"]

    def writing(self, name: str, *, folder: bool = False) -> AbstractContextManager[Path]:
        """Yield a temporary path that becomes ``name`` when the block succeeds; with ``folder``, an empty folder.

        Raises
        ------
        EcotfError
            The disk is full; nothing is left of the attempt.
        """
        path = self._inside(name)
        return atomic_folder(path) if folder else atomic_file(path)

    def write_text(self, name: str, text: str) -> None:
        """Write UTF-8 text."""
        with self.writing(name) as partial:
            partial.write_text(text, encoding="utf-8")

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write bytes."""
        with self.writing(name) as partial:
            partial.write_bytes(content)

    def write_json(self, name: str, value: Any) -> None:
        """Write JSON; numpy values, paths, dates and dataclasses become plain ones, NaN and infinity become null."""
        self.write_text(name, json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Write a table without its index, as CSV or Parquet by the ending of ``name``."""
        is_csv = _is_csv(name)
        with self.writing(name) as partial:
            if is_csv:
                table.to_csv(partial, index=False)
            else:
                table.to_parquet(partial, index=False)

    def read_text(self, name: str) -> str:
        """Read UTF-8 text."""
        return self.file(name).read_text(encoding="utf-8")

    def read_json(self, name: str) -> Any:
        """Read JSON."""
        try:
            return json.loads(self.read_text(name))
        except ValueError as error:
            raise ConfigError(f"{self.path / name}: not valid JSON ({error})") from None

    def read_table(self, name: str) -> pd.DataFrame:
        """Read a table written by :meth:`write_table`; empty CSV cells are NaN in number columns, "" in text ones."""

        import pandas as pd

        path = self.file(name)
        if not _is_csv(name):
            return pd.read_parquet(path)
        # A label may be called "NA", so only truly empty cells count as missing, and never in text.
        table = pd.read_csv(path, keep_default_na=False, na_values=[""], float_precision="round_trip")
        text = [column for column in table if not pd.api.types.is_numeric_dtype(table[column])]
        return table.fillna({column: "" for column in text})

    def has(self, name: str) -> bool:
        """Return whether the run has this file or folder."""
        return self._inside(name).exists()

    def file(self, name: str) -> Path:
        """Return the path of a file or folder that must be there; ConfigError if it is not."""
        path = self._inside(name)
        if not path.exists():
            raise ConfigError(f"{self.path}: the run has no {name}")
        return path

    def step_done(self, name: str) -> bool:
        """Return whether this step was marked done, in this process or in the one that was killed."""
        return name in self._progress["done"]

    def mark_done(self, name: str, **facts: Any) -> None:
        """Note in ``progress.json`` that a step is done, with facts that a resumed training needs."""
        self._progress["done"][name] = {**plain(facts), "at": datetime.now(UTC).isoformat()}
        self._save_progress()

    def step_facts(self, name: str) -> dict[str, Any]:
        """Return the facts noted with :meth:`mark_done`; empty if the step is not done."""
        return dict(self._progress["done"].get(name, {}))

    def finish(self) -> None:
        """Mark the run complete, list its files, and give the lock back."""
        self._progress["files"] = sorted(
            str(PurePosixPath(entry.relative_to(self.path)))
            for entry in self.path.rglob("*")
            if entry.is_file() and entry.name not in (_LOCK, PROGRESS)
        )
        self._progress["finished"] = datetime.now(UTC).isoformat()
        self._progress["complete"] = True
        self._save_progress()
        self.close()

    def close(self) -> None:
        """Give the lock back without finishing."""
        if self._held is not None:
            unlock(self._held)
            self._held = None

    def _save_progress(self) -> None:
        self.write_json(PROGRESS, self._progress)

    def _inside(self, name: str) -> Path:
        parts = PurePosixPath(name).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise ValueError(f"{name!r} is not a name inside a run folder")
        return self.path.joinpath(*parts)


def _recipe_folder(root: Path, recipe_name: str) -> Path:
    if not _RECIPE_NAME.fullmatch(recipe_name) or {".", ".."}.intersection(recipe_name.split("/")):
        raise ConfigError(
            f"recipe name {recipe_name!r} cannot name a folder; allowed are letters, digits, '_', '.', '+', '-' and, "
            "between parts, '/'"
        )
    return root.joinpath(*recipe_name.split("/"))


def _lock(path: Path) -> IO[str]:
    return lock(path / _LOCK, f"{path}: another training is using this run (process {{pid}}); stop it or wait for it")


def _is_csv(name: str) -> bool:
    ending = PurePosixPath(name).suffix
    if ending not in (".csv", ".parquet"):
        raise ValueError(f"table {name!r}: the ending must be .csv or .parquet")
    return ending == ".csv"
