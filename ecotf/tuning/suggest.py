"""Suggestions: hyperopt's tree-structured Parzen estimator as a function of the trials before and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ecotf.tuning.space import Bell, Choice, Interval, Point


@dataclass(frozen=True)
class Observation:
    """An earlier trial; ``loss`` is None where it failed, was stopped, or is not to be known yet."""

    number: int
    point: Point
    loss: float | None


class Suggester:
    """Suggests trials.

    hyperopt draws a seed for each trial from one generator that goes along with the search. Here every trial has a
    generator of its own, made of the search's seed and its number, so its suggestion depends on those and on the
    earlier trials, but not on how often the search was interrupted.
    """

    def __init__(self, space: Mapping[str, Choice | Interval | Bell], seed: int, startup: int) -> None:
        self.space = dict(space)
        self.seed = seed
        self.startup = startup

    def random_state(self, number: int) -> dict[str, Any]:
        """State of the generator that trial ``number`` is suggested with."""
        return dict(np.random.default_rng([self.seed, number]).bit_generator.state)

    def suggest(self, number: int, earlier: Sequence[Observation]) -> Point:
        """Suggest the point of trial ``number``, given all trials before it."""
        from hyperopt import JOB_STATE_DONE, JOB_STATE_NEW, STATUS_FAIL, STATUS_OK, Trials, tpe

        trials = Trials()
        documents = []
        for seen in sorted(earlier, key=lambda observation: observation.number):
            labels = {key: [seen.number] for key in self.space}
            misc: dict[str, Any] = {"tid": seen.number, "cmd": None, "workdir": None, "idxs": labels}
            misc["vals"] = {key: [self._as_drawn(key, seen.point[key])] for key in self.space}
            known = seen.loss is not None
            result = {"status": STATUS_OK, "loss": seen.loss} if known else {"status": STATUS_FAIL}
            (document,) = trials.new_trial_docs([seen.number], [None], [result], [misc])
            document["state"] = JOB_STATE_DONE if known else JOB_STATE_NEW
            documents.append(document)
        trials.insert_trial_docs(documents)
        trials.refresh()
        seed = int(np.random.default_rng([self.seed, number]).integers(2**31 - 1))
        (suggested,) = tpe.suggest([number], self._domain, trials, seed, n_startup_jobs=self.startup, verbose=False)
        return {key: float(drawn[0]) for key, drawn in suggested["misc"]["vals"].items()}

    def values(self, point: Point) -> dict[str, Any]:
        """Return the values that the recipe gets at ``point``."""
        return {key: expression.value(point[key]) for key, expression in self.space.items()}

    def nearest(self, values: Mapping[str, Any]) -> Point:
        """Return the point in the space that is nearest to ``values``."""
        return {key: expression.nearest(values[key]) for key, expression in self.space.items()}

    def _as_drawn(self, key: str, drawn: float) -> float:
        """Indices and whole numbers as hyperopt draws them."""
        expression = self.space[key]
        whole = isinstance(expression, Choice) or expression.name == "randint"
        return int(drawn) if whole else drawn

    @cached_property
    def _domain(self) -> Any:
        from hyperopt.base import Domain

        return Domain(lambda drawn: 0.0, {key: expression.node(key) for key, expression in self.space.items()})
