"""In which order clips come, how often, and what rare classes weigh."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from ecotf.config import Config
from ecotf.pipelines.class_weights import power_class_weights
from ecotf.pipelines.clips import ClipTable


class SamplerConfig(Config):
    """Which clips an epoch is made of.

    Attributes
    ----------
    name
        ``plain``: every clip once, in a new order every epoch. ``balanced``: clips are drawn with replacement, each
        with the weight of its class.
    power
        A class with n of N clips has the weight (n / N) ** power: -0.5 as published for 2024, -1 for 2023.
    clips
        How many clips are drawn in an epoch; by default as many as there are. Only of ``balanced``.
    """

    name: Literal["plain", "balanced"] = "plain"
    power: float = Field(-0.5, ge=-2, le=0)
    clips: int | None = Field(None, ge=1)


def class_counts(table: ClipTable) -> np.ndarray:
    """int ``[classes]``: in how many clips each class is the strongest label (the first of several)."""
    main = _main_class(table.targets)
    return np.bincount(main[main >= 0], minlength=table.targets.shape[1])


def class_weights(table: ClipTable, power: float = -0.5) -> np.ndarray:
    """(n / N) ** power for each class, float32 ``[classes]``; a class without clips weighs as one with one clip."""
    return power_class_weights(class_counts(table), len(table), power)


def clip_weights(table: ClipTable, power: float = -0.5) -> np.ndarray:
    """Return the weight of each clip's strongest class, float64 ``[n]``; those without one are a class of their own."""
    main = _main_class(table.targets)
    weights = class_weights(table, power).astype(np.float64)
    without = max(1, int((main < 0).sum())) / max(1, len(table))
    return np.where(main >= 0, weights[np.maximum(main, 0)], without**power)


def draw_order(table: ClipTable, config: SamplerConfig, seed: int, epoch: int) -> np.ndarray:
    """Return the clips of one epoch, as indices into ``table``; the same for the same seed and epoch."""
    return _ORDERS[config.name](table, config, np.random.default_rng([seed, epoch]))


def _each_once(table: ClipTable, config: SamplerConfig, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(len(table))


def _by_weight(table: ClipTable, config: SamplerConfig, rng: np.random.Generator) -> np.ndarray:
    weights = clip_weights(table, config.power)
    return rng.choice(len(table), config.clips or len(table), p=weights / weights.sum())


_ORDERS = {"plain": _each_once, "balanced": _by_weight}


def with_at_least(table: ClipTable, minimum: int, seed: int) -> ClipTable:
    """Return the table with clips of rare classes repeated at its end, so that each class has ``minimum``.

    Every clip of a rare class comes again before any of them comes a third time. A class without clips stays without.
    """
    rng = np.random.default_rng(seed)
    main = _main_class(table.targets)
    more: list[np.ndarray] = [np.arange(len(table))]
    for code, count in enumerate(class_counts(table)):
        own, wanted = np.flatnonzero(main == code), minimum - int(count)
        if len(own) and wanted > 0:
            more.append(np.concatenate([rng.permutation(own) for _ in range(-(-wanted // len(own)))])[:wanted])
    return table.take(np.concatenate(more))


def _main_class(targets: np.ndarray) -> np.ndarray:
    """The class of each clip with the greatest target, -1 where it has none."""
    if not targets.shape[1]:
        return np.full(len(targets), -1)
    return np.where((targets > 0).any(axis=1), targets.argmax(axis=1), -1)
