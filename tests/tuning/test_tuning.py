"""Tuning a recipe on simulated recordings: what is shared, what trials are judged on, and that the best one trains."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml

from ecotf.audio.simulate import SimulationConfig, simulate_dataset
from ecotf.commands import run_training, run_tuning
from ecotf.datasets.manifest import read_manifest, write_manifest
from ecotf.errors import ConfigError, DataError
from ecotf.pipelines import spectrogram_store
from ecotf.pipelines.spectrogram_store import SpectrogramStore
from ecotf.runs import RunFolder
from ecotf.tasks.calls.data import prepare_data
from ecotf.tasks.calls.objective import CallsSearch, TrainingObjective
from ecotf.tasks.calls.recipe import CallRecipe
from ecotf.tasks.calls.train import train_detector
from ecotf.tasks.calls.trees_objective import TreesObjective
from ecotf.tasks.recipes import load_recipe
from ecotf.tuning.config import StoppingConfig
from ecotf.tuning.folder_objective import trial_place
from ecotf.tuning.keys import with_settings
from ecotf.tuning.trial import Outcome, Task

PIP, MYO = "Pipistrellus pipistrellus", "Myotis daubentonii"
SOUNDS = SimulationConfig(
    n_recordings=8, duration_s=0.6, seed=5, species=(PIP, MYO), empty_fraction=0.1, passes=(1, 1), snr_db=(30, 50)
)
TINY = (
    "networks.0.backbone.filters=[4, 6, 6]", "networks.0.backbone.squeeze=2", "networks.0.backbone.embedding=8",
    "stages.0.epochs=3", "stages.0.batch=256", "trees.n_estimators=4", "trees.max_depth=2", "mining.rounds=0",
    "evaluation.bootstrap=10",
)  # fmt: skip
SPACE = (
    "tuning.space={trees.max_depth: {name: uniformint, low: 1, high: 4}, trees.eta: {name: uniform, low: 0.1, high: 1}}"
)


@pytest.fixture(scope="module")
def calls(tmp_path_factory) -> Path:
    """Manifest of the simulated recordings, split."""
    folder = tmp_path_factory.mktemp("calls")
    simulate_dataset(folder, SOUNDS)
    manifest = read_manifest(folder / "manifest.csv")
    recipe = load_recipe("bats/field")
    store = SpectrogramStore(None, recipe.front_end)
    data = prepare_data(manifest, recipe.data, store, recipe.seed, lambda line: None, 1)
    write_manifest(data.manifest, folder / "split.csv")
    return folder / "split.csv"


def objective(calls: Path, folder: Path, recipe: CallRecipe, kind=TrainingObjective, searched=("seed",), stopping=None):
    return kind(recipe, calls, folder, folder / "spectrograms", 1, stopping, searched)


def quiet(line: str) -> None:
    pass


# --- trials that train the network -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def networks(calls, uncompiled, tmp_path_factory) -> tuple[TrainingObjective, Outcome]:
    folder = tmp_path_factory.mktemp("networks")
    tried = objective(calls, folder, load_recipe("bats/field", TINY), stopping=StoppingConfig())
    return tried, tried(Task(0, {"stages.0.learning_rate": 0.002}), quiet)


def test_a_trial_reports_the_figures_of_a_training_with_its_settings(networks, calls, tmp_path):
    tried, outcome = networks
    recipe = load_recipe("bats/field", [*TINY, "stages.0.learning_rate=0.002"])
    store = SpectrogramStore(tried.cache, recipe.front_end)
    data = prepare_data(read_manifest(calls), recipe.data, store, recipe.seed, quiet, 1)
    run_store = RunFolder.create(tmp_path, "bats/field")
    trained = train_detector(recipe, data, run_store, quiet, 1)
    run_store.close()
    assert outcome.metrics["quality"] == trained.validation["quality"]
    assert outcome.metrics["detection.ap"] == trained.validation["metrics"]["detection"]["ap"]
    assert outcome.metrics["valid_loss"] == trained.history["valid_loss"].min()
    assert outcome.status == "done" and outcome.epochs == 3 and len(outcome.scores["calls"]) == 3


def test_spectrograms_are_computed_once_for_all_trials(networks, monkeypatch):
    tried, _ = networks
    assert len(list(tried.cache.glob("*.npy"))) == 8
    computed = []
    really = spectrogram_store.compute_spectrogram
    monkeypatch.setattr(spectrogram_store, "compute_spectrogram", lambda *a: computed.append(a) or really(*a))
    data = [tried.data_for(with_settings(tried.recipe, {"trees.eta": eta}), tried.folder / eta) for eta in ("0.1", "1")]
    assert data[0] is data[1]
    other_process = objective(tried.manifest, tried.folder, tried.recipe)
    assert len(other_process.data_for(tried.recipe, tried.folder / "2").spectrograms) == 8
    assert computed == []


def test_a_searched_front_end_has_spectrograms_of_its_own(networks, tmp_path):
    tried, _ = networks
    own = objective(tried.manifest, tried.folder, tried.recipe, searched=("front_end.smooth_sigma",))
    for number, sigma in enumerate((2.0, 0.5)):
        own.data_for(with_settings(tried.recipe, {"front_end.smooth_sigma": sigma}), tmp_path / str(number))
        assert len(list((tmp_path / str(number) / "spectrograms").glob("*.npy"))) == 8
    assert len(list(tried.cache.glob("*.npy"))) == 8


def test_a_front_end_that_loses_recordings_is_a_failure(networks, tmp_path):
    """A band that a recorder does not carry would leave its recordings out, and the trial be judged on the others."""
    tried, _ = networks
    shutil.copytree(tried.manifest.parent, tmp_path / "calls")
    manifest = tmp_path / "calls" / "split.csv"
    slow = read_manifest(manifest).of_split("train").recordings[0]
    samples, _ = soundfile.read(tmp_path / "calls" / slow, dtype="int16")
    soundfile.write(tmp_path / "calls" / slow, samples, 192_000)
    recipe = with_settings(tried.recipe, {"front_end.high_hz": 90e3})
    searched = objective(manifest, tmp_path, recipe, searched=("front_end.high_hz",))
    assert len(searched.data_for(recipe, tmp_path / "0").spectrograms) == 8
    with pytest.raises(DataError, match=r"1 recordings cannot be used so; .*192000 Hz"):
        searched.data_for(with_settings(recipe, {"front_end.high_hz": 120e3}), tmp_path / "1")


def test_a_killed_trial_goes_on_and_test_recordings_have_no_say(networks, calls, monkeypatch, tmp_path):
    """Interrupted after an epoch, and with other annotations in the test recordings: the outcome is the same."""
    tried, outcome = networks
    manifest = read_manifest(calls)
    assert len(manifest.of_split("test").recordings) == 2
    spoilt = manifest.table.assign(label=manifest.table["label"].where(manifest.table["split"] != "test", "noise"))
    assert (spoilt["label"] != manifest.table["label"]).any()
    spoilt.to_csv(calls.parent / "spoilt.csv", index=False)
    monkeypatch.setattr(RunFolder, "save_every_s", -1.0)
    task = Task(0, {"stages.0.learning_rate": 0.002})

    def die_after_two(line: str) -> None:
        if "epoch 2/" in line:
            raise KeyboardInterrupt

    first, second = (
        objective(calls.parent / "spoilt.csv", tmp_path, tried.recipe, stopping=StoppingConfig()) for _ in range(2)
    )
    with pytest.raises(KeyboardInterrupt):
        first(task, die_after_two)
    said: list[str] = []
    assert second(task, said.append) == outcome
    assert len([line for line in said if ": epoch " in line]) == 1


def test_what_another_trial_of_that_number_left_is_of_no_use(tmp_path):
    place = trial_place(tmp_path, Task(3, {"trees.eta": 0.5}, {"calls": [0.5]}))
    (place / "work").touch()
    assert (trial_place(tmp_path, Task(3, {"trees.eta": 0.5}, {"calls": [0.5]})) / "work").exists()
    for other in (Task(3, {"trees.eta": 0.6}, {"calls": [0.5]}), Task(3, {"trees.eta": 0.5}, {"calls": [0.4]})):
        (place / "work").touch()
        assert trial_place(tmp_path, other) == place and not (place / "work").exists()


def test_settings_that_make_no_recipe_fail(networks):
    tried, _ = networks
    with pytest.raises(ConfigError, match=r"with these settings: stages\.0\.learning_rate = -1"):
        tried(Task(3, {"stages.0.learning_rate": -1}), quiet)


# --- trials of the trees alone ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "alone"),
    [(("trees.eta", "trees.gamma"), True), (("trees",), True), (("trees.eta", "stages.0.batch"), False)],
)
def test_when_the_trees_are_searched_alone(keys, alone):
    recipe = load_recipe("bats/field")
    space = {key: recipe.tuning.space["trees.eta"] for key in keys}
    tuning = recipe.tuning.model_copy(update={"space": space})
    assert CallsSearch(recipe.model_copy(update={"tuning": tuning})).trees_alone is alone


def test_trees_alone_are_tried_on_one_network_and_give_what_a_training_gives(calls, uncompiled, tmp_path):
    recipe = load_recipe("bats/field", TINY)
    shared = objective(calls, tmp_path, recipe, TreesObjective, ("trees.max_depth", "trees.measures"))
    said: list[str] = []
    shared.prepare(said.append)
    assert len([line for line in said if ": epoch " in line]) == 3
    assert {path.name for path in (tmp_path / "shared").iterdir()} >= {"network", "features_measures.npz"}
    outcomes = []
    for number, values in enumerate(({"trees.max_depth": 3}, {"trees.max_depth": 1}, {"trees.measures": False})):
        said.clear()
        outcomes.append(shared(Task(number, values), said.append))
        assert not [line for line in said if "epoch" in line]

        data = shared.data_for(recipe, tmp_path)
        run_store = RunFolder.create(tmp_path / "runs", f"trial/{number}")
        changed = with_settings(recipe, values)
        trained = train_detector(changed, data, run_store, quiet, 1, tmp_path / "shared" / "network")
        run_store.close()
        assert outcomes[-1].metrics["quality"] == pytest.approx(trained.validation["quality"], abs=1e-9)
        ap = trained.validation["metrics"]["detection"]["ap"]
        assert outcomes[-1].metrics["detection.ap"] == pytest.approx(ap, abs=1e-9)
    assert len({outcome.metrics["detection.ap"] for outcome in outcomes}) > 1
    # The network was asked about each validation window once for each of the two kinds of trees, not for each trial.
    remembered = shared._detector().remembered
    assert {needs_measures for needs_measures, _ in remembered} == {True, False}
    asked = len(remembered)
    shared(Task(9, {"trees.max_depth": 2}), quiet)
    assert len(remembered) == asked

    # Another process, or the same search after a kill, finds it all on disk.
    other = objective(calls, tmp_path, recipe, TreesObjective, ("trees.max_depth",))
    said.clear()
    other.prepare(said.append)
    assert said == []
    assert other(Task(0, {"trees.max_depth": 3}), quiet) == outcomes[0]


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def searched(calls, tmp_path_factory) -> Path:
    """A search over the trees with the command: four trials, then two more."""
    folder = tmp_path_factory.mktemp("searched") / "search"
    start = folder.parent / "xgboost_params.csv"
    start.write_text(
        "model,max_depth,eta,n_estimators,gamma_xgb,subsample,scale_pos_weight,min_child_weight\n"
        "xgboost_spectrogram,15,.19684057798124177,6,.001,.9,1.5,1\n"
    )
    original = calls.parent / "manifest.csv"
    arguments = ["--recipe", "bats/field", "--data", str(original), "--output", str(folder), "--threads", "1"]
    options = ["--trials", "4", "--start-from", str(start), "--set", SPACE, "--set", "tuning.startup=2", *TINY]
    assert run_tuning.main([*arguments, *options]) == 0
    assert run_tuning.main(["--resume", "--output", str(folder), "--threads", "1", "--trials", "6"]) == 0
    return folder


def test_the_folder_of_a_search(searched, calls):
    inside = {str(path.relative_to(searched)) for path in searched.rglob("*") if path.is_file()}
    assert inside >= {
        "best.yaml", "recipe.yaml", "manifest.csv", "trials.csv", "trials.jsonl", "summary.txt", "xgboost_params.csv",
        "plots/best_so_far.png", "plots/parameters.png", "shared/network/calls.weights.h5",
    }  # fmt: skip
    assert not [name for name in inside if "partial" in name or ".lock" in name or "corrupt" in name]
    table = pd.read_csv(searched / "trials.csv")
    assert table["trial"].tolist() == list(range(6))
    assert table["origin"].tolist() == ["recipe", "start"] + ["search"] * 4
    assert table.loc[0, ["trees.max_depth", "trees.eta"]].tolist() == [2, 0.12]
    assert table.loc[1, ["trees.max_depth", "trees.gamma"]].tolist() == [15, 0.001]
    assert table["quality"].notna().all()
    splits = read_manifest(searched / "manifest.csv").table.drop_duplicates("recording")["split"].value_counts()
    assert splits.to_dict() == {"train": 5, "test": 2, "valid": 1}
    params = pd.read_csv(searched / "xgboost_params.csv")
    best = table.loc[table["quality"].idxmax()]
    assert params.loc[0, "max_depth"] == best["trees.max_depth"]


def test_the_best_recipe_trains_unchanged_and_gives_what_the_search_said(searched, compiled, tmp_path, monkeypatch):
    monkeypatch.setattr("ecotf.tasks.calls.evaluate.draw_run", lambda *_: None)
    best = yaml.safe_load((searched / "best.yaml").read_text())
    table = pd.read_csv(searched / "trials.csv")
    arguments = ["--recipe", str(searched / "best.yaml"), "--data", str(searched / "manifest.csv"), "--threads", "1"]
    assert run_training.main([*arguments, "--output", str(tmp_path)]) == 0
    (run,) = (tmp_path / best["name"]).iterdir()
    validation = json.loads((run / "rounds" / "0" / "validation.json").read_text())
    assert validation["quality"] == pytest.approx(table["quality"].max(), abs=1e-9)
    assert load_recipe(run / "recipe.yaml").trees.max_depth == best["trees"]["max_depth"]


def test_suggestions_are_those_of_one_sitting(searched):
    """The search was begun with four trials and went on for two: each knew of all before it."""
    lines = (searched / "trials.jsonl").read_text().splitlines()[1:]
    trials = [json.loads(line.partition(" ")[2]) for line in lines]
    assert [trial["seen"] for trial in trials] == list(range(6))
    states = [trial["random_state"]["state"]["state"] for trial in trials]
    assert states == [np.random.default_rng([1979, n]).bit_generator.state["state"]["state"] for n in range(6)]
