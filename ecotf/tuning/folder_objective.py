"""The base of all objectives that train: each trial has its own folder, starts fresh, and ends early when it is bad."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from ecotf.errors import ConfigError
from ecotf.files import atomic_file
from ecotf.runs import RunFolder
from ecotf.training.run_store import Log
from ecotf.tuning.config import StoppingConfig
from ecotf.tuning.stopping import MedianWatch
from ecotf.tuning.trial import Task

RUNNING = "running"
Plan = TypeVar("Plan")
Data = TypeVar("Data")


class FolderObjective(Generic[Plan, Data]):
    """Trials that train in a folder of the search's.

    Parameters
    ----------
    recipe
        The recipe that the trials are variations of.
    manifest
        With splits, and only recordings that can be read. Nothing is measured on the test recordings.
    folder
        Of the search; a trial works in ``running/<number>`` and can continue from there after a kill.
    cache
        Where what all trials read is kept.
    """

    def __init__(
        self,
        recipe: Plan,
        manifest: Path,
        folder: Path,
        cache: Path,
        threads: int,
        stopping: StoppingConfig | None,
    ) -> None:
        self.recipe = recipe
        self.manifest = manifest
        self.folder = folder
        self.cache = cache
        self.threads = threads
        self.stopping = stopping
        self._data: Data | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_data": None}

    def prepare(self, log: Log) -> None:
        """Do nothing: the data that the trials share are there, or the first trial makes them."""

    @contextmanager
    def training(self, place: Path, task: Task, seed: int) -> Iterator[tuple[RunFolder, MedianWatch | None]]:
        """Open a run folder to train in, with the check that ends a bad trial early, where the search has one."""
        start_afresh(seed)
        watch = None if self.stopping is None else MedianWatch(task.limits)
        run_store = trial_store(place)
        try:
            yield run_store, watch
        finally:
            run_store.close()


def trial_store(place: Path) -> RunFolder:
    """Open the run folder that a trial trains in: the one that was interrupted, or a new one."""
    try:
        return RunFolder.latest(place, "training", unfinished=True)
    except ConfigError:
        return RunFolder.create(place, "training")


def trial_place(folder: Path, task: Task) -> Path:
    """Make the trial's folder in that of the search; files of another trial of the same number are deleted."""
    place = folder / RUNNING / f"{task.number:05d}"
    facts, told = place / "trial.json", {"values": task.values, "limits": task.limits}
    if place.exists() and _told(facts) != json.loads(json.dumps(told)):
        shutil.rmtree(place)
    if not place.exists():
        place.mkdir(parents=True)
        with atomic_file(facts) as partial:
            partial.write_text(json.dumps(told))
    return place


def _told(facts: Path) -> Any:
    """Read the values and limits of an earlier trial; None where a kill left no file, or half a file."""
    try:
        return json.loads(facts.read_text())
    except (OSError, ValueError):
        return None


def start_afresh(seed: int) -> None:
    """Make a trial independent of what the process did before, and of its memory."""
    import keras
    import tensorflow as tf

    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
