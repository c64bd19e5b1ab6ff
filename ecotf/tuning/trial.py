"""A trial: what is tried, and what came of it, as it goes to workers and into the journal."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

from ecotf.training.run_store import Log
from ecotf.tuning.space import Point

Limits = dict[str, list[float]]
"""For each network, the score after each epoch below which a trial is stopped; see `ecotf.tuning.stopping`."""


@dataclass(frozen=True)
class Task:
    """The task of a worker. Nothing else may change the result of a trial: not the time, not the other workers."""

    number: int
    values: dict[str, Any]
    limits: Limits = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a trial.

    Attributes
    ----------
    metrics
        Figures of the validation recordings by name; empty unless ``done``.
    scores
        For each network, its score on validation patches after each epoch; empty where nothing is stopped early. Of a
        stopped trial, those of the network that was stopped.
    reason
        Why it failed or was stopped, in one line.
    trace
        Of an error that is not a mistake of the user's, where it happened.
    """

    status: Literal["done", "stopped", "failed"]
    metrics: dict[str, float | None] = field(default_factory=dict)
    scores: dict[str, list[float]] = field(default_factory=dict)
    epochs: int = 0
    reason: str = ""
    trace: str = ""


@dataclass(frozen=True)
class Trial:
    """A finished trial, one line of the journal.

    Attributes
    ----------
    origin
        ``recipe``: the recipe as it is; ``start``: a given starting point; ``search``: suggested.
    point
        Its place in the space, for hyperopt; of a given starting point, the nearest place.
    values
        What the recipe was given.
    seen
        How many of the trials before it had ended when it was suggested.
    random_state
        Of the generator that it was suggested with.
    metric
        The figure that is compared; None unless ``done``.
    """

    number: int
    origin: Literal["recipe", "start", "search"]
    point: Point
    values: dict[str, Any]
    seen: int
    random_state: dict[str, Any]
    metric: float | None
    outcome: Outcome
    seconds: float
    finished: str

    def as_json(self) -> dict[str, Any]:
        """Return the trial as plain values, for the journal."""
        return asdict(self)


def trial_of(values: dict[str, Any]) -> Trial:
    """Read a trial from the values of `Trial.as_json`; raises TypeError or KeyError where they are not a trial."""
    return Trial(**{**values, "outcome": Outcome(**values["outcome"])})


class Objective(Protocol):
    """The function that a search tries. It can be pickled for the workers, and loads its data when it is called."""

    def prepare(self, log: Log) -> None:
        """Do once what all trials share; one worker is asked to, before the first trial."""

    def __call__(self, task: Task, log: Log) -> Outcome:
        """Run one trial. What it raises makes the trial a failed one."""
