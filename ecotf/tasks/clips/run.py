"""Runs of task clips over recordings: one or several, over one reading of the sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ecotf.audio.recording import ChannelChoice, Recording
from ecotf.config import read_yaml
from ecotf.detection.frame_events import find_events
from ecotf.detection.naming import name_calls
from ecotf.detection.segments import SegmentCollector, SegmentScores, margin_of, segment_windows
from ecotf.errors import ConfigError, RecordingError
from ecotf.evaluation.segment_metrics import fit_clip_thresholds, padded_cmap
from ecotf.files import reading_arrays
from ecotf.models.tagger import WEIGHTS, ClipModel, build_clip_model
from ecotf.runs import RunFolder
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.recipes import parse_recipe

if TYPE_CHECKING:
    import pandas as pd

_BLOCK_S = 10.0
SHORTEST_S = 0.1
_STEP = 0.05


@dataclass(frozen=True)
class ClipRun:
    """A run of task clips that is ready to classify.

    Attributes
    ----------
    thresholds
        Of every class, for rows.
    event_thresholds
        The same for events; None where the run has none.
    """

    path: Path
    recipe: ClipRecipe
    model: ClipModel
    thresholds: dict[str, float]
    event_thresholds: dict[str, float] | None


class Rows(NamedTuple):
    """All rows of one channel: their probabilities ``[rows, classes]``, and what events are found in, if asked for."""

    probabilities: np.ndarray
    scores: SegmentScores


def load_clip_run(path: str | Path) -> ClipRun:
    """Read the run folder at ``path``; raises `ConfigError` when it is half written, or is of another task."""

    import pandas as pd

    run = RunFolder.open(path)
    recipe = parse_recipe(read_yaml(run.file("recipe.yaml")), str(run.file("recipe.yaml")))
    if not isinstance(recipe, ClipRecipe):
        raise ConfigError(f"{path}: a run of task calls ({recipe.name}); here one of task clips is needed")
    # As text: a class may be called "007".
    classes = pd.read_csv(run.file("labels.csv"), dtype=str, keep_default_na=False)["label"].tolist()
    model = build_clip_model(
        recipe.inference_network, classes, recipe.front_end, recipe.level, recipe.sample_rate, recipe.clips.seconds,
        recipe.activation, pretrained=False,
    )  # fmt: skip
    model.network.load(run.file("model") / WEIGHTS)
    fitted = run.read_json("thresholds.json")
    return ClipRun(run.path, recipe, model, dict(fitted["thresholds"]), fitted.get("events"))


@dataclass(frozen=True)
class ClipEnsemble:
    """Runs that answer together: the weighted mean of their logits, class by class, over those that know the class.

    Attributes
    ----------
    weights
        Of each run; they need not add up to 1.
    classes
        Of all runs, sorted.
    """

    runs: tuple[ClipRun, ...]
    weights: tuple[float, ...]
    classes: tuple[str, ...]
    thresholds: dict[str, float] = field(repr=False)

    @property
    def segment_s(self) -> float:
        """Length of a row."""
        return self.runs[0].recipe.inference.segment_s

    @property
    def reports_events(self) -> bool:
        """Whether detections are events in place of rows: of a single run that says so."""
        return len(self.runs) == 1 and self.runs[0].recipe.inference.report == "events"

    def score(self, recording: Recording, channel: ChannelChoice) -> tuple[Rows, bool]:
        """All rows of one channel, and whether it is silent. The sound is read once, block by block."""

        from scipy.special import expit

        rate = self.runs[0].recipe.sample_rate
        collectors = [SegmentCollector(run.model, run.recipe.inference) for run in self.runs]
        margin = max(margin_of(run.model, run.recipe.inference) for run in self.runs)
        lowest, highest = np.inf, -np.inf

        def sound() -> Any:
            nonlocal lowest, highest
            for block in recording.blocks(round(_BLOCK_S * rate), channel=channel, sample_rate=rate):
                lowest, highest = min(lowest, float(block.min())), max(highest, float(block.max()))
                yield block

        ends = self.runs[0].recipe.inference.ends
        for window in segment_windows(sound(), round(self.segment_s * rate), margin, ends):
            for collector in collectors:
                collector.push(window)
        answers = [collector.finish() for collector in collectors]
        logits = joined_logits(
            [a.rows for a in answers], [r.model.classes for r in self.runs], self.weights, self.classes
        )
        return Rows(expit(logits), answers[0]), not lowest < highest

    def detections(self, rows: Rows, duration_s: float, threshold: float | None) -> pd.DataFrame:
        """What reaches its threshold: rows, or events."""

        import pandas as pd
        from scipy.special import expit

        first = self.runs[0]
        band = first.recipe.front_end.low_hz, first.recipe.front_end.high_hz
        scores = rows.scores.until(duration_s)
        if self.reports_events and scores.frames is not None:
            found = find_events(
                expit(scores.frames.astype(np.float64)), scores.frame_times, scores.frame_s,
                first.model.classes, band, first.recipe.inference.events,
            )  # fmt: skip
            found = found.assign(end_s=np.minimum(found["end_s"], duration_s))
            fitted = first.event_thresholds or first.thresholds
            return name_calls(found, fitted if threshold is None else dict.fromkeys(fitted, threshold), unnamed=False)
        level = np.array([self.thresholds[name] if threshold is None else threshold for name in self.classes])
        row, code = np.nonzero(rows.probabilities >= level)
        return pd.DataFrame(
            {
                "start_s": row * self.segment_s,
                "end_s": np.minimum((row + 1) * self.segment_s, duration_s),
                "low_hz": band[0],
                "high_hz": band[1],
                "label": np.array(self.classes, object)[code],
                "score": rows.probabilities[row, code],
            }
        )


def check_length(recording: Recording) -> None:
    """Refuse a recording in which nothing could be heard; raises `RecordingError`."""
    if recording.duration_s < SHORTEST_S:
        raise RecordingError(
            f"{recording.duration_s * 1000:.1f} ms long; at least {SHORTEST_S * 1000:.0f} ms are needed", "short"
        )


def join_runs(runs: Sequence[ClipRun], weights: Sequence[float] | None = None) -> ClipEnsemble:
    """Make one classifier of runs.

    Parameters
    ----------
    weights
        By default all count alike.

    Raises
    ------
    ConfigError
        The runs cannot be put together: other rows, another sample rate, or weights that are none.
    """
    first = runs[0].recipe
    for run in runs[1:]:
        own = run.recipe
        for name, mine, theirs in (
            ("inference.segment_s", f"{first.inference.segment_s:g}", f"{own.inference.segment_s:g}"),
            ("sample_rate", f"{first.sample_rate:g}", f"{own.sample_rate:g}"),
            ("inference.ends", first.inference.ends, own.inference.ends),
        ):
            if mine != theirs:
                raise ConfigError(
                    f"{run.path}: {name} is {theirs}, and {mine} in {runs[0].path}; runs that answer together "
                    "have the same"
                )
    chosen = [1.0] * len(runs) if weights is None else list(weights)
    if len(chosen) != len(runs) or min(chosen) < 0 or not sum(chosen) > 0:
        raise ConfigError(f"weights {chosen} for {len(runs)} runs: one for each is needed, none below 0, not all 0")
    classes = tuple(sorted({name for run in runs for name in run.model.classes}))
    ensemble = ClipEnsemble(tuple(runs), tuple(chosen), classes, {})
    return ClipEnsemble(ensemble.runs, ensemble.weights, classes, _thresholds(ensemble))


def joined_logits(
    logits: Sequence[np.ndarray], names: Sequence[Sequence[str]], weights: Sequence[float], classes: Sequence[str]
) -> np.ndarray:
    """Weighted mean of logits, float64 ``[rows, classes]``; each class over those that know it, by name."""
    total = np.zeros((len(logits[0]), len(classes)))
    weight = np.zeros(len(classes))
    place = {name: k for k, name in enumerate(classes)}
    plain, count = np.zeros_like(total), np.zeros(len(classes))
    for values, own, share in zip(logits, names, weights, strict=True):
        at = [place[name] for name in own]
        total[:, at] += share * values
        plain[:, at] += values
        weight[at] += share
        count[at] += 1
    # A class that only runs of weight 0 know is answered by those alike.
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1), plain / np.maximum(count, 1))


def fit_weights(runs: Sequence[ClipRun]) -> list[float]:
    """Weights that give the highest padded cmAP on the validation rows of the runs, in steps of 0.05.

    Raises
    ------
    ConfigError
        The runs have no validation rows, or not the same.
    """
    found = _validation(runs)
    if found is None:
        raise ConfigError(
            "weights cannot be fitted: the runs have no validation rows, or not the same; train them on one manifest "
            "with its splits written down"
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


def _thresholds(ensemble: ClipEnsemble) -> dict[str, float]:
    """Of one run its own; of several fitted on the validation rows that they share, or else the mean of their own."""

    from scipy.special import expit, logit

    runs = ensemble.runs
    if len(runs) == 1:
        return runs[0].thresholds
    found = _validation(runs)
    if found is not None:
        logits, names, truth, classes = found
        scores = expit(joined_logits(logits, names, ensemble.weights, classes))
        return fit_clip_thresholds(truth, scores, classes)[0]
    means = {}
    for name in ensemble.classes:
        own = [
            (w, run.thresholds[name]) for w, run in zip(ensemble.weights, runs, strict=True) if name in run.thresholds
        ]
        levels = logit(np.clip([level for _, level in own], 1e-6, 1 - 1e-6))
        shares = [w for w, _ in own] if sum(w for w, _ in own) > 0 else None
        means[name] = float(expit(np.average(levels, weights=shares)))
    return means


def _validation(
    runs: Sequence[ClipRun],
) -> tuple[list[np.ndarray], list[tuple[str, ...]], np.ndarray, tuple[str, ...]] | None:
    """Logits, class names and truth on the rows that all runs were validated on; None unless they are the same."""
    if not all((run.path / "validation.npz").exists() for run in runs):
        return None
    kept = []
    for run in runs:
        with reading_arrays(run.path / "validation.npz", "the validation rows of a run") as arrays:
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
