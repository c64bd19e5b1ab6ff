"""The search: which trial comes next, what is kept of the finished ones, and when it is over."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Literal

from ecotf.errors import ConfigError
from ecotf.training.run_store import Log
from ecotf.tuning.clock import Clock
from ecotf.tuning.config import TuningConfig
from ecotf.tuning.journal import Journal
from ecotf.tuning.space import Point
from ecotf.tuning.stopping import limits_from
from ecotf.tuning.suggest import Observation, Suggester
from ecotf.tuning.trial import Outcome, Task, Trial

_FAILURES_IN_A_ROW = 20


@dataclass(frozen=True)
class Start:
    """A trial that is not suggested but given: the recipe as it is, or a starting point."""

    origin: Literal["recipe", "start"]
    values: dict[str, Any]


@dataclass(frozen=True)
class _Begun:
    task: Task
    origin: Literal["recipe", "start", "search"]
    point: Point
    seen: int
    at: float


class Search:
    """Hands out trials and keeps what came of them.

    With ``jobs`` workers, trial *n* is suggested when all trials up to *n - jobs* have ended, from those alone; the
    ones between count as not known yet, even where they have ended. So who is faster than whom makes no difference, and
    a search that continues after a kill makes the same suggestions as without the kill.
    """

    def __init__(
        self, config: TuningConfig, starts: Sequence[Start], journal: Journal, clock: Clock, jobs: int, log: Log
    ) -> None:
        self.config = config
        self.jobs = jobs
        self.clock = clock
        self._tell = log
        self._starts = list(starts)
        self._journal = journal
        self._suggester = Suggester(config.space, config.seed, config.startup)
        self._trials = {trial.number: trial for trial in journal.trials}
        self._begun: dict[int, _Begun] = {}
        self._failures: list[str] = []  # why the last trials failed, since one did not
        for trial in journal.trials:
            if trial.random_state != self._suggester.random_state(trial.number):
                raise ConfigError(
                    f"{journal.path}: the random numbers of trial {trial.number} are not those of this search; it was "
                    "begun with another seed or another numpy"
                )

    @property
    def trials(self) -> list[Trial]:
        """The finished trials in the order of their numbers."""
        return [self._trials[number] for number in sorted(self._trials)]

    @property
    def running(self) -> list[int]:
        """Numbers of the trials that were handed out and have not ended."""
        return sorted(self._begun)

    @property
    def best(self) -> Trial | None:
        """The best finished trial; of equals, the first."""
        done = [trial for trial in self.trials if trial.metric is not None]
        return min(done, key=lambda trial: self.config.loss(trial.metric), default=None)  # type: ignore[arg-type]

    def over(self) -> str | None:
        """The reason why no more trials are started, or None."""
        if self.config.trials is not None and len(self._trials) >= self.config.trials:
            return f"all {self.config.trials} trials are done"
        if self.clock.left_s() <= 0:
            return f"the time is up ({self.config.time})"
        if len(self._failures) >= _FAILURES_IN_A_ROW:
            return f"{len(self._failures)} trials in a row failed, the last one: {self._failures[-1]}"
        return None

    def next_task(self) -> Task | None:
        """Return the next trial; None while it has to wait for another one, or when the search is over."""
        number = 0
        while number in self._trials or number in self._begun:
            number += 1
        if self.over() or (self.config.trials is not None and number >= self.config.trials):
            return None
        seen = max(0, number - self.jobs + 1)
        if any(earlier not in self._trials for earlier in range(seen)):
            return None
        origin: Literal["recipe", "start", "search"] = "search"
        if number < len(self._starts):
            start = self._starts[number]
            origin, values, point = start.origin, start.values, self._suggester.nearest(start.values)
        else:
            point = self._suggester.suggest(number, [self._observed(n, n < seen) for n in range(number)])
            values = self._suggester.values(point)
        told = [self._trials[n] for n in range(seen)]
        task = Task(number, values, limits_from(told, self.config.stopping))
        self._begun[number] = _Begun(task, origin, point, seen, perf_counter())
        return task

    def record(self, number: int, outcome: Outcome) -> Trial:
        """Keep what came of a trial; it is on disk when this returns.

        Raises
        ------
        ConfigError
            No trial reports the metric: nothing can be compared.
        """
        begun = self._begun[number]
        metric = None
        if outcome.status == "done":
            metric = self._metric_of(outcome)
            if metric is None:
                reason = f"the metric {self.config.metric!r} has no value on these validation recordings"
                outcome = replace(outcome, status="failed", reason=reason)
        trial = Trial(
            number, begun.origin, begun.point, begun.task.values, begun.seen, self._suggester.random_state(number),
            metric, outcome, round(perf_counter() - begun.at, 3), datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        self._journal.append(trial)
        self._trials[number] = trial
        del self._begun[number]
        self._failures = [*self._failures, outcome.reason] if outcome.status == "failed" else []
        self._say(trial)
        return trial

    def _metric_of(self, outcome: Outcome) -> float | None:
        if self.best is None:
            require_metric(self.config.metric, list(outcome.metrics))
        return outcome.metrics.get(self.config.metric)

    def _observed(self, number: int, told: bool) -> Observation:
        if number not in self._trials:
            return Observation(number, self._begun[number].point, None)
        trial = self._trials[number]
        known = told and trial.metric is not None
        return Observation(number, trial.point, self.config.loss(trial.metric) if known else None)  # type: ignore[arg-type]

    def _say(self, trial: Trial) -> None:
        took = f"{trial.seconds:.0f} s"
        if trial.metric is None:
            self._tell(f"trial {trial.number}: {trial.outcome.status} after {took}: {trial.outcome.reason}")
            return
        best = self.best
        so_far = "the best so far" if best is trial else f"best {best.metric:.4f}, trial {best.number}" if best else ""
        self._tell(f"trial {trial.number}: {self.config.metric} {trial.metric:.4f} ({so_far}), {took}")


def require_metric(metric: str, reported: Sequence[str]) -> None:
    """Refuse a metric that is not among ``reported``, with the nearest one that is."""
    if metric not in reported:
        near = difflib.get_close_matches(metric, reported, n=1, cutoff=0.0)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"tuning.metric: no trial reports {metric!r}; reported are {', '.join(reported)}{hint}")
