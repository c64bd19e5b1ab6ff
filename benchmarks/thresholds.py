"""Thresholds of few validation calls on new recordings: that of highest F1, and the mean of resampled ones.

    python benchmarks/thresholds.py

Scores of calls and of false alarms are drawn from known distributions; a threshold is fitted on a few, and judged on
two thousand others. `events.md` has the table.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from ecotf.evaluation.average_precision import best_f1_threshold
from ecotf.evaluation.matching import Track
from ecotf.evaluation.steady_thresholds import steady_threshold

_SEED, _MISSED, _TESTED = 1979, 0.05, 2000
_GRID = np.linspace(0, 1, 101)


class Case(NamedTuple):
    """Logits of calls and of false alarms are normal; ``other`` is how far both move from one recording to another."""

    calls: tuple[float, float]
    alarms: tuple[float, float]
    alarms_a_call: int
    other: float = 0.0

    def draw(self, n: int, rng: np.random.Generator) -> Track:
        """Draw the candidates of ``n`` calls, of which some are missed."""
        n_hits, n_alarms = int((rng.random(n) >= _MISSED).sum()), int(rng.poisson(self.alarms_a_call * n))
        parts = [
            mean + self.other * rng.standard_normal() + deviation * rng.standard_normal(size)
            for (mean, deviation), size in ((self.calls, n_hits), (self.alarms, n_alarms))
        ]
        scores = 1 / (1 + np.exp(-np.concatenate(parts)))
        hits = np.arange(len(scores)) < n_hits
        return Track(scores, hits, np.zeros(len(scores), np.int64), np.array([n], np.int64))


CASES = {
    "told apart well": Case((2, 1.5), (-2, 1.5), 3),
    "told apart badly": Case((1, 2), (-3, 1.5), 8),
    "high scores": Case((3, 1), (-1, 1.5), 2),
    "low scores": Case((0, 1.5), (-3, 1), 5),
    "well, other recordings": Case((2, 1.5), (-2, 1.5), 3, 0.7),
    "badly, other recordings": Case((1, 2), (-3, 1.5), 8, 0.7),
}


def main() -> None:
    """Print F1 on new recordings, the mean and the worst tenth, for each case and number of calls."""
    print("| scores | calls | highest F1 | resampled | 0.5 | best there is |\n|---|---|---|---|---|---|")
    for name, case in CASES.items():
        for n in (3, 6, 12, 30, 100):
            rng = np.random.default_rng(_SEED)
            rows = []
            for _ in range(200 if n < 50 else 60):
                fitted_on, tested = case.draw(n, rng), case.draw(_TESTED, rng)
                if fitted_on.hits.any():
                    usual = best_f1_threshold(fitted_on.scores, fitted_on.hits, fitted_on.n_calls)
                    steady = steady_threshold(fitted_on)
                    rows.append([_f1(tested, usual), _f1(tested, steady), _f1(tested, 0.5), _best(tested)])
            found = np.array(rows)
            told = " | ".join(f"{one.mean():.3f} ({np.quantile(one, 0.1):.2f})" for one in found.T)
            print(f"| {name} | {n} | {told} |")


def _f1(track: Track, threshold: float) -> float:
    kept = track.scores >= threshold
    return float(2 * track.hits[kept].sum() / (kept.sum() + track.n_calls))


def _best(track: Track) -> float:
    return max(_f1(track, one) for one in _GRID)


if __name__ == "__main__":
    main()
