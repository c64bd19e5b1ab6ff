"""Workers: processes on this machine that run trials. One that dies takes its trial along, not the search."""

from __future__ import annotations

import multiprocessing
import os
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

from ecotf.errors import EcotfError
from ecotf.training.run_store import Log
from ecotf.training.threads import wait_patiently
from ecotf.tuning.search import Search
from ecotf.tuning.stopping import StoppedEarly
from ecotf.tuning.trial import Objective, Outcome, Task

# TensorFlow does not survive a fork.
_CONTEXT = multiprocessing.get_context("spawn")
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
        What a worker calls first, to set up its process.
    """
    workers = [_Worker(objective, begin) for _ in range(search.jobs)]
    try:
        if search.over():
            return
        _prepare(workers[0], search, log)
        while True:
            for worker in workers:
                task = search.next_task() if worker.task is None else None
                if task is not None:
                    worker.start(task)
            if not search.running:
                return
            if search.clock.left_s() <= 0:
                left = ", ".join(map(str, search.running))
                log(f"the time is up; left where it stands: trial {left}")
                return
            for worker in _ready(workers, search):
                number = worker.number
                outcome = worker.hear(lambda line, number=number: log(f"trial {number}: {line}"))  # type: ignore[misc]
                if outcome is not None:
                    search.record(number, outcome)
                    ended(number)
    finally:
        search.clock.tick(now=True)
        for worker in workers:
            worker.stop()


def attempt(objective: Objective, task: Task, log: Log) -> Outcome:
    """Run one trial; whatever it raises becomes its outcome."""
    try:
        return objective(task, log)
    except StoppedEarly as stopped:
        return Outcome("stopped", scores=stopped.scores, epochs=stopped.epochs, reason=str(stopped))
    except EcotfError as error:
        return Outcome("failed", reason=_one_line(error))
    except Exception as error:
        reason = f"{type(error).__name__}: {_one_line(error)}"
        return Outcome("failed", reason=reason, trace=traceback.format_exc(limit=-8))


def _prepare(worker: _Worker, search: Search, log: Log) -> None:
    worker.start(None)
    while search.clock.left_s() > 0:
        for ready in _ready([worker], search):
            outcome = ready.hear(log)
            if outcome is not None:
                if outcome.status == "failed":
                    raise EcotfError(f"no trial can begin: {outcome.reason}")
                return


def _ready(workers: list[_Worker], search: Search) -> list[_Worker]:
    """Workers that have something to say, or that have died; waits a moment for one."""
    search.clock.tick()
    busy = {worker.connection: worker for worker in workers if worker.busy}
    ready = wait(list(busy), timeout=min(_LOOK_EVERY_S, max(0.0, search.clock.left_s())))
    return [busy[connection] for connection in ready]  # type: ignore[index]


class _Worker:
    """One process. It is started again after it died."""

    def __init__(self, objective: Objective, begin: Callable[[], object] | None) -> None:
        self._objective, self._begin = objective, begin
        self._process: Any = None
        self.connection: Connection[Any, Any]
        self.task: Task | None = None
        self.busy = False

    @property
    def number(self) -> int:
        """Number of the trial that it runs."""
        return -1 if self.task is None else self.task.number

    def start(self, task: Task | None) -> None:
        """Run a trial, or, for None, prepare."""
        if self._process is not None and not self._process.is_alive():
            self._process = None  # it died while it had nothing to do
        if self._process is None:
            wait_patiently()  # before the process begins, whoever runs the search
            self.connection, theirs = _CONTEXT.Pipe()
            self._process = _CONTEXT.Process(target=_work, args=(theirs, self._objective, self._begin), daemon=True)
            self._process.start()
            theirs.close()  # so that its end closes when the process does
        self.connection.send(task)
        self.task, self.busy = task, True

    def hear(self, log: Log) -> Outcome | None:
        """What came of the trial, or None if it was a line about it."""
        try:
            message = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            code = self._process.exitcode
            how = f"by signal {-code}" if code < 0 else f"with status {code}"
            message = Outcome("failed", reason=f"its process was ended {how} (out of memory?)")
            self._process = None
        if isinstance(message, str):
            log(message)
            return None
        self.task, self.busy = None, False
        return message

    def stop(self) -> None:
        """End the process at once; what it was doing stands on disk up to its last checkpoint."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def _work(connection: Connection[Any, Any], objective: Objective, begin: Callable[[], object] | None) -> None:
    """The life of a worker."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if begin is not None:
        begin()
    while True:
        try:
            task: Task | None = connection.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            if task is None:
                outcome = _prepared(objective, connection.send)
            else:
                outcome = attempt(objective, task, connection.send)
            connection.send(outcome)
        except (BrokenPipeError, KeyboardInterrupt):
            return


def _prepared(objective: Objective, log: Log) -> Outcome:
    def prepare(_: Task, log: Log) -> Outcome:
        objective.prepare(log)
        return Outcome("done")

    return attempt(prepare, Task(-1, {}), log)  # type: ignore[arg-type]


def _end_with_parent() -> None:
    """A search that is killed must not go on in its workers: they would write into the folder of the next sitting."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _one_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
