"""Events of one class in field recordings: `birds/small` with its frames, every recording tested once."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from birds_runs import FOLDS, pretrained, run_once
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ecotf.audio.recording import open_recording
from ecotf.commands.console import log
from ecotf.datasets.manifest import make_manifest
from ecotf.evaluation import average_precision, match_detections
from ecotf.features import MelSpectrogram
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.recipes import load_any_recipe

SETS = {"qut_boobook": ("Ninox boobook",), "qut_pitta": ("Pitta versicolor",), "pyha_piha": ("bird",)}
TOLERANCE_S = 0.25
# Windows of 1.5 s, two a second, labelled by the boxes in them: calls follow each other every two seconds, and longer
# ones would hardly ever have none. Rows of 1 s are read with a quarter of a second on either side. Few recordings have
# the call, and would be known by their background: windows are added up, and so are their labels.
EVENTS = (
    "clips.seconds=1.5", "inference.segment_s=1.0", "inference.report=events", "evaluation.events=true",
    "stages.0.segments=true", "stages.0.segment_hop_s=0.5", "stages.0.epochs=4", "stages.0.sampler.clips=560",
    "stages.0.loss={name: binary, frames_share: 0.5, average: clips}",
    "stages.0.sound.sum_mixup={probability: 0.6, double: 1.0}",
    "stages.0.image={time_mask: {probability: 0.5, width: 20}}",
    "stages.0.learning_rate=0.002", "stages.0.schedule.warmup_epochs=1",
)  # fmt: skip
SHOWN = 4
SPAN_S = 4.0


def events(options: argparse.Namespace) -> None:
    """F1 at the threshold of the validation recordings, AP, and pictures; some sets or all."""
    file = options.runs / "events.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    start = f"stages.0.weights_from={pretrained(options)}"
    for name in options.only.split(",") if options.only else SETS:
        table = field_table(options.data, name)
        found = pd.concat([one_fold(table, options, name, fold, start) for fold in options.fold or range(FOLDS)])
        own = table[table["recording"].isin(tested(table, options.fold or range(FOLDS)))].reset_index(drop=True)
        results[name] = judged(found.reset_index(drop=True), own)
        file.write_text(json.dumps(results, indent=2) + "\n")
        row = results[name]
        log(
            f"{name}: {row['recordings']} recordings, {row['events']} events: AP {row['ap']:.3f}  F1 {row['f1']:.3f}  "
            f"precision {row['precision']:.3f}  recall {row['recall']:.3f}"
        )
        log(f"pictures: {draw(found.reset_index(drop=True), own, options.runs / f'{name}.png', name)}")


def one_fold(table: pd.DataFrame, options: argparse.Namespace, name: str, fold: int, start: str) -> pd.DataFrame:
    """Candidates in the recordings of a fold, with the threshold of the next fold's recordings in ``kept``."""
    side = {row.recording: fold_side(row.number, fold) for row in table.itertuples()}
    manifest = make_manifest(table.drop(columns="number").assign(split=table["recording"].map(side)), "/", "benchmark")
    run = run_once(manifest, options, f"{name}/fold_{fold}", [*EVENTS, start, *options.overrides])
    threshold = run.read_json("thresholds.json")["events"]["call"]
    found = run.read_table("events.parquet")
    found = found[found["label"] == "call"]
    return found.assign(kept=found["score"] >= threshold)


def field_table(data: Path, name: str) -> pd.DataFrame:
    """Annotations of the set's class, and the fold of each recording.

    What is annotated as anything else, and what is not at all, is no event. Recordings with events and those without
    are dealt out to the folds one after the other, so that each fold has some of both.
    """
    manifest, annotations = pd.read_csv(data / "manifest.csv"), pd.read_csv(data / "annotations.csv")
    paths = sorted(path for path in manifest["path"] if path.startswith(f"soundscapes/{name}/"))
    own = annotations[annotations["path"].isin(paths) & annotations["label"].isin(SETS[name])]
    rest = [{"path": path, "start_s": 0.0, "end_s": np.nan, "label": ""} for path in paths if path not in set(own.path)]
    table = pd.concat([own[["path", "start_s", "end_s", "label"]], pd.DataFrame(rest)], ignore_index=True)
    order = [path for path in paths if path in set(own["path"])] + [row["path"] for row in rest]
    table["number"] = table["path"].map({path: i % FOLDS for i, path in enumerate(order)})
    table["recording"] = [str((data / path).resolve()) for path in table.pop("path")]
    return table


def fold_side(number: int, fold: int) -> str:
    """Return the side of a recording: one fold is tested, the next chooses the threshold."""
    return {fold: "test", (fold + 1) % FOLDS: "valid"}.get(number, "train")


def tested(table: pd.DataFrame, folds: Any) -> list[str]:
    """Return the recordings of these folds."""
    return sorted(table.loc[table["number"].isin(list(folds)), "recording"].unique())


def judged(found: pd.DataFrame, table: pd.DataFrame) -> dict[str, float]:
    """Return all folds together."""
    n_calls, above = int((table["label"] != "").sum()), found[found["kept"]]
    hits = int((match_detections(above, table, TOLERANCE_S) >= 0).sum())
    hit = match_detections(found, table, TOLERANCE_S) >= 0
    return {
        "recordings": int(table["recording"].nunique()),
        "events": n_calls,
        "ap": average_precision(found["score"], hit, n_calls),
        "precision": hits / max(1, len(above)),
        "recall": hits / n_calls,
        "f1": 2 * hits / (len(above) + n_calls),
    }


def draw(found: pd.DataFrame, table: pd.DataFrame, file: Path, title: str) -> Path:
    """Spectrograms around hits, missed calls and false alarms; calls above, detections below."""
    above = found[found["kept"]].sort_values("score", ascending=False).reset_index(drop=True)
    matched = match_detections(above, table, TOLERANCE_S)
    calls = table[table["label"] != ""]
    rows = {
        "hit": above[matched >= 0],
        "missed": calls[~calls.index.isin(matched[matched >= 0])],
        "false alarm": above[matched < 0],
    }
    figure = Figure(figsize=(4 * SHOWN, 9), layout="constrained")
    figure.suptitle(f"{title}: calls white, detections cyan")
    for line, (kind, events_of_kind) in zip(figure.subplots(len(rows), SHOWN), rows.items(), strict=True):
        step = max(1, len(events_of_kind) // SHOWN)
        chosen = list(events_of_kind.iloc[::step].head(SHOWN).itertuples())
        for place, axes in enumerate(line):
            axes.set_title(f"{kind} ({len(events_of_kind)})" if place == 0 else "")
            if place < len(chosen):
                draw_one(axes, chosen[place], table, above)
            else:
                axes.axis("off")
    figure.savefig(file, dpi=80)
    return file


def draw_one(axes: Axes, event: Any, table: pd.DataFrame, above: pd.DataFrame) -> None:
    """Four seconds around an event."""
    recipe = load_any_recipe("birds/small")
    assert isinstance(recipe, ClipRecipe)
    recording = open_recording(Path(event.recording))
    start = max(0.0, min((event.start_s + event.end_s) / 2 - SPAN_S / 2, recording.duration_s - SPAN_S))
    end = min(start + SPAN_S, recording.duration_s)
    sound = recording.read(start, end, channel="mix", sample_rate=recipe.sample_rate)
    spectrogram = MelSpectrogram(recipe.front_end, recipe.sample_rate)
    levels = spectrogram(np.ascontiguousarray(sound, np.float32))
    axes.imshow(levels.T, origin="lower", aspect="auto", cmap="magma", vmin=0, vmax=30, extent=(start, end, 0, 1))
    hertz = spectrogram.frequencies_hz
    ticks = np.linspace(0, len(hertz) - 1, 5).astype(int)
    axes.set_yticks((ticks + 0.5) / len(hertz), [f"{hertz[i] / 1000:.1f} kHz" for i in ticks])
    for part, height, colour in ((table[table["label"] != ""], 0.97, "white"), (above, 0.03, "cyan")):
        for one in part[part["recording"] == event.recording].itertuples():
            axes.plot([one.start_s, one.end_s], [height, height], color=colour, linewidth=4)
    axes.set_xlim(start, end)
