"""How the number of species grows with the days that were recorded, in random orders of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecotf.datasets.labels import UNNAMED_LABELS, unnamed_among
from ecotf.surveying.survey import Survey

ORDERS = 200
_POINTS = 200


@dataclass(frozen=True)
class Accumulation:
    """Species found in the first ``days`` site-days: mean, and the middle 95 % of random orders.

    ``species`` are those that count; labels that name no species do not.
    """

    days: NDArray[np.int64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    species: tuple[str, ...]


def accumulate(survey: Survey, orders: int = ORDERS, seed: int = 0) -> Accumulation:
    """Put the site-days on which something was recorded into random orders, and count species along them."""
    recorded = survey.days[survey.days["state"] == "recorded"]
    place = {key: row for row, key in enumerate(zip(recorded["site"], recorded["day"], strict=True))}
    unnamed = set(unnamed_among(survey.labels, UNNAMED_LABELS))
    species = tuple(label for label in survey.labels if label not in unnamed)
    found = survey.detections[["site", "day", "label"]].drop_duplicates()
    rows = {
        label: np.array([place[key] for key in zip(own["site"], own["day"], strict=True) if key in place])
        for label, own in found.groupby("label")
    }
    seen = [rows[label] for label in species if len(rows[label])]
    days = np.unique(np.linspace(0, len(place), min(_POINTS, len(place) + 1)).round().astype(np.int64))
    rng = np.random.default_rng(seed)
    counts = np.zeros((orders, len(days)))
    for number in range(orders):
        rank = rng.permutation(len(place))
        first = np.sort([rank[own].min() for own in seen]) if seen else np.zeros(0)
        counts[number] = np.searchsorted(first, days, side="left")
    low, high = np.percentile(counts, [2.5, 97.5], axis=0)
    return Accumulation(days, counts.mean(axis=0), low, high, species)
