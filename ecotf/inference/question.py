"""The question of a job: which runs listen, and how. An output folder answers one question, kept as ``job.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import ecotf
from ecotf.audio.channels import ChannelChoice
from ecotf.errors import ConfigError
from ecotf.files import atomic_file
from ecotf.runs.checksum import run_checksum
from ecotf.tasks.base import Run

NAME = "job.json"


@dataclass(frozen=True)
class ClassifierOptions:
    """The settings of a classification that a user may choose.

    Attributes
    ----------
    formats
        Names of :data:`~ecotf.inference.writers.WRITERS`, and ``submission``.
    time_expansion
        Stated by the user; None takes what the recording's metadata say, or real time.
    channel
        ``mix``, ``each`` or a channel's number, counted from 1.
    threshold
        One threshold for everything instead of the run's own.
    unnamed
        Keep calls that no species is named for, as ``bat``.
    gate
        Pass over what does not reach the run's gate.
    time_zone
        Of recordings whose time comes without a zone, as ``Europe/Brussels``.
    salvage
        Use the beginning of recordings that are cut off.
    """

    formats: tuple[str, ...] = ("csv",)
    time_expansion: float | None = None
    channel: ChannelChoice | Literal["each"] = "mix"
    threshold: float | None = None
    unnamed: bool = True
    gate: bool = False
    time_zone: str | None = None
    salvage: bool = False


@dataclass(frozen=True)
class Question:
    """The question of a job, and how far its formats are written.

    Attributes
    ----------
    version
        Of ecotf.
    runs
        The checksum of each run, by its folder.
    answers
        What the runs are together: recipes, and of several how much each counts.
    root
        The folder that the first recordings lay in; files of one recording mirror what is below it.
    missing_formats
        Formats that settled recordings may still lack, because a job that adds them was interrupted.
    replacing
        Whether an older job in the folder is being removed.
    """

    version: str
    runs: dict[str, str]
    answers: str
    options: dict[str, Any]
    formats: tuple[str, ...]
    root: str
    missing_formats: tuple[str, ...] = ()
    replacing: bool = False

    @classmethod
    def of(cls, run: Run, options: ClassifierOptions, root: str) -> Question:
        """Make the question from the options of a command line."""
        asked = asdict(options)
        formats = tuple(dict.fromkeys(asked.pop("formats")))
        runs = {str(path): run_checksum(path) for path in run.paths}
        return cls(ecotf.__version__, runs, run.title, asked, formats, root)

    @classmethod
    def read(cls, folder: Path) -> Question:
        """Read the question of the job in ``folder``; raises `ConfigError` where it cannot be read."""
        path = folder / NAME
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return replace(
                cls(**values), formats=tuple(values["formats"]), missing_formats=tuple(values["missing_formats"])
            )
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
        except (ValueError, TypeError, KeyError):
            raise ConfigError(f"{path}: damaged; give another --output, or --overwrite") from None

    def write(self, folder: Path) -> None:
        """Keep the question in ``folder``."""
        with atomic_file(folder / NAME) as partial:
            partial.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def require_same(self, new: Question, folder: Path) -> None:
        """Refuse another question; raises `ConfigError` that names both values of all that differs."""
        found = _differences(self, new)
        if found:
            raise ConfigError(
                f"{folder} holds the job of another question: {'; '.join(found)}; ask the same, give another "
                "--output, or --overwrite"
            )

    def joined(self, new: Question) -> Question:
        """Add the formats of a new question to this one; they are missing until they are written."""
        added = [name for name in new.formats if name not in self.formats]
        missing = dict.fromkeys([*self.missing_formats, *added])
        return replace(
            self, formats=(*self.formats, *added), missing_formats=tuple(missing), runs=new.runs, options=new.options
        )


def _differences(old: Question, new: Question) -> list[str]:
    found = []
    if sorted(old.runs.values()) != sorted(new.runs.values()) or old.answers != new.answers:
        found.append(f"the model is {_runs(old)} in this folder's job, {_runs(new)} now")
    for key in sorted(old.options.keys() | new.options.keys()):
        before, now = old.options.get(key), new.options.get(key)
        # What is whole is read alike with and without --salvage, and what is not is looked at again.
        if before != now and not (key == "salvage" and now):
            found.append(f"{key.replace('_', ' ')} is {_shown(before)} in this folder's job, {_shown(now)} now")
    if old.version != new.version:
        found.append(f"the version of ecotf is {old.version} in this folder's job, {new.version} now")
    return found


def _runs(question: Question) -> str:
    runs: Mapping[str, str] = question.runs
    return f"{question.answers} (" + ", ".join(f"{path}, checksum {sum[:8]}" for path, sum in runs.items()) + ")"


def _shown(value: object) -> str:
    names: Sequence[tuple[object, str]] = ((None, "not stated"), (True, "on"), (False, "off"))
    return next(
        (name for known, name in names if value is known), f"{value:g}" if isinstance(value, float) else str(value)
    )


def asked_in(folder: Path) -> dict[str, Any]:
    """Return what the job of a folder was asked, such as ``channel``; empty where the folder has no `NAME`.

    Raises
    ------
    ConfigError
        The file is damaged.
    """
    return Question.read(folder).options if (folder / NAME).exists() else {}
