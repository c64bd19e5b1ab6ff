"""The results of a search: the table of trials, a summary of the failures, and the changes of the best trial."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ecotf.files import atomic_file
from ecotf.tuning.search import Search
from ecotf.tuning.space import alike
from ecotf.tuning.trial import Trial

if TYPE_CHECKING:
    import pandas as pd


def trial_table(trials: Sequence[Trial], metric: str) -> pd.DataFrame:
    """Make a row per trial: ``trial, status, origin, <metric>, epochs, seconds``, each key, ``reason, finished``."""

    import pandas as pd

    rows = [
        {
            "trial": trial.number,
            "status": trial.outcome.status,
            "origin": trial.origin,
            metric: trial.metric,
            "epochs": trial.outcome.epochs,
            "seconds": trial.seconds,
            **trial.values,
            "reason": trial.outcome.reason,
            "finished": trial.finished,
        }
        for trial in trials
    ]
    table = pd.DataFrame(rows)
    if len(table):
        last = ["reason", "finished"]
        table = table[[column for column in table if column not in last] + last]
    return table


def write_table(trials: Sequence[Trial], metric: str, path: Path) -> None:
    """Write the table as CSV; whole or not at all."""
    with atomic_file(path) as partial:
        trial_table(trials, metric).to_csv(partial, index=False)


def failures(trials: Sequence[Trial]) -> list[str]:
    """List why trials failed, one line for each reason, most frequent first, and one line for those stopped early."""

    import pandas as pd

    lines = []
    failed = pd.Series([trial.outcome.reason for trial in trials if trial.outcome.status == "failed"], dtype=object)
    for reason, count in failed.value_counts().items():
        first = next(trial.number for trial in trials if trial.outcome.reason == reason)
        lines.append(f"{count} failed (first: trial {first}): {reason}")
    stopped = [trial for trial in trials if trial.outcome.status == "stopped"]
    if stopped:
        epochs = sum(trial.outcome.epochs for trial in stopped) / len(stopped)
        lines.append(f"{len(stopped)} were stopped early, after {epochs:.1f} epochs on average")
    return lines


def changes(search: Search, before: dict[str, object]) -> list[str]:
    """List the settings in which the best trial differs from the recipe: ``key: old -> new``."""
    best = search.best
    if best is None:
        return []
    return [
        f"{key}: {_short(before.get(key))} -> {_short(value)}"
        for key, value in best.values.items()
        if not alike(before.get(key), value)
    ]


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
