"""The state of a fit between two epochs, on disk from time to time, so that a killed training continues exactly."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from ecotf.files import atomic_file, reading_arrays


class FitState:
    """The state of a fit with all variables (Adam's moments, dropout's seeds), saved to disk from time to time.

    Every epoch depends on the variables and on its own number alone, so going on from an older state repeats what was
    lost exactly.

    Parameters
    ----------
    path
        Where the state is kept; it is read when it is there.
    save_every_s
        At most so often it is written.

    Attributes
    ----------
    best_loss
        What the best epoch is chosen by; less is better.
    best
        The best epoch's weights.
    waited
        Epochs since then.
    """

    def __init__(self, model: Any, optimizer: Any, path: Path, save_every_s: float) -> None:
        self.model, self.optimizer, self.path, self.save_every_s = model, optimizer, path, save_every_s
        self.epoch = self.waited = 0
        self.best_loss = float("inf")
        self.best: list[np.ndarray] = model.get_weights()
        self.history: list[dict[str, Any]] = []
        self._saved_at = perf_counter()
        if path.exists():
            self._load()

    @property
    def kept(self) -> int:
        """The best epoch, counted from 1; 0 where none was better than the beginning."""
        return self.epoch - self.waited

    def note(
        self, row: dict[str, Any], loss: float | None, min_delta: float, weights: Sequence[np.ndarray] | None = None
    ) -> bool:
        """Note an epoch; returns whether it is the best so far.

        Parameters
        ----------
        row
            For the history.
        loss
            What epochs are compared by, less is better; None where the latest is the best.
        min_delta
            How much less it must be.
        weights
            The weights that it was measured with, where they are not the model's own.
        """
        better = loss is None or loss < self.best_loss - min_delta
        self.epoch += 1
        self.waited = 0 if better else self.waited + 1
        if better:
            self.best_loss = self.best_loss if loss is None else loss
            self.best = self.model.get_weights() if weights is None else list(weights)
        self.history.append(row)
        if perf_counter() - self._saved_at > self.save_every_s:
            self._save()
            self._saved_at = perf_counter()
        return better

    def restore_best(self) -> None:
        """Give the model the best epoch's weights."""
        self.model.set_weights(self.best)

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.optimizer.variables]

    def _save(self) -> None:
        facts = {name: getattr(self, name) for name in ("epoch", "waited", "best_loss", "history")}
        arrays = {f"variable_{i}": np.asarray(variable) for i, variable in enumerate(self._variables())}
        arrays |= {f"best_{i}": weight for i, weight in enumerate(self.best)}
        with atomic_file(self.path) as partial, partial.open("wb") as stream:
            np.savez(stream, facts=np.array(json.dumps(facts)), **arrays)

    def _load(self) -> None:
        with reading_arrays(self.path, "the state of this training; remove it to start the stage again") as kept:
            for name, value in json.loads(str(kept["facts"])).items():
                setattr(self, name, value)
            for i, variable in enumerate(self._variables()):
                variable.assign(kept[f"variable_{i}"])
            self.best = [kept[f"best_{i}"] for i in range(len(self.best))]
