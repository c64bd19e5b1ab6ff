"""The epochs of a fit: the part that all fits share.

The steps are not shared: those of networks on patches are Keras's own, those of networks on clips are written by hand.
One step for both would add up in another order and change the last bits of the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.errors import ConfigError
from ecotf.training.fit_state import FitState
from ecotf.training.run_store import Detail, Log

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Epoch:
    """One epoch, done and judged.

    Attributes
    ----------
    row
        For the history.
    text
        Its figures, for the log.
    loss
        What epochs are compared by, less is better; None where the latest epoch is the one to keep.
    weights
        The weights that it was judged with, where they are not the model's own.
    """

    row: dict[str, Any]
    text: str
    loss: float | None
    weights: list[np.ndarray] | None = None


@dataclass(frozen=True)
class Limits:
    """The limits of a fit.

    Attributes
    ----------
    epochs
        At the latest after so many.
    patience
        After so many that were no better; None: never.
    min_delta
        How much less the loss of a better epoch is.
    """

    epochs: int
    patience: int | None = None
    min_delta: float = 0.0


def run_epochs(
    title: str,
    state: FitState,
    limits: Limits,
    one_epoch: Callable[[int], Epoch],
    log: Log,
    check: Callable[[list[dict[str, Any]]], None] | None = None,
    noted: Callable[[dict[str, Any]], None] | None = None,
) -> pd.DataFrame:
    """Run the epochs that are left and give the model the best one's weights.

    Parameters
    ----------
    title
        What is fitted, for the log.
    one_epoch
        Trains and judges the epoch of this number, counted from 0; all that is random depends on the number alone.
    check
        Looks at the rows of what is done before every epoch but the first; ends the fit by raising.
    noted
        Takes each row once it is noted.

    Returns
    -------
    One row an epoch, those before an interruption included.
    """
    import pandas as pd

    if state.epoch:
        log(f"{title}: continues after epoch {state.epoch}/{limits.epochs}")
    while state.epoch < limits.epochs and (limits.patience is None or state.waited < limits.patience):
        if check is not None and state.history:
            check(state.history)
        epoch = one_epoch(state.epoch)
        better = state.note(epoch.row, epoch.loss, limits.min_delta, epoch.weights)
        best = "  best so far" if better and epoch.loss is not None else ""
        log(Detail(f"{title}: epoch {state.epoch}/{limits.epochs}  {epoch.text}{best}"))
        if noted is not None:
            noted(epoch.row)
    state.restore_best()
    return pd.DataFrame(state.history)


def require_numbers(what: str, epoch: int, learning_rate: float, *losses: float) -> None:
    """Raise `ConfigError` where a loss of the epoch, counted from 0, is not a number any more."""
    if not np.isfinite(losses).all():
        raise ConfigError(
            f"{what}: after epoch {epoch + 1} the loss is not a number; use a smaller learning_rate than "
            f"{learning_rate:g}"
        )
