"""A whole training on simulated recordings: what it leaves behind, and the trained model at work."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecotf.audio.recording import open_recording
from ecotf.commands import run_classifier, run_training
from ecotf.datasets.manifest import read_manifest
from ecotf.detection.gate import track_gate
from ecotf.detection.naming import name_calls
from ecotf.detection.recordings import candidates_of
from ecotf.features.peaks import find_peaks
from ecotf.pipelines.patches import PatchTable
from ecotf.pipelines.spectrogram_store import SpectrogramStore
from ecotf.runs import RunFolder
from ecotf.tasks.calls.fit_gate import fit_gate
from ecotf.tasks.calls.run import load_run
from ecotf.tasks.calls.train import score_recordings, train_detector
from ecotf.tasks.recipes import load_recipe

from .simulated_calls import MYO, PIP, prepare

TINY = (
    "networks.0.backbone.filters=[4, 6, 6]", "networks.0.backbone.squeeze=2", "networks.0.backbone.embedding=8",
    "stages.0.epochs=2", "stages.0.batch=256", "trees.n_estimators=5", "trees.max_depth=2", "mining.rounds=1",
    "mining.keep=last", "evaluation.bootstrap=10",
)  # fmt: skip


pytestmark = pytest.mark.usefixtures("uncompiled")


@pytest.fixture(scope="module")
def run(calls, uncompiled, tmp_path_factory) -> Path:
    """The run that the command makes."""
    runs = tmp_path_factory.mktemp("runs")
    arguments = ["--recipe", "bats/field", "--data", str(calls), "--output", str(runs), "--threads", "1", *TINY]
    assert run_training.main(arguments) == 0
    (run,) = runs.glob("bats/field/*")
    return run


def read(run: Path, name: str):
    return json.loads((run / name).read_text())


# --- what a run leaves behind ----------------------------------------------------------------------------------------


def test_the_run_folder_holds_everything(run, calls):
    inside = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert inside >= {
        "recipe.yaml", "manifest.csv", "labels.csv", "thresholds.json", "metrics.json", "history.csv", "report.txt",
        "predictions.parquet", "environment.json", "problems.csv", "splits.csv", "model/calls.weights.h5",
        "model/trees.json", "model/trees_0.ubj", "plots/precision_recall.png", "plots/detections_0.png",
        *(f"rounds/{n}/{name}" for n in (0, 1) for name in ("calls.weights.h5", "patches.npz", "validation.json")),
    }  # fmt: skip
    assert not [name for name in inside if "partial" in name or ".lock" in name or ".fitting" in name]
    assert RunFolder.open(run).complete
    for picture in (run / "plots").iterdir():
        assert picture.read_bytes().startswith(b"\x89PNG")
    assert load_recipe(run / "recipe.yaml") == load_recipe("bats/field", TINY)
    assert read_manifest(run / "manifest.csv").labels == read_manifest(calls).labels
    assert read(run, "environment.json")["seed"] == load_recipe("bats/field").seed


def test_labels_and_thresholds(run):
    labels = pd.read_csv(run / "labels.csv")
    assert labels["label"].tolist() == [MYO, PIP]
    assert (labels["training_annotations"] > 0).all()
    thresholds = read(run, "thresholds.json")
    assert set(thresholds["thresholds"]) == {MYO, PIP, "call"}
    # Fitted on validation recordings alone: they are what that round's validation says.
    assert thresholds["thresholds"] == read(run, "rounds/1/validation.json")["thresholds"]


def test_the_gate_is_fitted_on_the_validation_recordings(run, data):
    """None of a few calls may be lost; what it skips is counted patch by patch."""
    gate, loaded = read(run, "thresholds.json")["gate"], load_run(run)
    assert vars(loaded.gate) == gate
    recipe, manifest = loaded.recipe, data.manifest
    (name,) = data.recordings_of("valid")
    recording = open_recording(manifest.path_of(name))
    track = track_gate(recording, recipe.front_end, recipe.detection.gate)
    times = track.offset_s + np.arange(len(track.over_floor)) * track.hop_s
    rows = data.calls_of(name)
    match_s = recipe.patches.match_s
    highest = [
        track.over_floor[(times >= row.start_s - match_s) & (times <= row.end_s + match_s)].max()
        for row in rows.itertuples()
    ]
    assert (gate["calls"], gate["calls_lost"]) == (len(rows), 0)
    assert gate["threshold_db"] <= min(highest) < gate["threshold_db"] + 0.011
    stored = SpectrogramStore(None, recipe.front_end).get(manifest.path_of(name))
    peaks = find_peaks(stored.values, stored.hop_s, recipe.peaks)
    reaching = np.flatnonzero(track.over_floor >= np.float32(gate["threshold_db"]))
    is_open = [((reaching >= at - 24) & (reaching < at + 24)).any() for at in peaks]
    assert (gate["patches"], gate["patches_skipped"]) == (len(peaks), len(peaks) - sum(is_open))
    assert (
        f"gate (run_classifier.py --gate), on the validation recordings: {gate['threshold_db']:.2f} dB"
        in (run / "report.txt").read_text()
    )


def test_metrics_history_and_report(run):
    metrics = read(run, "metrics.json")
    assert metrics["judged_on"]["split"] == "test"
    assert metrics["detection"]["ap"] > 0.5
    assert set(metrics["cost"]) >= {"features_s_per_minute", "networks_s_per_minute", "trees_s_per_minute"}
    assert metrics["cost"]["model_bytes"] == sum(path.stat().st_size for path in (run / "model").iterdir())
    history = pd.read_csv(run / "history.csv")
    assert history[["round", "epoch"]].values.tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]
    assert np.isfinite(history[["loss", "valid_loss"]]).all(axis=None)
    report = (run / "report.txt").read_text()
    assert report.startswith("bats/field: ")
    assert "recordings: 5 train, 1 valid, 2 test; left out: 0" in report
    (note,) = json.loads((run / "thresholds.json").read_text())["notes"]  # one validation recording
    assert note in report and note.startswith("thresholds of few calls, or of one recording: ")
    assert "1 recording)" in note


def test_predictions_are_the_models_on_the_test_recordings(run, calls):
    predictions = pd.read_parquet(run / "predictions.parquet")
    loaded = load_run(run)
    store = SpectrogramStore(None, loaded.recipe.front_end)
    assert predictions["recording"].nunique() == 2
    for name, mine in predictions.groupby("recording"):
        found = candidates_of(
            store.get(calls.parent / name), loaded.detector, loaded.recipe.detection, loaded.recipe.peaks
        )
        pd.testing.assert_frame_equal(mine.drop(columns="recording").reset_index(drop=True), found, atol=1e-6)


def test_each_round_enlarges_the_training_set_by_what_was_mined(run):
    tables = {}
    for name in ("rounds/0/patches", "rounds/0/mined", "rounds/1/patches"):
        with np.load(run / f"{name}.npz") as kept:
            tables[name] = PatchTable(kept["recording"], kept["time_s"], kept["species"])
    first, mined, second = tables.values()
    assert len(mined) > 0
    for name in ("recording", "time_s", "species"):
        np.testing.assert_array_equal(getattr(first.joined(mined), name), getattr(second, name))


# --- the trained model at work ---------------------------------------------------------------------------------------


def test_no_gate_where_nothing_can_be_fitted(data):
    said: list[str] = []
    plan = load_recipe("bats/field")
    nothing = replace(data, ignored_labels=(*data.ignored_labels, PIP, MYO))
    assert fit_gate(plan, nothing, said.append) is None
    pcen = plan.model_copy(update={"front_end": plan.front_end.model_copy(update={"scale": "pcen"})})
    assert fit_gate(pcen, data, said.append) is None
    assert said[0] == "no gate: the valid recordings hold no call to fit its threshold on"
    assert said[1].startswith("no gate: front_end.scale = pcen: the gate compares energies")


def test_the_trained_model_classifies_a_folder(run, calls, tmp_path):
    output = tmp_path / "detections"
    assert run_classifier.main(["--model", str(run), str(calls.parent), "--output", str(output)]) == 0
    ledger = pd.read_csv(output / "ledger.csv")
    assert len(ledger) == 8
    assert set(ledger["status"]) == {"done"}
    detections = pd.read_csv(output / "detections.csv")
    assert len(detections) == ledger["n_detections"].sum() > 0
    loaded = load_run(run)
    store = SpectrogramStore(None, loaded.recipe.front_end)
    for path in sorted(calls.parent.glob("*.wav"))[:3]:
        stored = store.get(path)
        found = candidates_of(stored, loaded.detector, loaded.recipe.detection, loaded.recipe.peaks)
        expected = name_calls(found, loaded.thresholds)
        mine = detections[detections["recording"] == str(path)]
        assert mine["label"].tolist() == expected["label"].tolist()
        np.testing.assert_allclose(mine["start_s"], expected["start_s"], atol=1e-6)
        np.testing.assert_allclose(mine["score"], expected["score"], atol=1e-4)


def test_two_networks_trained_on_calls_and_scored_on_a_grid(calls, tmp_path):
    """The published cascade, small: a softmax that finds calls, then a namer."""
    small = [f"networks.{n}.backbone.{key}" for n in (0, 1) for key in ("filters=2", "dense_units=4")]
    epochs = ["stages.0.epochs=1", "stages.1.epochs=1", "evaluation.bootstrap=5"]
    coarse = ["detection.scoring={at: grid, stride_s: 0.0116}", "patches.negatives_per_call=1"]
    recipe = load_recipe("bats/cnn2", [*small, *epochs, *coarse])
    data = prepare(read_manifest(calls), recipe)
    run_store = RunFolder.create(tmp_path, "bats/cnn2")
    trained = train_detector(recipe, data, run_store, lambda line: None, threads=1)
    run_store.close()
    assert trained.history["network"].tolist() == ["detector", "namer"]
    assert set(trained.thresholds) == {*data.species, "call"}
    found = score_recordings(recipe, data, trained.model, "test")
    assert set(found["recording"]) <= set(data.recordings_of("test"))
    assert trained.model.is_cascade
