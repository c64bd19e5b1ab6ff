"""Train on clips: stage after stage, each kept as soon as it is done, and the model judged at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.audio.recording import open_recording
from ecotf.datasets.manifest import Manifest
from ecotf.detection.frame_events import find_events
from ecotf.detection.segment_model import SegmentModel
from ecotf.detection.segments import SegmentCollector, SegmentScores, margin_of, segment_windows
from ecotf.errors import RecordingError
from ecotf.evaluation.matching import CALL_LABEL
from ecotf.evaluation.metrics import evaluate
from ecotf.evaluation.segment_intervals import Resampling
from ecotf.evaluation.segment_metrics import accuracy, clip_metrics, counted_labels, fit_clip_thresholds
from ecotf.evaluation.thresholds import FittedThresholds, fit_thresholds
from ecotf.tasks.base import Trained
from ecotf.tasks.clips.data import ClipData
from ecotf.tasks.clips.plan import ClipPlan, StageModels
from ecotf.tasks.clips.stages import Material, stage_name
from ecotf.training.run_store import Log, RunStore, ScoreWatch
from ecotf.training.stages import STAGES, FitPlace

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ScoredSegments:
    """Rows of recordings with their truth.

    Attributes
    ----------
    table
        ``recording, start_s`` of each segment.
    logits, targets
        ``[segments, classes]``.
    candidates
        Events found in the frames; None where they are not judged.
    """

    table: pd.DataFrame
    logits: np.ndarray
    targets: np.ndarray
    candidates: pd.DataFrame | None

    @property
    def probabilities(self) -> np.ndarray:
        """``[segments, classes]``"""
        from scipy.special import expit

        return np.asarray(expit(self.logits.astype(np.float64)))


def train_clips(
    plan: ClipPlan,
    data: ClipData,
    run_store: RunStore,
    log: Log,
    threads: int = 2,
    watch: ScoreWatch | None = None,
) -> Trained[SegmentModel]:
    """Run the stages; those that were finished before an interruption are not repeated.

    ``watch`` looks at the epochs of every stage.
    """

    import pandas as pd

    classes, models = data.classes(plan.stages[-1]), plan.models(data.cache)
    for number, stage in enumerate(plan.stages):
        folder = stage_name(number, stage)
        if run_store.step_done(folder):
            log(f"stage {number + 1}/{len(plan.stages)} {stage.title}: was finished before")
        else:
            _run_stage(models, data, run_store, log, threads, number, watch)
    histories = [run_store.read_table(f"{stage_name(i, stage)}/history.csv") for i, stage in enumerate(plan.stages)]
    model = models.finished(run_store.file(stage_name(len(plan.stages) - 1, plan.stages[-1])), classes)
    return Trained(model, classes, pd.concat(histories, ignore_index=True))


def _run_stage(
    models: StageModels,
    data: ClipData,
    run_store: RunStore,
    log: Log,
    threads: int,
    number: int,
    watch: ScoreWatch | None,
) -> None:
    plan = data.plan
    stage, folder = plan.stages[number], stage_name(number, plan.stages[number])
    classes = data.classes(stage)
    model, start = models.begin(number, classes, run_store)
    log(f"stage {number + 1}/{len(plan.stages)} {stage.title}: {len(classes)} classes, {start}")
    checkpoint = run_store.path / f".fitting_{folder.replace('/', '_')}.npz"
    logs = plan.tensorboard_folder(run_store.path, stage.title)
    # Each stage has its own random numbers; the run's seed and the stage's number give them.
    seed = int(np.random.SeedSequence([plan.seed, number]).generate_state(1)[0] >> 1)
    place = FitPlace(checkpoint, log, watch, threads, run_store.save_every_s, logs)
    fitted = STAGES.build(stage, model, Material(data, classes, seed), place)
    with run_store.writing(folder, folder=True) as partial:
        models.keep(fitted.model, classes, partial)
        fitted.history.to_csv(partial / "history.csv", index=False)
    checkpoint.unlink(missing_ok=True)
    run_store.mark_done(folder, classes=list(classes))


def score_recording(model: SegmentModel, plan: ClipPlan, path: Path, expansion: float | None) -> SegmentScores:
    """Score all segments of a recording; raises `RecordingError`."""
    recording = open_recording(path, time_expansion=expansion)
    rate, rows = model.sample_rate, SegmentCollector(model, plan.inference)
    blocks = recording.blocks(10 * rate, channel=plan.data.channel, sample_rate=rate)
    row, margin = round(plan.inference.segment_s * rate), margin_of(model, plan.inference)
    for window in segment_windows(blocks, row, margin, plan.inference.ends):
        rows.push(window)
    return rows.finish().until(recording.duration_s)


def score_split(model: SegmentModel, data: ClipData, split: str, log: Log) -> ScoredSegments | None:
    """Score the recordings of a split as recordings are classified; None where it has none of the classes to read."""

    import pandas as pd
    from scipy.special import expit

    plan = data.plan
    truth = data.rows(split, plan.stages[-1].data, model.classes, plan.inference.segment_s, None)
    if truth is None:
        return None
    table = pd.DataFrame(
        {"recording": np.array(truth.recordings, object)[truth.table.recording], "start_s": truth.table.start_s}
    )
    logits = np.zeros(truth.table.targets.shape, np.float32)
    there = np.zeros(len(table), bool)
    events = []
    for number, name in enumerate(truth.recordings):
        own = np.flatnonzero(truth.table.recording == number)
        manifest = data.manifest
        try:
            scores = score_recording(model, plan, manifest.path_of(name), manifest.time_expansion_of(name))
        except RecordingError as error:
            log(f"left out: {name}: {error}")
            continue
        at = np.minimum(
            np.rint(table["start_s"].to_numpy()[own] / plan.inference.segment_s).astype(int), len(scores.rows) - 1
        )
        logits[own], there[own] = scores.rows[at], True
        if plan.evaluation.events and scores.frames is not None:
            found = find_events(
                expit(scores.frames.astype(np.float64)), scores.frame_times, scores.frame_s, model.classes,
                model.band_hz, plan.inference.events, calls=True,
            )  # fmt: skip
            events.append(found.assign(recording=name))
    if not there.any():
        return None
    candidates = pd.concat(events, ignore_index=True) if events else None
    if candidates is not None and not _with_ends(data, table["recording"][there], model.classes):
        log(f"events are not judged: in each recording of split {split} a class has no end_s")
        candidates = None
    return ScoredSegments(table[there].reset_index(drop=True), logits[there], truth.table.targets[there], candidates)


def judge_segments(
    scored: ScoredSegments, classes: Sequence[str], resampling: Resampling | None = None
) -> dict[str, Any]:
    """Compute metrics of segments, and of recordings where each has one class (mean of its segments' probabilities).

    With ``resampling``, the metrics of segments have their intervals.
    """
    metrics = clip_metrics(scored.targets, scored.probabilities, classes, resampling)
    recordings = scored.table["recording"].to_numpy()
    names = list(dict.fromkeys(recordings))
    scores = np.stack([scored.probabilities[recordings == name].mean(axis=0) for name in names])
    truth = np.stack([counted_labels(scored.targets[recordings == name]).max(axis=0) for name in names])
    return {"segments": metrics, "recordings": accuracy(truth, scores)}


def resampling_of(plan: ClipPlan, manifest: Manifest, scored: ScoredSegments) -> Resampling:
    """Make the resampling of segments: the groups of the manifest are drawn whole; without groups, the recordings."""
    table = manifest.table.drop_duplicates("recording")
    groups = dict(zip(table["recording"], table["group"], strict=True))
    recordings = scored.table["recording"]
    units = [str(groups[name]) for name in recordings]
    return Resampling(
        units, "recording" if units == list(recordings) else "group", plan.evaluation.bootstrap, plan.seed
    )


def fit_segment_thresholds(scored: ScoredSegments | None, classes: Sequence[str]) -> tuple[dict[str, float], list[str]]:
    """Fit thresholds of segments on the validation recordings; guesses of 0.5 where there are none."""
    if scored is None:
        return dict.fromkeys(classes, 0.5), list(classes)
    return fit_clip_thresholds(scored.targets, scored.probabilities, classes)


def fit_event_thresholds(
    plan: ClipPlan, data: ClipData, scored: ScoredSegments, classes: Sequence[str]
) -> FittedThresholds:
    """Fit thresholds of events on the validation recordings; 0.5 where there are no events to fit on."""
    if scored.candidates is None:
        return FittedThresholds(dict.fromkeys([*classes, CALL_LABEL], 0.5), [*classes, CALL_LABEL])
    names, manifest = _judged(data, scored, classes)
    found = scored.candidates[scored.candidates["recording"].isin(names)]
    return fit_thresholds(found, manifest.table, names, classes, plan.evaluation.tolerance_s)


def judge_events(
    plan: ClipPlan, data: ClipData, scored: ScoredSegments, classes: Sequence[str], thresholds: dict[str, float]
) -> dict[str, Any]:
    """Compute the metrics of events as `evaluate` gives them."""
    assert scored.candidates is not None
    names, manifest = _judged(data, scored, classes)
    found = scored.candidates[scored.candidates["recording"].isin(names)]
    return evaluate(
        found, manifest.table, names, labels=classes, ignored_labels=(), thresholds=thresholds,
        tolerance_s=plan.evaluation.tolerance_s, seed=plan.seed, n_bootstrap=plan.evaluation.bootstrap,
    )  # fmt: skip


def _judged(data: ClipData, scored: ScoredSegments, classes: Sequence[str]) -> tuple[list[str], Manifest]:
    """Return the recordings that were scored, and their annotations of the classes with a start and an end.

    Recordings that have a class without an end are left out: nobody has written down where it is in them. Those
    without a class keep one row without a label: nothing is to be found in them.
    """

    import pandas as pd

    names = _with_ends(data, scored.table["recording"], classes)
    table = data.manifest.table
    table = table[table["recording"].isin(names)]
    usable = table[table["label"].isin(list(classes))]
    empty = table[~table["recording"].isin(usable["recording"])].drop_duplicates("recording").assign(label="")
    return names, Manifest(pd.concat([usable, empty], ignore_index=True), data.manifest.root)


def _with_ends(data: ClipData, recordings: Iterable[str], classes: Sequence[str]) -> list[str]:
    """Return those of ``recordings`` in which every annotation of a class has an end."""
    table = data.manifest.table
    unknown = set(table.loc[table["label"].isin(list(classes)) & table["end_s"].isna(), "recording"])
    return [name for name in dict.fromkeys(recordings) if name not in unknown]
