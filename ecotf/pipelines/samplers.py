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
        ``plain``: every clip once, in a new order every epoch (uniform sampling). ``balanced``: clips are drawn with
        replacement, each with the weight of its class, as published for BirdCLEF. ``in_turn``: one clip of each class
        in turn, in a new order of classes every turn, and no clip of a class again before all its others (what PANNs
        call balanced; a clip of several classes belongs to each, one of no class never comes). ``alternating``: a
        batch ``in_turn``, a batch ``plain``, and so on (what PANNs call alternate).
    power
        Only of ``balanced``: a class with n of N clips has the weight (n / N) ** power: -0.5 as published for 2024, -1
        for 2023.
    clips
        How many clips are drawn in an epoch; by default as many as there are. Not of ``plain``.
    """

    name: Literal["plain", "balanced", "in_turn", "alternating"] = "plain"
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


def draw_order(table: ClipTable, config: SamplerConfig, seed: int, epoch: int, batch: int = 1) -> np.ndarray:
    """Return the clips of one epoch, as indices into ``table``; the same for the same seed and epoch.

    Parameters
    ----------
    batch
        Clips in a batch; ``alternating`` changes from batch to batch.
    """
    return _ORDERS[config.name](table, config, np.random.default_rng([seed, epoch]), batch)


def _each_once(table: ClipTable, config: SamplerConfig, rng: np.random.Generator, batch: int) -> np.ndarray:
    return rng.permutation(len(table))


def _by_weight(table: ClipTable, config: SamplerConfig, rng: np.random.Generator, batch: int) -> np.ndarray:
    weights = clip_weights(table, config.power)
    return rng.choice(len(table), config.clips or len(table), p=weights / weights.sum())


def _in_turn(table: ClipTable, config: SamplerConfig, rng: np.random.Generator, batch: int) -> np.ndarray:
    return _class_by_class(table, config.clips or len(table), rng)


def _alternating(table: ClipTable, config: SamplerConfig, rng: np.random.Generator, batch: int) -> np.ndarray:
    wanted = config.clips or len(table)
    turns = np.arange(wanted) // batch % 2 == 0
    order = np.empty(wanted, np.int64)
    order[turns] = _class_by_class(table, int(turns.sum()), rng)
    order[~turns] = _shuffled_again(np.arange(len(table)), wanted - int(turns.sum()), rng)
    return order


def _class_by_class(table: ClipTable, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """One clip of each class in turn; all clips alike where none has a class."""
    present = table.targets > 0
    classes = np.flatnonzero(present.any(axis=0))
    if not len(classes):
        return _shuffled_again(np.arange(len(table)), wanted, rng)
    turns = rng.permuted(np.tile(classes, (-(-wanted // len(classes)), 1)), axis=1).ravel()[:wanted]
    order = np.empty(wanted, np.int64)
    for code in classes:
        places = np.flatnonzero(turns == code)
        order[places] = _shuffled_again(np.flatnonzero(present[:, code]), len(places), rng)
    return order


def _shuffled_again(clips: np.ndarray, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """``wanted`` of the clips: all of them in a random order, then all in another one, and so on."""
    rounds = -(-wanted // len(clips))
    return rng.permuted(np.tile(clips, (rounds, 1)), axis=1).ravel()[:wanted]


_ORDERS = {"plain": _each_once, "balanced": _by_weight, "in_turn": _in_turn, "alternating": _alternating}


def draw_by_class(table: ClipTable, classes: int, clips: int, batches: int, seed: int, epoch: int) -> np.ndarray:
    """Draw batches of several classes, some clips of each: rows of ``table``, int64 ``[batches, classes * clips]``.

    All classes come before any of them comes again, and no clip of a class comes again before all its others.

    Parameters
    ----------
    classes
        In a batch; where there are fewer, all of them, and a batch is smaller.
    clips
        Of each class; a class with fewer has some of them twice.
    """
    rng = np.random.default_rng([seed, epoch])
    present = table.targets > 0
    there = np.flatnonzero(present.any(axis=0))
    classes = min(classes, len(there))
    rounds = -(-batches // (len(there) // classes))
    turns = rng.permuted(np.tile(there, (rounds, 1)), axis=1)[:, : len(there) // classes * classes]
    chosen = turns.reshape(-1, classes)[:batches]
    order = np.empty((batches, classes, clips), np.int64)
    for code in there:
        places = chosen == code
        order[places] = _shuffled_again(np.flatnonzero(present[:, code]), places.sum() * clips, rng).reshape(-1, clips)
    return order.reshape(batches, -1)


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


def with_at_most(table: ClipTable, maximum: int, seed: int) -> ClipTable:
    """Return the table with ``maximum`` clips of each class, drawn, in their old order; clips of no class all stay."""
    rng = np.random.default_rng(seed)
    main = _main_class(table.targets)
    kept = [np.flatnonzero(main < 0)]
    kept += [rng.permutation(np.flatnonzero(main == code))[:maximum] for code in range(table.targets.shape[1])]
    return table.take(np.sort(np.concatenate(kept)))


def _main_class(targets: np.ndarray) -> np.ndarray:
    """The class of each clip with the greatest target, -1 where it has none."""
    if not targets.shape[1]:
        return np.full(len(targets), -1)
    return np.where((targets > 0).any(axis=1), targets.argmax(axis=1), -1)
