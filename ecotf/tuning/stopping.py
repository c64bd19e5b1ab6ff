"""Early stopping: a trial whose network, or stage, stays below the median of earlier ones is not worth ending."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ecotf.evaluation.average_precision import average_precision
from ecotf.tuning.config import StoppingConfig
from ecotf.tuning.trial import Limits, Trial


class StoppedEarly(Exception):
    """A trial was not worth ending."""

    def __init__(self, network: str, scores: list[float], limit: float) -> None:
        super().__init__(
            f"{network}: {max(scores):.3f} after epoch {len(scores)}, the median of earlier trials is {limit:.3f}"
        )
        self.scores = {network: scores}
        self.epochs = len(scores)


def limits_from(trials: Sequence[Trial], config: StoppingConfig | None) -> Limits:
    """Compute the medians that a new trial is compared with.

    A trial that ended by itself (its patience ran out) stands with its best score in all later epochs, one that was
    stopped counts as far as it came. (Without the stopped ones the median would rise and rise.)

    Parameters
    ----------
    trials
        Those that the new one may know of.
    """
    done = [trial.outcome.scores for trial in trials if trial.outcome.status == "done" and trial.outcome.scores]
    if config is None or len(done) < config.after_trials:
        return {}
    stopped = [trial.outcome.scores for trial in trials if trial.outcome.status == "stopped"]
    found: Limits = {}
    for network in dict.fromkeys(name for scores in done for name in scores):
        ended = [scores[network] for scores in done if network in scores]
        if len(ended) < config.after_trials:
            continue
        longest = max(map(len, ended))
        reached = [_best_so_far(scores, longest, at_end=True) for scores in ended]
        reached += [_best_so_far(scores[network], longest, at_end=False) for scores in stopped if network in scores]
        medians = np.nanmedian(reached, axis=0)
        medians[: config.after_epochs - 1] = -1.0  # scores are from 0 to 1: nothing is below
        found[network] = medians.tolist()
    return found


def _best_so_far(scores: Sequence[float], length: int, at_end: bool) -> np.ndarray:
    best = np.full(length, np.nan)
    best[: len(scores)] = np.maximum.accumulate(scores)[:length]
    if at_end:
        best[len(scores) :] = max(scores)
    return best


class MedianWatch:
    """Measures a network after each epoch, and stops it where it stays below the medians."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._compiled: tuple[Any, Any] | None = None

    def measure(self, model: Any, batches: Any, targets: np.ndarray) -> float:
        """Compute the mean average precision over the classes of the validation patches, with "not a call"."""
        import tensorflow as tf

        if self._compiled is None or self._compiled[0] is not model:
            self._compiled = model, tf.function(lambda x: model(x, training=False), reduce_retracing=True)
        scores = np.concatenate([np.asarray(self._compiled[1](x)) for x, _, _ in batches])
        hits = targets > 0.5
        precisions = [
            average_precision(scores[:, column], hits[:, column], int(hits[:, column].sum()))
            for column in np.flatnonzero(hits.any(axis=0))
        ]
        return float(np.mean(precisions)) if precisions else 0.0

    def check(self, history: list[dict[str, Any]]) -> None:
        """Raise `StoppedEarly` where the best score so far is below the median."""
        self.check_scores(history[-1]["network"], [float(row["valid_score"]) for row in history])

    def check_scores(self, name: str, scores: Sequence[float]) -> None:
        """Check the scores of one network or stage, called ``name``, as `check` does."""
        medians = self.limits.get(name)
        if medians:
            limit = medians[min(len(scores), len(medians)) - 1]
            if max(scores) < limit:
                raise StoppedEarly(name, list(scores), limit)
