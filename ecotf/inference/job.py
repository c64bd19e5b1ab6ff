"""Classify many recordings: stream each through a run, write down what is found, and account for every file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ecotf.audio.discover import shown_name
from ecotf.detection.scoring import Stopwatch
from ecotf.errors import ConfigError, RecordingStatus
from ecotf.inference import FORMATS
from ecotf.inference.engine import Engine, EngineOptions
from ecotf.inference.listen import Listener
from ecotf.inference.output import Outcome, OutputFolder
from ecotf.inference.places import common_folder
from ecotf.inference.question import ClassifierOptions, Question
from ecotf.inference.run_source import Source
from ecotf.inference.submission import NAME as SUBMISSION
from ecotf.tasks.base import Run

__all__ = ["ClassifierOptions", "JobResult", "classify"]

Report = Callable[[str, Outcome], None]
"""A function that takes each recording and its result, when it is finished."""


class Species(NamedTuple):
    """The detections of one label, in all recordings of the output folder."""

    label: str
    detections: int
    recordings: int
    highest: float


@dataclass(frozen=True)
class JobResult:
    """The result of a job.

    Attributes
    ----------
    counts
        Number of recordings of each status, with those that an earlier job finished.
    species
        Detections in the whole output folder by label, the most frequent label first.
    formats
        All formats of the output folder.
    spent
        Seconds in the networks and the trees, and the patches that the gate skipped.
    """

    counts: dict[RecordingStatus, int]
    species: list[Species] = field(repr=False)
    formats: tuple[str, ...]
    spent: Stopwatch


def classify(
    run: Run,
    recordings: Sequence[str | Path],
    output: str | Path,
    options: ClassifierOptions | None = None,
    resume: bool = False,
    overwrite: bool = False,
    report: Report | None = None,
    engine: EngineOptions | None = None,
    source: Source | None = None,
) -> JobResult:
    """Classify recordings and write detections and the ledger into a folder.

    An error inside one recording is noted in the ledger with the reason; the others continue. A full disk ends the
    job, and so does Ctrl-C; what was finished is kept.

    Parameters
    ----------
    run
        A trained model.
    recordings
        Sound files.
    output
        A folder for this job alone.
    options
        The settings; by default the run's own thresholds and a CSV table.
    resume
        Continue the job in ``output``. Finished recordings are kept and not done again. New recordings are added, and
        new formats are written for all of them.
    overwrite
        Replace the job in ``output``.
    report
        Takes each recording and its result.
    engine
        Where they are heard: here, in worker processes, or on a Spark. The rows are the same.
    source
        Where workers load ``run`` from.

    Raises
    ------
    ConfigError
        The run cannot do what is asked, or ``output`` holds another job.
    DiskFullError
        The disk is full.
    """
    options = options or ClassifierOptions()
    names = [str(recording) for recording in recordings]
    check_options(options, resume, overwrite)
    if SUBMISSION in options.formats and run.segment_s is None:
        raise ConfigError(f"format {SUBMISSION}: it holds the scores of segments; {run.title} gives none")
    Listener(run, options)  # refuses what the run cannot do
    question = Question.of(run, options, shown_name(common_folder(names)))
    with OutputFolder(Path(output), question, names, resume, overwrite) as folder:
        hearing = Engine(run, source, options, SUBMISSION in folder.question.formats, engine)
        counts = dict(folder.settled)
        for one, outcome in hearing.outcomes(folder.waiting):
            outcome = folder.settle(one, outcome)
            counts[outcome.status] += 1
            if report is not None:
                report(one.name, outcome)
        found = folder.finish(run.classes, run.segment_s)
        species = [Species(label, *numbers) for label, numbers in found.items()]
        species.sort(key=lambda one: (-one.detections, one.label))
        return JobResult(counts, species, folder.question.formats, hearing.spent)


def check_options(options: ClassifierOptions, resume: bool, overwrite: bool) -> None:
    """Raise `ConfigError` for what no run could do."""
    if resume and overwrite:
        raise ConfigError("--resume continues a job and --overwrite replaces it: choose one")
    known = ", ".join(FORMATS)
    if not options.formats:
        raise ConfigError(f"no output format is given; known formats: {known}")
    for name in options.formats:
        if name not in FORMATS:
            raise ConfigError(f"output format {name!r} is unknown; known formats: {known}")
