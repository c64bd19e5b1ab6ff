"""The run store and the log, as training sees them: a place for its results, and a function that takes its messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Log = Callable[[str], None]
"""The log: takes one line of text; less important lines are `Detail`."""


class Detail(str):
    """A line that matters less than others, such as one of many epochs: a console shows it dimmed.

    >>> log = print
    >>> log(Detail("calls: epoch 1/200  loss 0.3210"))
    calls: epoch 1/200  loss 0.3210
    """


def labelled(label: str, line: str) -> str:
    """Put a label in front of ``line``; a `Detail` stays one.

    >>> labelled("trial 3", Detail("epoch 1/2"))
    'trial 3: epoch 1/2'
    """
    return type(line)(f"{label}: {line}")


class EpochWatch(Protocol):
    """Looks at a fit between its epochs, and may end it by raising."""

    def measure(self, model: Any, batches: Any, targets: np.ndarray) -> float:
        """Measure the network on the validation patches; the history keeps it as ``valid_score``."""

    def check(self, history: list[dict[str, Any]]) -> None:
        """Check the epochs so far, one row each; called before every epoch but the first."""


class ScoreWatch(Protocol):
    """Looks at the scores that a fit measures itself, and may end it by raising."""

    def check_scores(self, name: str, scores: Sequence[float]) -> None:
        """Check the validation scores of the epochs so far; called before every epoch but the first.

        ``name`` is what is fitted: the title of a stage.
        """


class RunStore(Protocol):
    """A run folder, as far as training knows.

    Attributes
    ----------
    save_every_s
        The state of a fit is written at most so often, in seconds.
    """

    path: Path
    save_every_s: float

    def writing(self, name: str, *, folder: bool = False) -> AbstractContextManager[Path]:
        """Yield a temporary path that becomes ``name`` if the block succeeds."""

    def write_json(self, name: str, value: Any) -> None:
        """Write JSON."""

    def write_text(self, name: str, text: str) -> None:
        """Write text."""

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Write a table as CSV or Parquet."""

    def read_json(self, name: str) -> Any:
        """Read JSON."""

    def read_table(self, name: str) -> pd.DataFrame:
        """Read a table."""

    def has(self, name: str) -> bool:
        """Return whether the file is there."""

    def file(self, name: str) -> Path:
        """Path of a file that is there."""

    def step_done(self, name: str) -> bool:
        """Return whether a step was finished, now or before the training was interrupted."""

    def mark_done(self, name: str, **facts: Any) -> None:
        """Note that a step is finished."""

    def step_facts(self, name: str) -> dict[str, Any]:
        """Return the facts that were noted with a finished step."""
