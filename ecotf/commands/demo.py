"""``make run``: a detector trained on simulated recordings, tried on a simulated night, judged, and put in one file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ecotf.audio.recording import open_recording
from ecotf.audio.simulate import SimulationConfig, simulate_dataset
from ecotf.commands import export_model, run_classifier, run_training
from ecotf.commands.console import console, log, run_command
from ecotf.commands.demo_recorder import compare_with_desktop, run_as_recorder
from ecotf.datasets.labels import CALL_LABEL, IGNORED_LABELS, labels_that_match
from ecotf.datasets.manifest import Manifest, read_manifest
from ecotf.detection.naming import UNNAMED_LABEL
from ecotf.evaluation.metrics import evaluate
from ecotf.pipelines.spectrogram_store import compute_spectrogram
from ecotf.runs import RunFolder
from ecotf.tasks.calls.pictures import draw_stretch, liveliest
from ecotf.tasks.recipes import load_recipe

RECIPE = "bats/field"
# Enough to see that it works within a few minutes on two cores; a real training takes the recipe as it is.
SETTINGS = ("mining.rounds=0", "stages.0.epochs=12", "evaluation.bootstrap=200")
SPECIES = (
    "Pipistrellus pipistrellus",
    "Nyctalus noctula",
    "Myotis daubentonii",
    "Plecotus auritus",
    "Rhinolophus hipposideros",
)
TRAINING = SimulationConfig(n_recordings=60, duration_s=2.0, seed=1, species=SPECIES)
NIGHT = SimulationConfig(n_recordings=12, duration_s=5.0, seed=2, species=SPECIES)
_PICTURES = 3


def main(arguments: Sequence[str]) -> int:
    """Simulate, train, classify, judge, draw."""
    parser = argparse.ArgumentParser(
        prog="demo",
        description="Train bats/field on simulated recordings; run it on a simulated night, and as a recorder.",
    )
    parser.add_argument("--folder", type=Path, default=Path("demo"), help="folder for all results (demo)")
    folder = parser.parse_args(arguments).folder
    training, night, detections = folder / "training", folder / "night", folder / "detections"

    _chapter("1 of 5: simulating recordings to train on, and another night to listen to")
    for place, config in ((training, TRAINING), (night, NIGHT)):
        simulate_dataset(place, config)
        log(f"{config.n_recordings} recordings of {config.duration_s:g} s: {place}")
    _chapter(f"2 of 5: training {RECIPE}")
    run_training.main(
        ["--recipe", RECIPE, "--data", str(training / "manifest.csv"), "--output", str(folder / "runs"), *SETTINGS]
    )
    run = RunFolder.latest(folder / "runs", RECIPE)
    _chapter("3 of 5: classifying the night")
    status = run_classifier.main([str(night), "--model", str(run.path), "--output", str(detections)])
    _chapter("4 of 5: comparing with what was simulated")
    manifest = read_manifest(night / "manifest.csv")
    found = read_detections(detections / "detections.csv", manifest)
    console.print(judge_night(found, manifest, run.read_table("labels.csv")["label"].tolist()))
    draw_night(found, manifest, folder / "pictures")
    _chapter("5 of 5: the same model as one file, run as a recorder runs it")
    bundle, heard = folder / "bundle", folder / "recorder"
    failed = export_model.main([str(run.path), "--output", str(bundle)])
    if not failed:
        failed = run_as_recorder(bundle / "model.tflite", manifest, heard)
    if not failed:
        log(compare_with_desktop(found, read_detections(heard / "detections.csv", manifest)))
    status = max(status, failed)
    console.print()
    log(f"run:         {run.path}")
    log(f"report:      {run.path / 'report.txt'}")
    log(f"detections:  {detections / 'detections.csv'}")
    log(f"ledger:      {detections / 'ledger.csv'}")
    log(f"pictures:    {folder / 'pictures'} (the night), {run.path / 'plots'} (the training)")
    log(f"recorder:    {bundle / 'model.tflite'} (the model), {heard / 'detections.csv'} (what it found)")
    log(f"next:        ecotf flash {bundle} --device pi@recorder01.local")
    return status


def read_detections(path: Path, manifest: Manifest) -> pd.DataFrame:
    """Read detections, their recordings named as the manifest names them."""
    table = pd.read_csv(path, keep_default_na=False, na_values={"low_hz": "", "high_hz": ""})
    names = {os.path.abspath(manifest.path_of(recording)): recording for recording in manifest.recordings}
    return table.assign(recording=[names[os.path.abspath(recording)] for recording in table["recording"]])


def judge_night(detections: pd.DataFrame, manifest: Manifest, species: Sequence[str]) -> str:
    """Say how many calls were found, and how many were named rightly, as the run's thresholds have it."""
    ignored_labels = labels_that_match(manifest.labels, IGNORED_LABELS)
    named = detections[detections["label"] != UNNAMED_LABEL]
    metrics = evaluate(
        pd.concat([detections.assign(label=CALL_LABEL), named]),
        manifest.table,
        manifest.recordings,
        labels=species,
        ignored_labels=ignored_labels,
        thresholds=dict.fromkeys([CALL_LABEL, *species], 0.0),
        n_bootstrap=200,
    )
    calls, names = metrics["detection"], metrics["species"]
    shares = ", ".join(f"{key} {_figure(calls, key)}" for key in ("precision", "recall", "f1"))
    return (
        f"of {calls['n_calls']} calls in {len(manifest.recordings)} recordings it found {calls['n_hits']}, with "
        f"{calls['n_detections'] - calls['n_hits']} false or double ones: {shares}\n"
        f"naming {names['n_labels']} species: macro F1 {_figure(names, 'macro_f1')}\n"
        "(simulated sound, and a training cut short: real recordings are harder, a real training is better)"
    )


def draw_night(detections: pd.DataFrame, manifest: Manifest, folder: Path) -> None:
    """Draw the part with the most detections of the recordings with the most detections."""
    front_end = load_recipe(RECIPE, SETTINGS).front_end
    for name in detections["recording"].value_counts().index[:_PICTURES]:
        spectrogram = compute_spectrogram(open_recording(manifest.path_of(name)), front_end)
        mine, truth = (table[table["recording"] == name] for table in (detections, manifest.annotations))
        start_s = liveliest(spectrogram.duration_s, mine)
        draw_stretch(spectrogram, start_s, mine, truth, name, folder / f"{Path(name).stem}.png")


def _figure(figures: dict, key: str) -> str:
    value, (low, high) = figures[key], figures[f"{key}_interval"]
    span = "" if low is None or high is None else f" [{low:.2f}, {high:.2f}]"
    return "-" if value is None else f"{value:.2f}{span}"


def _chapter(title: str) -> None:
    console.print(f"\n[bold]{title}[/]")


if __name__ == "__main__":
    run_command(main)
