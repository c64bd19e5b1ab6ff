"""A whole training on simulated recordings: what it leaves behind, and that a kill makes no difference to it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.audio.recording import open_recording
from ecotf.audio.simulate import SimulationConfig, simulate_dataset
from ecotf.commands import run_classifier, run_training
from ecotf.datasets.manifest import Manifest, make_manifest, read_manifest
from ecotf.detection.gate import track_gate
from ecotf.detection.naming import name_calls
from ecotf.detection.recordings import candidates_of
from ecotf.errors import DataError
from ecotf.features.peaks import find_peaks
from ecotf.pipelines.patches import PatchTable
from ecotf.pipelines.spectrogram_store import SpectrogramStore
from ecotf.runs import RunFolder
from ecotf.tasks.calls import evaluate as evaluating
from ecotf.tasks.calls.data import CallDataConfig, TrainingData, every_peak, prepare_data, training_patches
from ecotf.tasks.calls.fit_gate import fit_gate
from ecotf.tasks.calls.recipe import CallRecipe
from ecotf.tasks.calls.run import load_run
from ecotf.tasks.calls.train import score_recordings, train_detector
from ecotf.tasks.recipes import load_recipe

PIP, MYO = "Pipistrellus pipistrellus", "Myotis daubentonii"
SOUNDS = SimulationConfig(
    n_recordings=8, duration_s=0.6, seed=5, species=(PIP, MYO), empty_fraction=0.1, passes=(1, 1), snr_db=(50, 70)
)
TINY = (
    "networks.0.backbone.filters=[4, 6, 6]", "networks.0.backbone.squeeze=2", "networks.0.backbone.embedding=8",
    "stages.0.epochs=2", "stages.0.batch=64", "trees.n_estimators=5", "trees.max_depth=2", "mining.rounds=1",
    "mining.keep=last", "evaluation.bootstrap=10",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _uncompiled() -> Iterator[None]:
    """A few batches are done before TensorFlow has compiled them."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def calls(tmp_path_factory) -> Path:
    """Manifest of the simulated recordings."""
    folder = tmp_path_factory.mktemp("calls")
    simulate_dataset(folder, SOUNDS)
    return folder / "manifest.csv"


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs")


def train(calls: Path, runs: Path) -> Path:
    """Run the command; returns the folder of the run."""
    before = set(runs.glob("bats/field/*"))
    try:
        arguments = ["--recipe", "bats/field", "--data", str(calls), "--output", str(runs), "--threads", "1", *TINY]
        assert run_training.main(arguments) == 0
    finally:
        (run,) = set(runs.glob("bats/field/*")) - before
    return run


@pytest.fixture(scope="module")
def run(calls, runs) -> Path:
    return train(calls, runs)


@pytest.fixture
def no_pictures(monkeypatch):
    monkeypatch.setattr(evaluating, "draw_run", lambda *_: None)


def read(run: Path, name: str):
    return json.loads((run / name).read_text())


def assert_same_run(first: Path, second: Path) -> None:
    metrics, others = read(first, "metrics.json"), read(second, "metrics.json")
    assert metrics.pop("cost").keys() == others.pop("cost").keys()
    assert metrics == others
    assert read(first, "thresholds.json") == read(second, "thresholds.json")
    pd.testing.assert_frame_equal(pd.read_csv(first / "history.csv"), pd.read_csv(second / "history.csv"))
    pd.testing.assert_frame_equal(*(pd.read_parquet(run / "predictions.parquet") for run in (first, second)))


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


# --- data ------------------------------------------------------------------------------------------------------------


def prepare(
    manifest: Manifest, recipe: CallRecipe | None = None, said: list[str] | None = None, **config
) -> TrainingData:
    recipe = recipe or load_recipe("bats/field")
    store = SpectrogramStore(None, recipe.front_end)
    log = (lambda line: None) if said is None else said.append
    return prepare_data(manifest, CallDataConfig(**config), store, recipe.seed, log, 1)


@pytest.fixture(scope="module")
def data(calls) -> TrainingData:
    return prepare(read_manifest(calls))


def edited(calls: Path, **columns) -> Manifest:
    table = read_manifest(calls).table
    return make_manifest(table.assign(**{name: edit(table) for name, edit in columns.items()}), calls.parent, "here")


def test_recordings_are_split_and_their_labels_sorted_out(data):
    sides = {side: set(data.recordings_of(side)) for side in ("train", "valid", "test")}
    assert [len(side) for side in sides.values()] == [5, 1, 2]
    assert len(set.union(*sides.values())) == 8
    assert data.species == (MYO, PIP)
    assert set(data.ignored_labels) == {"Orthoptera", "noise"}
    assert len(data.problems) == 0
    for index, name in enumerate(data.manifest.recordings):
        mine = data.manifest.table[data.manifest.table["recording"] == name]
        assert set(data.calls_of(name)["label"]) <= {MYO, PIP}
        assert len(data.calls_of(name)) + len(data.sounds_of(name)) == (mine["label"] != "").sum()
        assert (index in data.indices_of("train")) == (name in sides["train"])


def test_the_manifests_own_split_is_kept(calls):
    split = edited(calls, split=lambda t: np.where(t["recording"] < "night_004", "train", "valid"))
    data = prepare(split)
    assert data.recordings_of("train") == [f"night_00{n}.wav" for n in range(4)]
    assert data.recordings_of("test") == []


def test_what_cannot_be_read_is_left_out_and_named(calls, tmp_path):
    folder = tmp_path / "calls"
    shutil.copytree(calls.parent, folder)
    (folder / "night_000.wav").write_bytes(b"")
    soundfile.write(folder / "night_001.wav", np.zeros(40_000, np.int16), 48_000)
    said: list[str] = []
    data = prepare(read_manifest(folder / "manifest.csv"), said=said)
    assert data.problems[["recording", "status"]].values.tolist() == [
        ["night_000.wav", "corrupt"], ["night_001.wav", "unsupported"],
    ]  # fmt: skip
    assert len(data.manifest.recordings) == len(data.spectrograms) == 6
    assert [
        line for line in said if line.startswith("left out: night_001.wav: ") and "244000 Hz; this is 48000" in line
    ]


@pytest.mark.parametrize(
    ("columns", "config", "expected"),
    [
        ({"label": lambda t: t["label"].replace(PIP, "call")}, {}, "'call' cannot be a species"),
        (
            {
                "start_s": lambda t: t["start_s"].where(t["label"] != PIP, 0),
                "end_s": lambda t: t["end_s"].where(t["label"] != PIP),
            },
            {},
            r"calls have no end; the first: 'night_000.wav', 'Pipistrellus pipistrellus'",
        ),
        ({"label": lambda t: "noise"}, {}, "hold no annotated call"),
        ({"split": lambda t: "train"}, {}, "no recording is in the split 'valid'"),
        ({}, {"ignored_labels": ("*",)}, "hold no annotated call"),
    ],
)
def test_data_that_cannot_be_learned_from(calls, columns, config, expected):
    with pytest.raises(DataError, match=expected):
        prepare(edited(calls, **columns), **config)


def test_a_noise_that_holds_for_a_whole_recording_is_no_hindrance(calls):
    """Such a label has no end; its recording still gives patches."""
    noisy = edited(
        calls,
        label=lambda t: t["label"].where(t["recording"] != "night_000.wav", "noise"),
        start_s=lambda t: t["start_s"].where(t["recording"] != "night_000.wav", 0),
        end_s=lambda t: t["end_s"].where(t["recording"] != "night_000.wav"),
        split=lambda t: np.where(t["recording"] < "night_004", "train", "valid"),
    )
    data = prepare(noisy)
    for recipe in ("bats/field", "bats/cnn8"):
        plan = load_recipe(recipe)
        table = training_patches(data, "train", plan.patches, plan.peaks, 1)
        assert np.isfinite(table.time_s).all()


def test_each_recording_draws_its_own_random_patches(data):
    plan = load_recipe("bats/cnn8")
    first, again, other = (training_patches(data, "train", plan.patches, plan.peaks, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.time_s, again.time_s)
    assert set(first.recording) == set(data.indices_of("train"))
    calls = first.is_call
    np.testing.assert_array_equal(first.time_s[calls], other.time_s[other.is_call])
    assert not np.array_equal(first.time_s[~calls], other.time_s[~other.is_call])
    one, two = (first.time_s[~calls & (first.recording == index)] for index in data.indices_of("train")[:2])
    assert not set(one) & set(two)


def test_every_peak_is_labelled_as_detection_will_be_judged(data):
    """Each annotated call has one peak at most, and that peak lies in it."""
    plan = load_recipe("bats/field")
    table, measures = every_peak(data, "train", plan.patches, plan.peaks)
    assert len(table) == len(measures)
    n_calls = sum(len(data.calls_of(name)) for name in data.recordings_of("train"))
    assert 0.9 * n_calls <= table.is_call.sum() <= n_calls
    assert (~table.is_call).sum() > 10
    for index, time in zip(table.recording[table.is_call], table.time_s[table.is_call], strict=True):
        mine = data.calls_of(data.manifest.recordings[index])
        reach = plan.patches.match_s
        assert ((mine["start_s"] - reach <= time) & (time <= mine["end_s"] + reach)).any()
