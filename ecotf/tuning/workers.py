"""A search on this machine: worker processes run its trials. One that dies takes its trial along, not the search."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from multiprocessing.connection import wait
from typing import Any

from ecotf.errors import EcotfError
from ecotf.parallel.processes import Died, Said, Worker
from ecotf.training.run_store import Log, labelled
from ecotf.tuning.search import Search
from ecotf.tuning.stopping import StoppedEarly
from ecotf.tuning.trial import Objective, Outcome, Task

_LOOK_EVERY_S = 0.5


def run_with_workers(
    search: Search,
    objective: Objective,
    log: Log,
    ended: Callable[[int], object],
    begin: Callable[[], object] | None = None,
) -> None:
    """Run ``search`` until it is over, ``search.jobs`` trials at a time.

    When the time is up, the trials that are running are left where they stand; going on with more time finishes them.

    Parameters
    ----------
    ended
        Called with the number of each trial that was recorded.
    begin
        Called first in each worker process, to set it up.
    """
    work = TrialWork(objective)
    workers = [Worker(work, begin) for _ in range(search.jobs)]
    numbers: dict[Worker, int] = {}
    try:
        if search.over():
            return
        _prepare(workers[0], search, log)
        while True:
            for worker in workers:
                task = None if worker.busy else search.next_task()
                if task is not None:
                    numbers[worker] = task.number
                    worker.start(task)
            if not search.running:
                return
            if search.clock.left_s() <= 0:
                left = ", ".join(map(str, search.running))
                log(f"the time is up; stopped before its end: trial {left}")
                return
            for worker in _ready(workers, search):
                number = numbers[worker]
                outcome = _received(worker, lambda line, number=number: log(labelled(f"trial {number}", line)))  # type: ignore[misc]
                if outcome is not None:
                    search.record(number, outcome)
                    ended(number)
    finally:
        search.clock.tick(now=True)
        for worker in workers:
            worker.stop()


class TrialWork:
    """Runs the trials of an objective in a worker process; None prepares what the trials share."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective

    def __call__(self, task: Task | None, log: Log) -> Outcome:
        """Run one trial; an exception becomes its outcome."""
        return prepare(self.objective, log) if task is None else attempt(self.objective, task, log)


def attempt(objective: Callable[[Task, Log], Outcome], task: Task, log: Log) -> Outcome:
    """Run one trial; an exception becomes its outcome."""
    try:
        return objective(task, log)
    except StoppedEarly as stopped:
        return Outcome("stopped", scores=stopped.scores, epochs=stopped.epochs, reason=str(stopped))
    except EcotfError as error:
        return Outcome("failed", reason=_one_line(error))
    except Exception as error:
        reason = f"{type(error).__name__}: {_one_line(error)}"
        return Outcome("failed", reason=reason, trace=traceback.format_exc(limit=-8))


def prepare(objective: Objective, log: Log) -> Outcome:
    """Do the work that all trials share, once; an exception becomes the outcome."""

    def shared(_: Task, log: Log) -> Outcome:
        objective.prepare(log)
        return Outcome("done")

    return attempt(shared, Task(-1, {}), log)


def _prepare(worker: Worker, search: Search, log: Log) -> None:
    worker.start(None)
    while search.clock.left_s() > 0:
        for ready in _ready([worker], search):
            outcome = _received(ready, log)
            if outcome is not None:
                if outcome.status == "failed":
                    raise EcotfError(f"no trial can begin: {outcome.reason}")
                return


def _received(worker: Worker, log: Log) -> Outcome | None:
    """Receive the outcome of the worker's trial; None if the worker sent a line for the log."""
    message: Any = worker.receive()
    if isinstance(message, Said):
        log(message.what)
        return None
    if isinstance(message, Died):
        return Outcome("failed", reason=f"its process was ended {message.how} (out of memory?)")
    assert isinstance(message, Outcome)
    return message


def _ready(workers: list[Worker], search: Search) -> list[Worker]:
    """Workers that have a result or a log line, or that have died; waits a moment for one."""
    search.clock.tick()
    busy = {worker.connection: worker for worker in workers if worker.busy}
    ready = wait(list(busy), timeout=min(_LOOK_EVERY_S, max(0.0, search.clock.left_s())))
    return [busy[connection] for connection in ready]  # type: ignore[index]


def _one_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
