"""Load a model, and classify recordings with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecotf.api.given import PathLike, names_of, one_or_many, options_of
from ecotf.errors import ConfigError
from ecotf.inference.run_source import RunSource
from ecotf.model import Model

if TYPE_CHECKING:
    from ecotf.inference.job import JobResult


def load(source: PathLike | Sequence[PathLike], *, ensemble: str | None = None) -> Model:
    """Load a trained model.

    Parameters
    ----------
    source
        A run folder; a list of run folders that answer together; or a ``.tflite`` that ecotf exported.
    ensemble
        Of several runs: the recipe that weighs them, as ``birds/2023_ensemble``.

    Raises
    ------
    ConfigError
        No such folder, no run, a training that did not finish, or runs that do not go together.

    Examples
    --------
    >>> ecotf.load(RUN)
    <ecotf.Model bats/field: 2 classes>
    """
    paths = one_or_many(source)
    if not paths:
        raise ConfigError("load: an empty list; give at least one run folder")
    origin = RunSource(tuple(str(path) for path in paths), ensemble)
    return Model(origin.load(), origin)


def classify(
    model: Model | PathLike,
    recordings: PathLike | Sequence[PathLike],
    output: PathLike,
    *,
    formats: str | Sequence[str] = ("csv",),
    resume: bool = False,
    overwrite: bool = False,
    workers: int = 0,
    engine: str = "processes",
    timeout_s: float | None = None,
    log: Callable[[str], object] = print,
    **options: Any,
) -> JobResult:
    """Classify recordings, and write detections and the ledger into a folder; as the command ``ecotf classify``.

    Parameters
    ----------
    model
        From `load`, or a run folder.
    recordings
        Files, folders or patterns.
    output
        A folder for this job alone.
    formats
        ``csv``, ``parquet``, ``dataset``, ``raven``, ``audacity``, ``audiotagger``, ``aoef``, ``published_csv``,
        ``submission``.
    resume, overwrite
        Continue or replace the job in ``output``.
    workers, engine, timeout_s
        How many processes listen (0: this one), or the address of a Spark; and how long a recording may take.
    log
        Takes a line when the disk with the recordings is gone, and when it is back.
    options
        Further fields of `ecotf.inference.question.ClassifierOptions`: ``threshold``, ``channel``, ``gate``,
        ``time_expansion``, ``time_zone``, ``salvage``, ``unnamed``.

    Returns
    -------
    How many recordings ended in each status, and how much was found of each label.

    Raises
    ------
    ConfigError
        No recording is found, a wrong option, or ``output`` holds another job.

    Examples
    --------
    >>> ecotf.classify(RUN, NIGHT, output=OUTPUT).counts["done"]
    1
    """
    from ecotf.audio.discover import Recordings
    from ecotf.inference.disks import Disks
    from ecotf.inference.engine import EngineOptions
    from ecotf.inference.job import classify as run_job
    from ecotf.inference.question import ClassifierOptions

    chosen = model if isinstance(model, Model) else load(model)
    found = Recordings(one_or_many(recordings))
    if not len(found):
        first = f": {found.problems[0][0]}: {found.problems[0][1]}" if found.problems else ""
        raise ConfigError(f"no recording to classify{first}")
    asked = options_of(ClassifierOptions, "classify", {"formats": tuple(names_of(formats)), **options})
    how = EngineOptions(workers, engine, timeout_s)
    source = None if how.here else chosen.source
    disks = Disks(found.arguments, log)
    return run_job(chosen.run, found, Path(output), asked, resume, overwrite, None, how, source, disks)
