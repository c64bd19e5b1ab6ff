"""A worker process: takes jobs, says lines about them, gives results; it is started again after it died."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from ecotf.parallel.threads import wait_patiently

# TensorFlow does not survive a fork.
_CONTEXT = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Died:
    """Given in place of a result: the process ended before it had one.

    Attributes
    ----------
    how
        ``by signal 9`` or ``with status 1``.
    """

    how: str


class Worker:
    """One process that runs ``work(job, say)`` for each job that it is given.

    Parameters
    ----------
    work
        Called in the process with a job and with a function that takes lines about it. Both the function and the jobs
        are pickled; what it raises ends the process.
    begin
        Called first in the process, to set it up.

    Attributes
    ----------
    connection
        Ready to be read (`multiprocessing.connection.wait`) when `receive` has something to give.
    busy
        Whether a job was given whose result has not come.
    """

    def __init__(self, work: Callable[..., Any], begin: Callable[[], object] | None = None) -> None:
        self._work, self._begin = work, begin
        self._process: Any = None
        self.connection: Connection[Any, Any]
        self.busy = False

    def start(self, job: Any) -> None:
        """Give it a job; its process is started where there is none."""
        if self._process is not None and not self._process.is_alive():
            self._process = None  # it died while it had nothing to do
        if self._process is None:
            wait_patiently()  # before the process begins, whoever starts it
            self.connection, theirs = _CONTEXT.Pipe()
            self._process = _CONTEXT.Process(target=_live, args=(theirs, self._work, self._begin), daemon=True)
            self._process.start()
            theirs.close()  # so that its end closes when the process does
        self.connection.send(job)
        self.busy = True

    def receive(self) -> Any:
        """Receive a line about the job (str), its result, or `Died`; waits for it."""
        try:
            message = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            code = self._process.exitcode
            self._process = None
            message = Died(f"by signal {-code}" if code < 0 else f"with status {code}")
        if not isinstance(message, str):
            self.busy = False
        return message

    def stop(self) -> None:
        """End the process at once; what its job has written so far stays."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None


def results_of(
    work: Callable[..., Any], jobs: Sequence[Any], workers: int, died: Callable[[Any, Died], Any]
) -> Iterator[Any]:
    """Yield the results of jobs as they come, from worker processes.

    Parameters
    ----------
    work
        As in `Worker`.
    workers
        How many processes.
    died
        Makes the result of a job at which a process ended.
    """
    waiting = list(reversed(jobs))
    pool = [Worker(work) for _ in range(min(workers, len(jobs)))]
    current: dict[int, Any] = {}
    try:
        while waiting or current:
            for number, worker in enumerate(pool):
                if not worker.busy and waiting:
                    current[number] = waiting.pop()
                    worker.start(current[number])
            ready = wait([pool[number].connection for number in current])
            for number in [number for number in current if pool[number].connection in ready]:
                result, job = pool[number].receive(), current.pop(number)
                yield died(job, result) if isinstance(result, Died) else result
    finally:
        for worker in pool:
            worker.stop()


def _live(connection: Connection[Any, Any], work: Callable[..., Any], begin: Callable[[], object] | None) -> None:
    """Work until the other end closes."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if begin is not None:
        begin()
    while True:
        try:
            job = connection.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            connection.send(work(job, connection.send))
        except (BrokenPipeError, KeyboardInterrupt):
            return


def _end_with_parent() -> None:
    """End when the parent is killed: nobody would read the results, and the next parent works in the same folder."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
