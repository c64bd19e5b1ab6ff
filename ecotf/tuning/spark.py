"""The same search on many machines: hyperopt's SparkTrials hands the trials to the executors of an Apache Spark."""

from __future__ import annotations

import json
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ecotf.errors import EcotfError
from ecotf.parallel.spark import require_spark, spark_session
from ecotf.training.run_store import Log
from ecotf.tuning.search import Search
from ecotf.tuning.trial import Objective, Outcome, Task
from ecotf.tuning.workers import attempt, prepare

_LOOK_EVERY_S = 0.2
_LONGEST_S = 10 * 365 * 86_400.0


def run_with_spark(search: Search, objective: Objective, engine: str, log: Log, ended: Callable[[int], object]) -> None:
    """Run ``search`` until it is over, ``search.jobs`` trials at a time, each a Spark job of its own.

    SparkTrials only hands out and collects: what is suggested, and when, is the search's, as with workers on this
    machine. The folder of the search, the recordings and ecotf must be where they are here on every machine. Each trial
    begins in a new Python process (SparkTrials leaves its input unread, and Spark then ends the process).
    """
    require_spark(engine)
    if search.over():
        return
    with spark_session(engine) as session:
        _run(search, objective, session, log, ended)


def _run(search: Search, objective: Objective, session: Any, log: Log, ended: Callable[[int], object]) -> None:
    from hyperopt import SparkTrials, fmin
    from hyperopt.pyll import scope

    logging.getLogger("hyperopt-spark").setLevel(logging.CRITICAL)
    remote = RemoteObjective(objective)
    log("preparing on one executor")
    prepared = session.sparkContext.parallelize([0], 1).map(remote.prepare).collect()[0]
    if prepared:
        raise EcotfError(f"no trial can begin: {prepared}")
    left_s = search.clock.left_s()
    if left_s <= 0 or search.over():
        return
    trials = SparkTrials(parallelism=search.jobs, timeout=min(left_s, _LONGEST_S), spark_session=session)
    collector = _Collector(search, trials, log, ended)

    def suggest(new_ids: list[int], domain: Any, _: Any, seed: int) -> list[dict[str, Any]]:
        task = collector.next_task()
        if task is None:
            return []
        text = json.dumps({"number": task.number, "values": task.values, "limits": task.limits})
        misc = {"tid": new_ids[0], "cmd": domain.cmd, "workdir": None}
        misc |= {"idxs": {"task": [new_ids[0]]}, "vals": {"task": [text]}}
        collector.numbers[new_ids[0]] = task.number
        return trials.new_trial_docs(new_ids[:1], [None], [domain.new_result()], [misc])

    with collector, _interruptible(trials, session):
        fmin(
            remote,
            scope.hyperopt_param("task", scope.uniform(0, 1)),  # a place for the task, never drawn from
            algo=suggest,
            max_evals=1 << 30,
            trials=trials,
            rstate=_NoRandomness(),
            show_progressbar=False,
            verbose=False,
            return_argmin=False,
        )
    if search.running and search.clock.left_s() <= 0:
        log(f"the time is up; stopped before its end: trial {', '.join(map(str, search.running))}")


class RemoteObjective:
    """The objective on an executor: a task as text in, its outcome as a mapping out."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective

    def prepare(self, _: int) -> str:
        """Prepare there; return why it failed, or nothing."""
        return prepare(self.objective, lambda line: None).reason

    def __call__(self, text: str) -> dict[str, Any]:
        """Run one trial."""
        outcome = attempt(self.objective, Task(**json.loads(text)), lambda line: None)
        return {"status": "ok", "loss": 0.0, "outcome": outcome.__dict__}


class _Collector:
    """Writes trials down as soon as Spark has them, and lets the next one wait for those that it depends on."""

    def __init__(self, search: Search, trials: Any, log: Log, ended: Callable[[int], object]) -> None:
        self.numbers: dict[int, int] = {}
        self._search, self._trials, self._tell, self._ended = search, trials, log, ended
        self._changed = threading.Condition()
        self._recorded: set[int] = set()
        self._stop = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Collector:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._stop = True
        self._thread.join()
        if self._error is not None:
            raise self._error

    def next_task(self) -> Task | None:
        """Return the next trial when it is known; None when no trials are left."""
        with self._changed:
            while not self._trials._fmin_cancelled and self._error is None:
                task = self._search.next_task()
                if task is not None:
                    return task
                if not self._search.running or self._search.over():
                    return None
                self._changed.wait(_LOOK_EVERY_S)
        return None

    def _watch(self) -> None:
        try:
            while True:
                with self._changed:
                    stop = self._stop
                    self._collect()
                    self._search.clock.tick(now=stop)
                    if stop:
                        return
                    self._changed.wait(_LOOK_EVERY_S)
        except BaseException as error:
            self._error = error

    def _collect(self) -> None:
        from hyperopt import JOB_STATE_DONE, JOB_STATE_ERROR

        for document in list(self._trials._dynamic_trials):
            tid, state = document["tid"], document["state"]
            if tid in self._recorded or state not in (JOB_STATE_DONE, JOB_STATE_ERROR):
                continue
            if state == JOB_STATE_DONE:
                outcome = Outcome(**document["result"]["outcome"])
            else:
                kind, trace = document["misc"]["error"]
                outcome = Outcome("failed", reason=f"its Spark task failed ({kind})", trace=trace or "")
            self._recorded.add(tid)
            self._search.record(self.numbers[tid], outcome)
            self._ended(self.numbers[tid])
            self._changed.notify_all()


class _NoRandomness:
    """fmin draws a seed for each suggestion; ours have their own."""

    def integers(self, high: int) -> int:
        """Return 0: the number is not used."""
        return 0


@contextmanager
def _interruptible(trials: Any, session: Any) -> Iterator[None]:
    """On Ctrl-C, end the jobs that run: SparkTrials alone would wait for them."""
    pressed = []

    def interrupt(signal_number: int, frame: FrameType | None) -> None:
        pressed.append(signal_number)
        trials._fmin_cancelled = True
        session.sparkContext.cancelAllJobs()

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt
