"""Judge a model trained on clips, and write it with its predictions and pictures."""

from __future__ import annotations

import resource
from typing import Any

import numpy as np

from ecotf.detection.finders import Numbers
from ecotf.evaluation.edges_report import edges_text
from ecotf.evaluation.report import metrics_text
from ecotf.evaluation.segment_report import clip_metrics_text
from ecotf.tasks.base import Evaluation
from ecotf.tasks.clips.data import ClipData
from ecotf.tasks.clips.events import fit_event_thresholds, judge_events
from ecotf.tasks.clips.finder_fit import fit_finder
from ecotf.tasks.clips.fit_boxes import fit_boxes, judge_boxes
from ecotf.tasks.clips.judge_episodes import episode_lines, judge_episodes
from ecotf.tasks.clips.pictures import draw_clip_run
from ecotf.tasks.clips.plan import ClipPlan
from ecotf.tasks.clips.scored import ScoredSegments, score_split, with_events
from ecotf.tasks.clips.train import TrainedClips, fit_segment_thresholds, judge_segments, resampling_of
from ecotf.training.run_store import Log, RunStore


def evaluate_clips(recipe: ClipPlan, data: ClipData, trained: TrainedClips, run: RunStore, log: Log) -> Evaluation:
    """Fit thresholds on the validation recordings, and judge the test ones (or, said so, the validation ones)."""
    model, classes = trained.model, trained.classes
    first = model if trained.first is None else trained.first  # which alone has not learned from validation recordings
    valid = score_split(first, data, "valid", log)
    test = score_split(model, data, "test", log)
    judged, judged_model = (valid, first) if test is None else (test, model)
    used = of_segments = fit_segment_thresholds(valid, classes)
    metrics: dict[str, Any] = {"judged_on": {"split": None if judged is None else "valid" if test is None else "test"}}
    if judged is not None:
        metrics |= judge_segments(judged, classes, resampling_of(recipe, data.manifest, judged))
        metrics["judged_on"]["recordings"] = len(judged.recordings)
        _keep_scores(run, "predictions.npz", judged, classes)
    if valid is not None:
        _keep_scores(run, "validation.npz", valid, classes)
    head = _of_refit(data, judged_model is first) if trained.first is not None else []
    if recipe.evaluation.episodes:
        found = judge_episodes(recipe, data, model, run, log)
        if found is not None:
            metrics["episodes"], head = found, [*head, *episode_lines(found)]
            if judged is None:
                metrics["judged_on"] = {"split": found["split"], "recordings": found["recordings"]}
    events: dict[str, float] | None = None
    finder: Numbers | None = None
    if recipe.evaluation.events and judged is not None and judged.candidates is not None:
        fitted = fit_finder(recipe, data, valid, classes)
        if fitted is not None:
            finder = fitted.numbers
            head.extend(fitted.notes)
            for note in fitted.notes:
                log(note)
            if fitted.unfitted:
                log(f"no validation event to fit the event finder on: {', '.join(fitted.unfitted)}; usual numbers")
            valid = None if valid is None else with_events(valid, recipe, classes, finder)
            judged = with_events(judged, recipe, classes, finder)
        of_events = fit_event_thresholds(recipe, data, valid, classes)
        events = of_events.thresholds
        used = of_events if recipe.inference.report == "events" else used
        assert judged.candidates is not None
        metrics["events"] = judge_events(recipe, data, judged, classes, events)
        run.write_table("events.parquet", judged.candidates)
    boxes: Numbers | None = None
    if recipe.inference.boxes is not None:
        boxes = fit_boxes(data, model, classes, log)
        if "events" in metrics:
            split = str(metrics["judged_on"]["split"])
            metrics["events"]["boxes"] = judge_boxes(data, judged_model, classes, boxes, split, log)
    with run.writing("model", folder=True) as folder:
        model.save(folder)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    metrics["cost"] = {"model_bytes": size, "peak_memory_mb": peak, "parameters": model.n_parameters}
    if "events" in metrics:
        assert judged is not None and events is not None
        draw_clip_run(recipe, data, judged_model, judged, metrics, events, run, log)
    for note in used.notes:
        log(note)
    kept: dict[str, Any] = {"thresholds": of_segments.thresholds, "events": events}
    kept |= {"unfitted": used.unfitted, "notes": [*used.notes]}  # of what the run reports
    kept |= {name: numbers for name, numbers in (("finder", finder), ("boxes", boxes)) if numbers is not None}
    return Evaluation(metrics, kept, [*head, *used.notes], _figures(metrics))


def _of_refit(data: ClipData, first: bool) -> list[str]:
    """Say which network learned from what, and which one the figures are of."""
    n_train, n_valid = (len(data.recordings_of(split)) for split in ("train", "valid"))
    if not n_valid:
        return []
    figures = "the figures are of that one" if first else "the figures are of the one that is kept"
    return [
        f"the network that is kept learned from {n_train + n_valid} recordings, the {n_valid} of validation among "
        f"them; thresholds are those of one that learned from {n_train}; {figures}"
    ]


def _keep_scores(run: RunStore, name: str, scored: ScoredSegments, classes: tuple[str, ...]) -> None:
    with run.writing(name) as partial, partial.open("wb") as stream:
        np.savez(
            stream,
            recording=scored.table["recording"].to_numpy(str),
            start_s=scored.table["start_s"].to_numpy(float),
            logits=scored.logits,
            targets=scored.targets,
            classes=np.array(list(classes)),
        )


def _figures(metrics: dict[str, Any]) -> list[str]:
    lines = []
    if "segments" in metrics:
        lines.append(clip_metrics_text(metrics["segments"]))
    right = metrics.get("recordings")
    if right is not None:
        low, high = right["interval"]
        lines.append(
            f"recordings named right: {right['right']} of {right['n']}, {right['accuracy']:.3f} "
            f"[{low:.3f}, {high:.3f}] (95 %, Wilson)"
        )
    if "events" in metrics:
        lines += ["", "events:", metrics_text(metrics["events"])]
        lines += [edges_text(metrics["events"]["edges"])] if "edges" in metrics["events"] else []
        for name, row in metrics["events"].get("boxes", {}).items():
            own, typical = (f"{row[f'{of}low_hz']:.0f} and {row[f'{of}high_hz']:.0f} Hz" for of in ("", "typical_"))
            lines.append(
                f"low and high edges of {name} ({row['n']} boxes) are off by {own}; the median box by {typical}"
            )
    return lines
