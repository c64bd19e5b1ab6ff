"""Tuning a recipe of clips: a trial on a few beeps, killed, stopped early, and what cannot be searched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.commands import run_tuning
from ecotf.commands.console import run_command
from ecotf.config import validate
from ecotf.datasets.manifest import make_manifest, write_manifest
from ecotf.errors import ConfigError
from ecotf.runs import RunFolder
from ecotf.tasks.clips.objective import ClipsObjective, ClipsSearch
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.recipes import load_any_recipe
from ecotf.tuning import workers
from ecotf.tuning.config import StoppingConfig
from ecotf.tuning.keys import check_keys, with_settings
from ecotf.tuning.stopping import StoppedEarly
from ecotf.tuning.trial import Outcome, Task

RATE = 16000
pytestmark = pytest.mark.usefixtures("uncompiled")
PITCH = {"robin": 2000.0, "wren": 4000.0}
SETTINGS = {"stages.1.learning_rate": 0.02, "network.head.dropout": 0.1}


def quiet(line: str) -> None:
    pass


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """Manifest of two species that beep at their own pitch."""
    folder, rows = tmp_path_factory.mktemp("beeps"), []
    times = np.arange(RATE) / RATE
    rng = np.random.default_rng(0)
    for species, pitch in PITCH.items():
        for number, split in enumerate(("train", "train", "valid", "test")):
            name = f"{species}_{number}.wav"
            sound = 0.3 * np.sin(2 * np.pi * pitch * times) + 0.01 * rng.normal(size=len(times))
            soundfile.write(folder / name, sound.astype(np.float32), RATE)
            rows.append({"recording": name, "start_s": 0.0, "end_s": np.nan, "label": species, "split": split})
    write_manifest(make_manifest(pd.DataFrame(rows), folder, "beeps"), folder / "manifest.csv")
    return folder / "manifest.csv"


def recipe() -> ClipRecipe:
    """Two stages of two epochs on one second of sound."""
    values = load_any_recipe("birds/small").model_dump(mode="json")
    stage = {
        "name": "fit_clips",
        "epochs": 2,
        "batch": 4,
        "keep": "last",
        "loss": {"name": "binary", "frames_share": 0.5},
    }
    values |= {
        "sample_rate": RATE,
        "front_end": {**values["front_end"], "high_hz": 7000.0, "bands": 32},
        "clips": {"seconds": 1.0},
        "inference": {"segment_s": 1.0},
        "stages": [{"title": "first", **stage}, {"title": "second", **stage}],
        "tuning": {"metric": "cmap", "space": {"stages.0.learning_rate": {"name": "uniform", "low": 0.1, "high": 1}}},
    }
    values["network"]["backbone"] = {
        "name": "small", "stem": 4, "filters": [4, 4, 8], "blocks": [1, 1, 1], "expand": 1, "features": 8,
    }  # fmt: skip
    return validate(ClipRecipe, values, "test")


def objective(clips: Path, folder: Path) -> ClipsObjective:
    return ClipsObjective(recipe(), clips, folder, clips.parent / "sounds", 1, StoppingConfig())


@pytest.fixture(scope="module")
def tried(clips, tmp_path_factory, uncompiled) -> tuple[ClipsObjective, Outcome]:
    trial = objective(clips, tmp_path_factory.mktemp("search"))
    return trial, trial(Task(0, SETTINGS), quiet)


def test_a_trial_reports_what_was_said_that_trials_report(tried):
    trial, outcome = tried
    assert outcome.status == "done" and outcome.epochs == 4
    assert {name: len(scores) for name, scores in outcome.scores.items()} == {"first": 2, "second": 2}
    assert list(outcome.metrics) == ClipsSearch(trial.recipe).known_figures(trial.data_for(trial.recipe))
    assert outcome.metrics["cmap"] == pytest.approx(
        np.mean([outcome.metrics[f"species.{name}.ap"] for name in PITCH]), abs=1e-12
    )
    assert outcome.metrics["recordings.accuracy"] in (0, 0.5, 1)
    history = pd.read_csv(next(trial.folder.glob("running/00000/training/*/stages/1_second/history.csv")))
    assert history["learning_rate"][0] == pytest.approx(SETTINGS["stages.1.learning_rate"])
    assert outcome.metrics["valid_loss"] == pytest.approx(history["valid_loss"].min())


def test_a_trial_killed_in_its_second_stage_ends_as_if_it_had_not(clips, tried, tmp_path, monkeypatch):
    monkeypatch.setattr(RunFolder, "save_every_s", -1.0)
    first, second = (objective(clips, tmp_path) for _ in range(2))

    def die(line: str) -> None:
        if "second: epoch 1/2" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first(Task(0, SETTINGS), die)
    said: list[str] = []
    # What is held against earlier trials is of the same trial, so the folder is that of a kill only with the same task.
    assert second(Task(0, SETTINGS), said.append) == tried[1]
    assert [line.split("  ")[0] for line in said if ": epoch" in line] == ["second: epoch 2/2"]


def test_a_bad_trial_ends_in_the_stage_that_is_bad(clips, tmp_path):
    said: list[str] = []
    with pytest.raises(
        StoppedEarly, match=r"first: .* after epoch 1, the median of earlier trials is 1\.100"
    ) as stopped:
        objective(clips, tmp_path)(Task(0, {}, {"second": [-1.0, -1.0], "first": [1.1, 1.1]}), said.append)
    assert list(stopped.value.scores) == ["first"] and len([line for line in said if "epoch" in line]) == 1


@pytest.mark.parametrize(
    "key",
    ["inference.segment_s", "inference", "stages.1.data.values", "stages.1", "stages.0.title", "data.ignored_labels",
     "task", "clips.secondary_value", "evaluation.events"],
)  # fmt: skip
def test_what_trials_are_compared_on_cannot_be_searched(key):
    with pytest.raises(ConfigError, match=f"tuning.space: {key} cannot be searched"):
        check_keys(recipe(), [key], ClipsSearch(recipe()).judges)


def test_what_else_can():
    plan = recipe()
    check_keys(
        plan,
        ["stages.0.data.values", "stages.1.loss.label_smoothing", "clips.seconds", "front_end.bands"],
        ClipsSearch(plan).judges,
    )
    changed = with_settings(plan, {"stages.1.loss.label_smoothing": 0.1, "network.head.dropout": 0.0})
    assert changed.stages[1].loss.label_smoothing == 0.1 and isinstance(changed, ClipRecipe)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("birds/2023_ensemble", [], "is an ensemble: train its members one by one (birds/2023_sed_v2s, "),
        ("birds/2023_sed_v2s", [], "birds/2023_sed_v2s: the recipe has no tuning: block"),
        ("birds/2024_chrononet", [], "weights"),
        ("birds/small", ["tuning.metric=cmaps"], "no trial reports 'cmaps'; reported are cmap, padded_cmap_5, "),
        ("birds/small", ["tuning.metric=events.ap"], "no trial reports 'events.ap'"),
        (
            "birds/small",
            ["--start-from", "cnn_params.csv"],
            "the published tables are of bats; birds/small",
        ),
    ],
)
def test_what_cannot_be_searched(clips, tmp_path, capsys, monkeypatch, name, options, said):
    monkeypatch.setattr(workers.Worker, "start", lambda *_: pytest.fail("a worker was started"))
    arguments = ["--recipe", name, "--data", str(clips), "--output", str(tmp_path / "search"), *options]
    with pytest.raises(SystemExit) as exit:
        run_command(run_tuning.main, arguments)
    (line,) = capsys.readouterr().err.splitlines()
    assert exit.value.code == 2 and said in line


def test_without_validation_recordings_nothing_can_be_compared(clips, tmp_path, capsys):
    text = clips.read_text().replace("valid", "train")
    (clips.parent / "unjudged.csv").write_text(text)
    arguments = [
        "--recipe",
        "birds/small",
        "--data",
        str(clips.parent / "unjudged.csv"),
        "--output",
        str(tmp_path / "s"),
    ]
    with pytest.raises(SystemExit):
        run_command(run_tuning.main, arguments)
    assert "no validation recording has a class of the recipe" in capsys.readouterr().err
