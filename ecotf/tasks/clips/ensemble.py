"""Several runs of task clips that answer as one, over one reading of the sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecotf.errors import ConfigError
from ecotf.evaluation.segment_metrics import fit_clip_thresholds, padded_cmap
from ecotf.files import reading_arrays
from ecotf.tasks.base import Cuts, Run, StreamOptions
from ecotf.tasks.clips.answering import Answering, joined_logits
from ecotf.tasks.clips.plan import ClipPlan
from ecotf.tasks.clips.run import ClipsRun
from ecotf.tasks.clips.stream import (
    SHORTEST_S,
    SegmentStream,
    check_options,
    cuts_of,
    segment_table,
)

if TYPE_CHECKING:
    import pandas as pd

_STEP = 0.05


@dataclass(frozen=True)
class ClipsEnsemble:
    """Runs that answer together: the weighted mean of their logits, class by class, over those that know the class.

    Its detections are segments.

    Attributes
    ----------
    weights
        Of each run; they need not add up to 1.
    classes
        Of all runs, sorted.
    """

    runs: tuple[ClipsRun, ...]
    weights: tuple[float, ...]
    classes: tuple[str, ...]
    thresholds: dict[str, float] = field(repr=False)

    @property
    def path(self) -> Path:
        """The folder of the first run."""
        return self.runs[0].path

    @property
    def paths(self) -> tuple[Path, ...]:
        """The folders of all runs."""
        return tuple(run.path for run in self.runs)

    @property
    def recipe(self) -> ClipPlan:
        """The recipe of the first run: segments, rate and ends are those of all."""
        return self.runs[0].recipe

    @property
    def title(self) -> str:
        """The recipes of all runs, and how much each counts."""
        shares = np.array(self.weights) / sum(self.weights)
        named = zip(self.runs, shares, strict=True)
        return ", ".join(f"{run.recipe.name} {share:.2f}" for run, share in named)

    @property
    def shortest_s(self) -> float:
        """Shorter sound has no answer; seconds."""
        return SHORTEST_S

    @property
    def segment_s(self) -> float:
        """Length of a segment, seconds."""
        return self.runs[0].segment_s

    def check(self, options: StreamOptions) -> None:
        """Refuse a gate: there is none (`ConfigError`)."""
        check_options(options)

    def stream_rate(self, sample_rate: int) -> int:
        """Return the rate of the models, in Hz; sound of every other rate is resampled to it."""
        return self.runs[0].stream_rate(sample_rate)

    def open_stream(self, sample_rate: int, options: StreamOptions) -> SegmentStream:
        """Begin to listen to one channel; raises `ConfigError` for another rate than `stream_rate`, or a gate."""
        return SegmentStream(self._answering, sample_rate, options)

    def cuts(self, sample_rate: int, options: StreamOptions) -> Cuts | None:
        """Return where a channel may be cut: between batches of segments, not within events."""
        return cuts_of(self._answering, sample_rate, options)

    def scores(self, sound: np.ndarray, sample_rate: int) -> pd.DataFrame:
        """Score every class in every segment of sound ``[n]``, before thresholds."""
        return segment_table(self._answering, sound, sample_rate)

    def embed(self, sound: np.ndarray, sample_rate: int) -> np.ndarray:
        """Refuse: raises `ConfigError`."""
        raise ConfigError(f"{len(self.runs)} runs together have no embedding; embed with one of them")

    def embed_each(self, windows: np.ndarray, sample_rate: int, whole: bool) -> np.ndarray:
        """Refuse: raises `ConfigError`."""
        return self.embed(windows, sample_rate)

    @property
    def _answering(self) -> Answering:
        models, configs = zip(*((run.model, run.recipe.inference) for run in self.runs), strict=True)
        return Answering(models, configs, self.weights, self.classes, self.thresholds)


def join_runs(runs: Sequence[ClipsRun], weights: Sequence[float] | str | None = None) -> Run:
    """Make one run of runs; a single one stays what it is.

    Parameters
    ----------
    weights
        By default all count alike; ``fit`` chooses them by the validation segments that the runs share.

    Raises
    ------
    ConfigError
        The runs cannot answer together: other segments, another sample rate, or weights that are none.
    """
    first = runs[0].recipe
    for run in runs[1:]:
        own = run.recipe
        for name, mine, theirs in (
            ("inference.segment_s", f"{first.inference.segment_s:g}", f"{own.inference.segment_s:g}"),
            ("sample_rate", f"{runs[0].model.sample_rate:g}", f"{run.model.sample_rate:g}"),
            ("inference.ends", first.inference.ends, own.inference.ends),
        ):
            if mine != theirs:
                raise ConfigError(
                    f"{run.path}: {name} is {theirs}, and {mine} in {runs[0].path}; runs that answer together "
                    "have the same"
                )
    if weights == "fit":
        chosen = fit_weights(runs)
    else:
        chosen = [1.0] * len(runs) if weights is None else [float(weight) for weight in weights]
    if len(chosen) != len(runs) or min(chosen) < 0 or not sum(chosen) > 0:
        raise ConfigError(f"weights {chosen} for {len(runs)} runs: one for each is needed, none below 0, not all 0")
    if len(runs) == 1:
        return runs[0]
    classes = tuple(sorted({name for run in runs for name in run.model.classes}))
    return ClipsEnsemble(tuple(runs), tuple(chosen), classes, _thresholds(runs, chosen, classes))


def fit_weights(runs: Sequence[ClipsRun]) -> list[float]:
    """Fit weights, in steps of 0.05, to the highest padded cmAP on the validation segments of the runs.

    Raises
    ------
    ConfigError
        The runs have no validation segments, or not the same.
    """
    found = _validation(runs)
    if found is None:
        raise ConfigError(
            "weights cannot be fitted: the runs have no validation segments, or not the same; train them on one "
            "manifest with its splits written down"
        )
    logits, names, truth, classes = found

    def quality(weights: np.ndarray) -> float:
        return padded_cmap(truth, joined_logits(logits, names, weights.tolist(), classes))

    weights = np.full(len(runs), 1 / len(runs))
    best = quality(weights)
    while True:
        moves = []
        for i in range(len(runs)):
            for j in range(len(runs)):
                step = min(_STEP, weights[i])
                if i != j and step > 1e-9:
                    moved = weights.copy()
                    moved[i], moved[j] = moved[i] - step, moved[j] + step
                    moves.append((quality(moved), moved))
        if not moves or max(moves, key=lambda move: move[0])[0] <= best + 1e-12:
            return [round(float(weight), 6) for weight in weights]
        best, weights = max(moves, key=lambda move: move[0])


def _thresholds(runs: Sequence[ClipsRun], weights: Sequence[float], classes: Sequence[str]) -> dict[str, float]:
    """Fit thresholds on the validation segments that the runs share, or else take the mean of their own."""
    from scipy.special import expit, logit

    found = _validation(runs)
    if found is not None:
        logits, names, truth, classes = found
        scores = expit(joined_logits(logits, names, weights, classes))
        return fit_clip_thresholds(truth, scores, classes)[0]
    means = {}
    for name in classes:
        own = [(w, run.thresholds[name]) for w, run in zip(weights, runs, strict=True) if name in run.thresholds]
        levels = logit(np.clip([level for _, level in own], 1e-6, 1 - 1e-6))
        shares = [w for w, _ in own] if sum(w for w, _ in own) > 0 else None
        means[name] = float(expit(np.average(levels, weights=shares)))
    return means


def _validation(
    runs: Sequence[ClipsRun],
) -> tuple[list[np.ndarray], list[tuple[str, ...]], np.ndarray, tuple[str, ...]] | None:
    """Return logits, class names and truth on the runs' common validation segments; None unless they are the same."""
    if not all((run.path / "validation.npz").exists() for run in runs):
        return None
    kept = []
    for run in runs:
        with reading_arrays(run.path / "validation.npz", "the validation segments of a run") as arrays:
            kept.append({name: arrays[name] for name in ("recording", "start_s", "classes", "targets", "logits")})
    first = kept[0]
    classes = tuple(sorted({name for run in runs for name in run.model.classes}))
    truth = np.zeros((len(first["start_s"]), len(classes)))
    for one in kept:
        # Each run writes paths relative to its own manifest: the places, and the names without folders, must agree.
        stems = [[Path(str(name)).name for name in table["recording"]] for table in (one, first)]
        if stems[0] != stems[1] or not np.array_equal(one["start_s"], first["start_s"]):
            return None
        at = [classes.index(str(name)) for name in one["classes"]]
        truth[:, at] = np.maximum(truth[:, at], one["targets"])
    names = [tuple(str(name) for name in one["classes"]) for one in kept]
    return [one["logits"] for one in kept], names, truth.astype(int), classes
