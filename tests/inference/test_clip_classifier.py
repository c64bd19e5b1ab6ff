"""Recordings classified by runs of clips: alone, together, and the tables that come out."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.commands import run_classifier
from ecotf.errors import ConfigError
from ecotf.inference.submission import check_stems
from ecotf.models.tagger import WEIGHTS
from ecotf.runs import RunFolder
from ecotf.tasks.calls.run import load_run
from ecotf.tasks.clips.answering import joined_logits
from ecotf.tasks.clips.ensemble import fit_weights, join_runs
from ecotf.tasks.clips.network_models import fresh_model
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.clips.run import load_clip_run
from ecotf.tasks.loading import load_runs
from ecotf.tasks.recipes import load_any_recipe, recipe_text

TINY = "network.backbone={name: small, stem: 4, filters: [4, 4, 8], blocks: [1, 1, 1], expand: 1, features: 8}"
RATE = 32000


def make_run(folder: Path, classes: list[str], *overrides: str) -> Path:
    """A run that was never trained, with all that a classification reads."""
    recipe = load_any_recipe("birds/small", [TINY, "clips.seconds=2.0", "inference.segment_s=1.0", *overrides])
    assert isinstance(recipe, ClipRecipe)
    run = RunFolder.create(folder, recipe.name)
    run.write_text("recipe.yaml", recipe_text(recipe))
    run.write_table("labels.csv", pd.DataFrame({"label": classes}))
    with run.writing("model", folder=True) as partial:
        fresh_model(recipe, classes).network.model.save_weights(partial / WEIGHTS)
    thresholds = dict.fromkeys(classes, 0.0)
    run.write_json("thresholds.json", {"thresholds": thresholds, "unfitted": [], "events": dict.fromkeys(classes, 0.2)})
    run.finish()
    return run.path


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    return [
        make_run(folder, ["007", "wren"], "seed=1"),
        make_run(folder, ["owl", "wren"], "seed=2", "clips.seconds=1.5"),
        make_run(folder, ["owl", "wren"], "inference.segment_s=2.0"),
        make_run(
            folder, ["wren"], "inference.report=events", "inference.score=centre_frames", "inference.shift_frames=1"
        ),
    ]


@pytest.fixture(scope="module")
def night(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("night")
    rng = np.random.default_rng(0)
    soundfile.write(folder / "long.wav", 0.1 * rng.normal(size=round(3.5 * RATE)), RATE)
    soundfile.write(folder / "short.wav", 0.1 * rng.normal(size=round(0.5 * 22050)), 22050)
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    (folder / "broken.wav").write_bytes(b"RIFF")
    return folder


def classify(*arguments: object) -> int:
    return run_classifier.main([str(argument) for argument in arguments])


def test_two_runs_over_one_reading(runs, night, tmp_path):
    status = classify(
        "--model", runs[0], "--model", runs[1], night, "--output", tmp_path, "--formats", "csv,raven,submission"
    )
    assert status == 1  # the broken one
    rows = list(csv.reader((tmp_path / "submission.csv").open()))
    assert rows[0] == ["row_id", "007", "owl", "wren"]
    assert [row[0] for row in rows[1:]] == ["long_1", "long_2", "long_3", "long_4", "short_1", "silent_1"]
    found = pd.read_csv(tmp_path / "detections.csv", dtype={"label": str})
    mine = found[found["recording"].str.endswith("long.wav")]
    assert len(mine) == 4 * 3 and mine["end_s"].max() == 3.5
    assert not found["recording"].str.endswith("silent.wav").any()
    # The wren is the mean of both runs' logits, the others are those of the run that knows them.
    from scipy.special import expit, logit

    alone = []
    for run in runs[:2]:
        out = tmp_path / run.name
        classify("--model", run, night / "long.wav", "--output", out, "--formats", "submission")
        alone.append(pd.read_csv(out / "submission.csv"))
    together = pd.DataFrame(rows[1:5], columns=rows[0])
    expected = expit((logit(alone[0]["wren"]) + logit(alone[1]["wren"])) / 2)
    np.testing.assert_allclose(together["wren"].astype(float), expected, atol=1e-4)
    np.testing.assert_allclose(together["007"].astype(float), alone[0]["007"], atol=1e-4)
    ledger = pd.read_csv(tmp_path / "ledger.csv")
    assert sorted(ledger["status"]) == ["corrupt", "done", "done", "silent"]


def test_events_of_frames(runs, night, tmp_path):
    classify("--model", runs[3], night / "long.wav", "--output", tmp_path, "--threshold", 0.0)
    found = pd.read_csv(tmp_path / "detections.csv")
    assert len(found) and (found["end_s"] <= 3.5).all() and (found["end_s"] > found["start_s"]).all()


def test_rows_of_a_submission_can_be_told_apart():
    check_stems(["x/one.wav", "x/two.wav"])
    with pytest.raises(ConfigError, match=r"x/one.wav and y/one.flac would have the same row_id"):
        check_stems(["x/one.wav", "x/two.wav", "y/one.flac"])


def test_runs_that_do_not_go_together(runs, night, tmp_path):
    one, two, rows, _ = (load_clip_run(path) for path in runs)
    with pytest.raises(ConfigError, match=r"inference.segment_s is 2, and 1"):
        join_runs([one, rows])
    silent = load_clip_run(make_run(tmp_path, ["owl"], "inference.ends=silence"))
    with pytest.raises(ConfigError, match=r"inference.ends is silence, and repeat"):
        join_runs([one, silent])
    with pytest.raises(ConfigError, match="none below 0"):
        join_runs([one, two], [1.0, -1.0])
    with pytest.raises(ConfigError, match="no validation segments"):
        fit_weights([one, two])
    with pytest.raises(ConfigError, match=r"task clips .birds/small.; here one of task calls"):
        load_run(runs[0])
    with pytest.raises(ConfigError, match="members: birds/2023_sed_v2s"):
        load_runs([runs[0]], ensemble="birds/2023_ensemble")
    with pytest.raises(ConfigError, match="has no gate"):
        classify("--model", runs[0], night, "--output", tmp_path, "--gate")


def test_weights_are_fitted_where_runs_were_validated(tmp_path):
    rng = np.random.default_rng(0)
    truth = np.eye(3)[rng.integers(0, 3, 60)]
    runs = []
    for name, noise in (("good", 1.0), ("bad", 30.0)):
        folder = tmp_path / name
        folder.mkdir()
        np.savez(
            folder / "validation.npz", recording=np.array(["a.wav"] * 60), start_s=np.arange(60.0), targets=truth,
            logits=4 * truth + noise * rng.normal(size=truth.shape), classes=np.array(["a", "b", "c"]),
        )  # fmt: skip
        runs.append(SimpleNamespace(path=folder, model=SimpleNamespace(classes=("a", "b", "c"))))
    good, bad = fit_weights(runs)  # type: ignore[arg-type]
    assert good + bad == pytest.approx(1) and good > 0.8


def test_logits_are_joined_by_name():
    first, second = np.array([[1.0, 2.0]]), np.array([[5.0, 9.0]])
    joined = joined_logits([first, second], [("a", "b"), ("c", "b")], [1.0, 3.0], ["a", "b", "c"])
    np.testing.assert_allclose(joined, [[1.0, (2 + 3 * 9) / 4, 5.0]])
    np.testing.assert_allclose(
        joined_logits([first, second], [("a", "b"), ("c", "b")], [1.0, 0.0], ["a", "b", "c"]), [[1, 2, 5]]
    )
