"""Classify many recordings: stream each through a run, write down what is found, and account for every file."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ecotf.audio.discover import shown_name
from ecotf.detection.scoring import Stopwatch
from ecotf.errors import ConfigError, RecordingStatus
from ecotf.inference import FORMATS
from ecotf.inference.disks import Disks
from ecotf.inference.engine import Engine, EngineOptions
from ecotf.inference.ledger import STATUSES
from ecotf.inference.listen import Listener
from ecotf.inference.outcome import Outcome, Waiting
from ecotf.inference.output import OutputFolder
from ecotf.inference.places import common_folder
from ecotf.inference.question import ClassifierOptions, Question
from ecotf.inference.run_source import Source
from ecotf.inference.submission import NAME as SUBMISSION
from ecotf.tasks.base import Run

__all__ = ["ClassifierOptions", "JobResult", "classify"]

_LONG_S = 0.5

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
    recordings: Collection[str | Path],
    output: str | Path,
    options: ClassifierOptions | None = None,
    resume: bool = False,
    overwrite: bool = False,
    report: Report | None = None,
    engine: EngineOptions | None = None,
    source: Source | None = None,
    disks: Disks | None = None,
    passed: Callable[[int], object] | None = None,
) -> JobResult:
    """Classify recordings and write detections and the ledger into a folder.

    An error inside one recording is noted in the ledger with the reason; the others continue. A full disk ends the
    job, and so does Ctrl-C; what was finished is kept.

    Parameters
    ----------
    run
        A trained model.
    recordings
        Sound files; they are gone through several times, and never held.
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
    disks
        Waits for disks that are gone, so that their recordings are not ``failed``.
    passed
        Takes how many recordings were passed by so far, because an earlier job has settled them.

    Raises
    ------
    ConfigError
        The run cannot do what is asked, or ``output`` holds another job.
    DiskFullError
        The disk is full.
    """
    options = options or ClassifierOptions()
    check_options(options, resume, overwrite)
    if SUBMISSION in options.formats and run.segment_s is None:
        raise ConfigError(f"format {SUBMISSION}: it holds the scores of segments; {run.title} gives none")
    Listener(run, options)  # refuses what the run cannot do
    question = Question.of(run, options, shown_name(common_folder(map(str, recordings))))
    waited = (lambda: False) if disks is None else disks.waited
    with OutputFolder(Path(output), question, Names(recordings), resume, overwrite) as folder:
        hearing = Engine(run, source, options, SUBMISSION in folder.question.formats, engine, waited)
        counts: dict[RecordingStatus, int] = dict.fromkeys(STATUSES, 0)
        for group in _together(hearing.outcomes(_waiting(folder, waited)), folder.at_once):
            if passed is not None:
                passed(sum(folder.settled.values()))
            for (one, _), outcome in zip(group, folder.settle(group), strict=True):
                counts[outcome.status] += 1
                if report is not None:
                    report(one.name, outcome)
        for status in STATUSES:
            counts[status] += folder.settled[status]
        found = folder.finish(run.classes, run.segment_s)
        species = [Species(label, *numbers) for label, numbers in found.items()]
        species.sort(key=lambda one: (-one.detections, one.label))
        return JobResult(counts, species, folder.question.formats, hearing.spent)


class Names:
    """The recordings, as text, as often as they are gone through."""

    def __init__(self, recordings: Collection[str | Path]) -> None:
        self._recordings = recordings

    def __iter__(self) -> Iterator[str]:
        """Go through them."""
        return map(str, self._recordings)


def _waiting(folder: OutputFolder, waited: Callable[[], bool]) -> Iterator[Waiting]:
    """Go through the recordings, and once more where a disk was gone when the list of its files ended."""
    yield from folder.waiting()
    while waited():
        yield from folder.waiting()


def _together(outcomes: Iterator[tuple[Waiting, Outcome]], most: int) -> Iterator[list[tuple[Waiting, Outcome]]]:
    """Put quick results together, so that the disk is waited for once; what took long is passed on at once."""
    group: list[tuple[Waiting, Outcome]] = []
    try:
        for one, outcome in outcomes:
            group.append((one, outcome))
            if len(group) == most or math.fsum(each.seconds_used for _, each in group) > _LONG_S:
                yield group
                group = []
    except (Exception, KeyboardInterrupt):
        if group:
            yield group
        raise
    if group:
        yield group


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
    if options.threshold is not None and not 0 <= options.threshold <= 1:
        raise ConfigError(f"--threshold {options.threshold:g}: a score is from 0 to 1")
    if options.time_expansion is not None and not 0 < options.time_expansion < math.inf:
        raise ConfigError(
            f"--time-expansion {options.time_expansion:g}: it is a factor above 0; 10 for recordings slowed ten times"
        )
