"""The registry of stages: what a recipe lists under ``stages``, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ecotf.config import Config
from ecotf.registry import Registry
from ecotf.training.run_store import Log

if TYPE_CHECKING:
    import pandas as pd


Fits = Literal["network", "head", "projection"]


class StageConfig(Config):
    """A stage of a training, and what others must know of it.

    Attributes
    ----------
    learns_from
        What it is given to learn from; a task has the stages that learn from what it makes of recordings.
    fits
        ``network``: networks, and what reads their embeddings. ``head``: the head of a frozen embedder. ``projection``:
        the layers between a frozen embedder and a head that answers episodes, and that head.
    """

    learns_from: ClassVar[Literal["patches", "clips"]]
    fits: ClassVar[Fits] = "network"

    @property
    def trains(self) -> tuple[str, ...]:
        """The parts of the model that change: networks by their name, ``trees``, or parts of a network of clips."""
        raise NotImplementedError

    @property
    def needs_frames(self) -> bool:
        """Whether its loss looks at the scores of frames, which not every head gives."""
        return False

    @property
    def needs_rule(self) -> bool:
        """Whether it trains heads that answer episodes, and no others."""
        return False


@dataclass(frozen=True)
class FitPlace:
    """The place of a stage's state, and the resources that it may use.

    Attributes
    ----------
    checkpoint
        Written now and then, read when it is there: the same seed gives the same weights with or without a kill.
    log
        Told of every epoch.
    watch
        Looks at the fit between its epochs; the type is that of the stage.
    threads
        Processor cores to use.
    save_every_s
        The checkpoint is written at most so often, in seconds.
    tensorboard
        Folder for TensorBoard; None writes nothing.
    """

    checkpoint: Path
    log: Log
    watch: Any = None
    threads: int = 2
    save_every_s: float = 15.0
    tensorboard: Path | None = None


@dataclass(frozen=True)
class Fitted:
    """The outcome of a stage.

    Attributes
    ----------
    model
        The model with what this stage has trained; a network is fitted in place.
    history
        One row for each epoch; empty where a stage has none.
    """

    model: Any
    history: pd.DataFrame


STAGES: Registry[Fitted] = Registry("stage")
"""Each entry is built, that is run, with ``(stage, model, material, place)``; ``material`` is that of its task."""
