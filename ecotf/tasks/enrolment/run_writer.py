"""An enrolled run as a folder: written whole from what it knows, and read again."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecotf.config import read_yaml
from ecotf.datasets.manifest import make_manifest
from ecotf.errors import ConfigError
from ecotf.evaluation.segment_metrics import clip_metrics
from ecotf.files import atomic_folder, lock, unlock
from ecotf.models.embedders.keeping import open_kept_embedder
from ecotf.models.frozen import EMBEDDER, Frozen
from ecotf.runs import RunFolder, environment_facts
from ecotf.runs.manifest import keep_manifest
from ecotf.runs.progress import new_progress
from ecotf.runs.splits import NAME as SPLITS
from ecotf.runs.splits import OK, Splits, fingerprint
from ecotf.tasks.clips.fit_clips import HISTORY
from ecotf.tasks.clips.head_models import frozen_model
from ecotf.tasks.clips.transfer_recipe import TransferRecipe
from ecotf.tasks.enrolment.alarms import LEVEL, Alarms
from ecotf.tasks.enrolment.fitting import Fitted
from ecotf.tasks.enrolment.support import Support, load_support
from ecotf.tasks.recipes import parse_recipe, recipe_text

SUPPORT, JOURNAL, FACTS = "enrolment/support.npz", "enrolment/journal.jsonl", "enrolment/enrolled.json"
_STEP = "enrolment"
_SHOWN = 2000  # rows without a species that the predictions hold at most


@dataclass(frozen=True)
class State:
    """Everything that an enrolled run is made of.

    Attributes
    ----------
    journal
        One line for each change: when, what.
    """

    recipe: TransferRecipe
    frozen: Frozen
    support: Support
    journal: tuple[dict[str, Any], ...]


def is_enrolled(path: Path) -> bool:
    """Return whether a folder is an enrolled run."""
    return (path / SUPPORT).is_file()


def read_enrolled(path: Path) -> State:
    """Read an enrolled run; raises `ConfigError` where it is damaged or its embedder is no longer the same."""
    run = RunFolder.open(path)
    recipe = parse_recipe(read_yaml(run.file("recipe.yaml")), str(run.file("recipe.yaml")))
    if not isinstance(recipe, TransferRecipe) or not is_enrolled(path):
        raise ConfigError(f"{path}: no enrolled run; make one of it with --output RUN")
    frozen = frozen_model(recipe, open_kept_embedder(run.file("model") / EMBEDDER))
    lines = run.read_text(JOURNAL).splitlines()
    return State(recipe, frozen, load_support(run.file(SUPPORT)), tuple(json.loads(line) for line in lines))


def write_enrolled(path: Path, state: State, fitted: Fitted, alarms: Alarms) -> None:
    """Write an enrolled run, whole. A kill leaves the run as it was.

    (The old folder is moved aside before the new one takes its name. A kill in that instant leaves both beside each
    other, each whole, under names that begin with a dot.)

    Raises
    ------
    ConfigError
        Another process is changing it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    held = lock(
        path.with_name(f".{path.name}.lock"), f"{path}: another process (process {{pid}}) is changing this run; wait"
    )
    try:
        with atomic_folder(path) as partial:
            _write(RunFolder(partial, new_progress(state.recipe.name, [SPLITS, _STEP])), state, fitted, alarms)
    finally:
        unlock(held)


def _write(run: RunFolder, state: State, fitted: Fitted, alarms: Alarms) -> None:
    recipe, classes = state.recipe, fitted.classes
    run.write_text("recipe.yaml", recipe_text(recipe))
    table, splits = _recordings(state.support)
    keep_manifest(run, make_manifest(table, run.path, "enrolment"))
    run.write_table(SPLITS, splits.table)
    run.mark_done(SPLITS)
    run.write_table("problems.csv", pd.DataFrame(columns=["recording", "status", "reason"]))
    with run.writing("model", folder=True) as folder:
        state.frozen.with_head(fitted.head, classes, recipe.pool).save(folder)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    counts = [len(state.support.of(name)) for name in classes]
    run.write_table("labels.csv", pd.DataFrame({"label": classes, "training_annotations": counts}))
    unfitted = [] if alarms.hours else list(classes)
    run.write_json(
        "thresholds.json", {"thresholds": dict.fromkeys(classes, LEVEL), "unfitted": unfitted, "events": None}
    )
    run.write_table("history.csv", pd.DataFrame(columns=HISTORY))
    metrics = _predictions(run, state, fitted)
    metrics["cost"] = {"model_bytes": size, "peak_memory_mb": None, "parameters": fitted.head.n_parameters}
    run.write_json("metrics.json", metrics)
    run.write_json(FACTS, facts_of(state, fitted, alarms))
    run.write_text(JOURNAL, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in state.journal))
    with run.writing(SUPPORT) as partial:
        state.support.save(partial)
    run.write_text("report.txt", f"{recipe.name}: {recipe.description}\nspecies: {', '.join(classes)}\n")
    run.mark_done(_STEP)
    run.write_json("environment.json", environment_facts(recipe.seed, run.started, datetime.now(UTC).isoformat()))
    run.finish()


def facts_of(state: State, fitted: Fitted, alarms: Alarms) -> dict[str, Any]:
    """Return what is known of each species, for ``enrolled.json`` and ``--list``."""
    return {
        "background_hours": alarms.hours,
        "species": {
            one.label: {
                "examples": len(state.support.of(one.label)),
                "recordings": len({taught.example.recording for taught in state.support.of(one.label)}),
                "left_out": one.left_out.tolist(),
                "found_left_out": int((one.left_out >= 0).sum()),
                "false_alarms": alarms.counts[one.label],
                "nearest": one.nearest,
                "distance": one.distance,
            }
            for one in fitted.judged
        },
    }


def _recordings(support: Support) -> tuple[pd.DataFrame, Splits]:
    """Return the manifest and the split: every recording is for validation, since levels were chosen by all of them."""
    rows, marks = [], dict[str, str]()
    for one in support.taught:
        example = one.example
        end = np.nan if example.whole and example.start_s == 0 else example.end_s
        rows.append((example.recording, example.start_s, end, one.label, example.time_expansion))
        marks[example.recording] = example.fingerprint
    for stretch in support.stretches:
        if stretch.recording and stretch.recording not in marks:
            rows.append((stretch.recording, 0.0, np.nan, "", stretch.time_expansion))
            marks[stretch.recording] = stretch.fingerprint
    table = pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label", "time_expansion"])
    table = table.assign(split="valid", group=table["recording"])
    table = table.drop(columns="time_expansion") if table["time_expansion"].isna().all() else table
    states = [(name, "valid", name, OK, "", _size(name, mark), mark) for name, mark in marks.items()]
    columns = ["recording", "split", "group", "state", "reason", "bytes", "digest"]
    return table, Splits(pd.DataFrame(states, columns=columns).astype({"bytes": "Int64"}))


def _size(path: str, mark: str) -> int | None:
    """Return the bytes of a file that is still what it was."""
    if not os.path.isfile(path):
        return None
    size, now = fingerprint(Path(path))
    return size if now == mark else None


def _predictions(run: RunFolder, state: State, fitted: Fitted) -> dict[str, Any]:
    """Write the scores of the examples, each left out of its own species, and of the background; return figures."""
    from scipy.special import expit

    classes, names, starts, logits, targets = fitted.classes, [], [], [], []
    left_out = {one.label: one.left_out for one in fitted.judged}
    for k, label in enumerate(classes):
        for number, one in enumerate(state.support.of(label)):
            row = _logits(fitted, one.rows).max(axis=0)
            if len(left_out[label]):
                row[k] = left_out[label][number]
            names.append(one.example.recording)
            starts.append(one.example.start_s)
            logits.append(row)
            targets.append(np.arange(len(classes)) == k)
    for stretch in state.support.stretches:
        if stretch.label or not stretch.recording:
            continue
        chosen = np.linspace(0, len(stretch.rows) - 1, min(len(stretch.rows), _SHOWN)).astype(int)
        names += [stretch.recording] * len(chosen)
        starts += (
            stretch.middles(state.recipe.inference.segment_s)[chosen] - state.recipe.inference.segment_s / 2
        ).tolist()
        logits += list(_logits(fitted, stretch.rows[chosen]))
        targets += [np.zeros(len(classes), bool)] * len(chosen)
    with run.writing("predictions.npz") as partial, partial.open("wb") as stream:
        np.savez(
            stream, recording=np.array(names), start_s=np.array(starts, float), logits=np.array(logits, np.float32),
            targets=np.array(targets, np.float32), classes=np.array(list(classes)),
        )  # fmt: skip
    segments = clip_metrics(np.array(targets, float), np.asarray(expit(np.array(logits, float))), classes)
    return {"judged_on": {"split": "valid", "recordings": len(set(names))}, "segments": segments}


def _logits(fitted: Fitted, rows: np.ndarray) -> np.ndarray:
    likely = np.clip(fitted.head.predict(rows), 1e-12, 1 - 1e-12)
    return np.asarray(np.log(likely) - np.log1p(-likely))
