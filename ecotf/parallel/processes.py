"""A worker process: takes jobs, says lines about them, gives results; it is started again after it died."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from time import monotonic
from typing import Any, NamedTuple

from ecotf.parallel.threads import wait_patiently
from ecotf.quiet import load_keras_alone

# TensorFlow does not survive a fork.
_CONTEXT = multiprocessing.get_context("spawn")


_LOOK_EVERY_S = 0.2
_LOADING_S = 300.0  # that a new process may take besides, before its first word

IN_TIME = "because it took too long"
"""What `Died` says of a worker that was ended."""


@dataclass(frozen=True)
class Died:
    """Given in place of a result: the process ended before it had one.

    Attributes
    ----------
    how
        ``by signal 9``, ``with status 1``, or `IN_TIME`.
    """

    how: str


class Said(NamedTuple):
    """Something that a worker has said about its job, before the job's result."""

    what: Any


class Worker:
    """One process that runs ``work(job, say)`` for each job that it is given.

    Parameters
    ----------
    work
        Called in the process with a job and with a function that says something about it. Both the function and the
        jobs are pickled; what it raises ends the process.
    begin
        Called first in the process, to set it up.

    Attributes
    ----------
    connection
        Ready to be read (`multiprocessing.connection.wait`) when `receive` has something to give.
    busy
        Whether a job was given whose result has not come.
    is_new
        Whether its process has not said anything yet: it may still be loading what it works with.
    """

    def __init__(self, work: Callable[..., Any], begin: Callable[[], object] | None = None) -> None:
        self._work, self._begin = work, begin
        self._process: Any = None
        self.connection: Connection[Any, Any]
        self.busy = False
        self.is_new = True

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
            self.is_new = True
        self.connection.send(job)
        self.busy = True

    def receive(self) -> Any:
        """Receive what was `Said` about the job, its result, or `Died`; waits for it."""
        try:
            message = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            code = self._process.exitcode
            self._process = None
            message = Died(f"by signal {-code}" if code < 0 else f"with status {code}")
        self.is_new = False
        if not isinstance(message, Said):
            self.busy = False
        return message

    def stop(self) -> None:
        """End the process at once; what its job has written so far stays."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
        self.busy = False


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
    pool = min(workers, len(jobs))
    for job, message in messages_of(work, lambda: waiting.pop() if waiting else None, pool):
        if not isinstance(message, Said):
            yield died(job, message) if isinstance(message, Died) else message


def messages_of(
    work: Callable[..., Any],
    next_job: Callable[[], Any],
    workers: int,
    begin: Callable[[], object] | None = None,
    longest_s: float | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Yield each message with the job that it is about, from worker processes, until there are no more jobs.

    Parameters
    ----------
    work, begin
        As in `Worker`. What ``work`` says comes as `Said`, and then its result; or `Died`.
    next_job
        Gives the next job, or None where there is none now: it is asked again after every message.
    workers
        How many processes.
    longest_s
        A worker that has been silent about its job for longer is ended; that is `Died` `IN_TIME`.
    """
    pool = [Worker(work, begin) for _ in range(workers)]
    current: dict[int, Any] = {}
    heard: dict[int, float] = {}
    try:
        while True:
            for number, worker in enumerate(pool):
                job = None if worker.busy else next_job()
                if job is not None:
                    current[number], heard[number] = job, monotonic()
                    worker.start(job)
            if not current:
                return
            ready = wait([pool[number].connection for number in current], _LOOK_EVERY_S if longest_s else None)
            for number in list(current):
                if pool[number].connection in ready:
                    message, heard[number] = pool[number].receive(), monotonic()
                elif longest_s is not None and monotonic() - heard[number] > longest_s + _loading_s(pool[number]):
                    pool[number].stop()
                    message = Died(IN_TIME)
                else:
                    continue
                yield current[number] if isinstance(message, Said) else current.pop(number), message
    finally:
        for worker in pool:
            worker.stop()


def _loading_s(worker: Worker) -> float:
    return _LOADING_S if worker.is_new else 0.0


def _live(connection: Connection[Any, Any], work: Callable[..., Any], begin: Callable[[], object] | None) -> None:
    """Work until the other end closes."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    load_keras_alone()
    if begin is not None:
        begin()
    while True:
        try:
            job = connection.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            connection.send(work(job, lambda what: connection.send(Said(what))))
        except (BrokenPipeError, KeyboardInterrupt):
            return


def _end_with_parent() -> None:
    """End when the parent is killed: nobody would read the results, and the next parent works in the same folder."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
