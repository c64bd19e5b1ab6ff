"""Pictures of a search: the best so far, and one panel for each parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.evaluation.detection_plot import save_figure
from ecotf.evaluation.drawing import drawing, literal
from ecotf.training.run_store import Log
from ecotf.tuning.config import TuningConfig
from ecotf.tuning.space import Bell, Choice, Interval
from ecotf.tuning.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DONE, _BEST, _BAD, _RECIPE = "#4c78a8", "#1b7837", "#b2182b", "#b35806"


def draw_progress(trials: Sequence[Trial], config: TuningConfig, title: str, path: Path) -> Path:
    """Draw every trial's metric, and the best so far; failed and stopped trials are marks along the bottom."""

    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    done = [trial for trial in trials if trial.metric is not None]
    numbers, metrics = [trial.number for trial in done], np.array([trial.metric for trial in done], float)
    accumulate = np.minimum.accumulate if config.direction == "minimise" else np.maximum.accumulate
    axes.plot(numbers, metrics, "o", color=_DONE, markersize=5, label="trial")
    if len(done):
        best = np.append(accumulate(metrics), accumulate(metrics)[-1])
        axes.step([*numbers, trials[-1].number], best, where="post", color=_BEST, linewidth=2, label="best so far")
    _mark_given(axes, [(trial.number, trial) for trial in done])
    for status, mark in (("failed", "x"), ("stopped", "|")):
        at = [trial.number for trial in trials if trial.outcome.status == status]
        if at:
            axes.plot(at, np.full(len(at), 0.02), mark, color=_BAD, transform=axes.get_xaxis_transform(), label=status)
    axes.set(xlabel="trial", ylabel=literal(config.metric))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(literal(title), fontsize=11)
    axes.legend(fontsize=9, loc="best")
    return save_figure(figure, path)


def draw_parameters(trials: Sequence[Trial], config: TuningConfig, title: str, path: Path) -> Path:
    """Draw the metric over each parameter, one panel for each; later trials are darker, the best one is ringed."""

    from matplotlib.figure import Figure

    keys = list(config.space)
    columns = 2 if len(keys) == 4 else min(3, len(keys))
    rows = math.ceil(len(keys) / columns)
    figure = Figure(figsize=(3.6 * columns, 2.9 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    done = [trial for trial in trials if trial.metric is not None]
    lost = [trial for trial in trials if trial.metric is None]
    best = min(done, key=lambda trial: config.loss(trial.metric), default=None)  # type: ignore[arg-type]
    for axes, key in zip(panels, keys, strict=False):
        expression = config.space[key]
        jitter = np.random.default_rng(0).uniform(-0.12, 0.12, len(trials)) if _is_words(expression) else None
        place = {trial.number: _place(expression, trial.values[key], jitter, i) for i, trial in enumerate(trials)}
        axes.scatter(
            [place[trial.number] for trial in done], [trial.metric for trial in done],
            c=[trial.number for trial in done], cmap="Blues", vmin=-len(trials) / 2, s=22, edgecolor="#777777",
            linewidth=0.3,
        )  # fmt: skip
        _mark_given(axes, [(place[trial.number], trial) for trial in done])
        if lost:
            axes.plot([place[trial.number] for trial in lost], np.full(len(lost), 0.03), "x", color=_BAD, markersize=4,
                      transform=axes.get_xaxis_transform())  # fmt: skip
        if best is not None:
            axes.plot(place[best.number], best.metric, "o", markerfacecolor="none", color=_BEST, markersize=11,
                      markeredgewidth=2)  # fmt: skip
        _scale(axes, expression)
        axes.set_xlabel(key, fontsize=9)
        axes.tick_params(labelsize=8)
    for axes in panels[len(keys) :]:
        axes.set_visible(False)
    for row in range(rows):
        panels[row * columns].set_ylabel(literal(config.metric), fontsize=9)
    figure.suptitle(
        f"{literal(title)}   (ring: the best; square: the recipe as it was; x: failed or stopped)", fontsize=10
    )
    return save_figure(figure, path)


def _mark_given(axes: Axes, places: Sequence[tuple[float, Trial]]) -> None:
    for place, trial in places:
        if trial.origin != "search":
            label = "the recipe as it was" if trial.origin == "recipe" else "starting point"
            mark = "s" if trial.origin == "recipe" else "D"
            axes.plot(place, trial.metric, mark, color=_RECIPE, markersize=6, label=label)  # type: ignore[arg-type]


def _is_words(expression: Choice | Interval | Bell) -> bool:
    """Return whether the options are drawn side by side rather than along an axis of numbers."""
    if not isinstance(expression, Choice):
        return False
    return not all(isinstance(option, int | float) and not isinstance(option, bool) for option in expression.options)


def _place(expression: Choice | Interval | Bell, value: Any, jitter: np.ndarray | None, index: int) -> float:
    if jitter is None:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if is_number else math.nan  # the recipe's own may be none; it has no place on the axis
    return expression.nearest(value) + float(jitter[index])


def _scale(axes: Axes, expression: Choice | Interval | Bell) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if _is_words(expression):
        assert isinstance(expression, Choice)
        words = [literal(str(option)) for option in expression.options]
        axes.set_xticks(range(len(words)), [word if len(word) < 14 else f"{word[:12]}…" for word in words])
        return
    low, high = 0.0, 0.0
    if isinstance(expression, Choice) and len(expression.options) > 2:
        low, high = min(expression.options), max(expression.options)
    elif isinstance(expression, Interval) and "log" in expression.name:
        low, high = expression.low, expression.high
    if "log" in expression.name or (low > 0 and high / low >= 20):
        axes.set_xscale("log")
        # Between decades only where there are few of them, or the numbers run into each other.
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if low > 0 and high / low < 200 else (1.0,)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())


def write_pictures(
    trials: Sequence[Trial], config: TuningConfig, name: str, folder: Path, log: Log = print
) -> Mapping[str, Path]:
    """Draw both pictures into ``folder``; one that cannot be drawn is logged and left out."""
    counted = f"{name}: {len(trials)} trials"
    drawn = {}
    for words, draw, file in (
        ("best so far", draw_progress, "best_so_far.png"),
        ("parameters", draw_parameters, "parameters.png"),
    ):
        with drawing(file, log):
            drawn[words] = draw(trials, config, counted, folder / file)
    return drawn
