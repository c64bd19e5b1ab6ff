"""A refit learns from the validation recordings, too; what was chosen is what the first network's validation chose."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.config import validate
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.errors import ConfigError, DataError
from ecotf.models.tagger import read_weights
from ecotf.reports.report import write_report
from ecotf.reports.text import number
from ecotf.runs.progress import PROGRESS
from ecotf.tasks.clips.export import ClipExport
from ecotf.tasks.clips.objective import ClipsSearch
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.clips.run import load_clip_run
from ecotf.tasks.recipes import load_any_recipe
from ecotf.tasks.start import begun_from
from ecotf.tasks.training_run import resume_run, train_run
from ecotf.tuning.keys import check_keys

RATE, SECONDS = 16_000, 4.0
SIDES = {"a": "train", "b": "train", "c": "valid", "d": "test"}
TINY = {"name": "small", "stem": 4, "filters": [4, 4, 8], "blocks": [1, 1, 1], "expand": 1, "features": 8}


def recipe_of(refit: bool, **stage: Any) -> ClipRecipe:
    values = load_any_recipe("birds/events").model_dump(mode="json")
    for one in values["stages"]:
        one |= {"batch": 2, "epochs": 2, **stage}
        one["draws"] |= {"clips": 4}
    values |= {"name": "test/refit", "sample_rate": RATE, "clips": {"seconds": 1.0}, "refit": refit}
    values["inference"] |= {"segment_s": 1.0, "window_s": 1.0, "boxes": None}
    values["network"]["backbone"] = {**TINY, "halvings": 2}
    values["front_end"] |= {"high_hz": 7000.0, "bands": 32}
    return validate(ClipRecipe, values, "test")


def recordings(folder: Path, call_s: float = 0.3, valid: bool = True) -> Manifest:
    rows, rng = [], np.random.default_rng(1)
    for name, split in SIDES.items():
        if split == "valid" and not valid:
            continue
        sound, times = 0.05 * rng.standard_normal(round(SECONDS * RATE)), np.arange(round(0.3 * RATE)) / RATE
        for at in (0.5, 1.7, 2.9):
            sound[round(at * RATE) : round(at * RATE) + len(times)] += 0.3 * np.sin(2 * np.pi * 3000 * times)
            long = call_s if split == "valid" else 0.3
            rows.append((f"{name}.wav", at, at + long, "piha", split, "yes"))
        soundfile.write(folder / f"{name}.wav", sound, RATE)
    table = pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label", "split", "fully_annotated"])
    return make_manifest(table, folder, "test")


def weights_of(run: Path, stage: str) -> list[np.ndarray]:
    return read_weights(run / "stages" / stage / "weights.npz")[0]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[str]]:
    """Runs of the same data without and with a refit, and what the second one said."""
    folder = tmp_path_factory.mktemp("refit")
    said: list[str] = []
    manifest = recordings(folder)
    without = train_run(recipe_of(False), manifest, folder / "without", threads=1, log=lambda line: None)
    return without, train_run(recipe_of(True), manifest, folder / "with", threads=1, log=said.append), said


def test_what_is_chosen_is_chosen_by_the_network_that_has_not_heard_the_validation_recordings(trained):
    without, run, _ = trained
    assert json.loads((run / "thresholds.json").read_text()) == json.loads((without / "thresholds.json").read_text())
    for name in ("logits", "targets"):
        np.testing.assert_array_equal(
            np.load(run / "validation.npz")[name], np.load(without / "validation.npz")[name], err_msg=name
        )
    assert same(weights_of(run, "2_onsets"), weights_of(without, "2_onsets"))


def test_the_network_that_is_kept_is_the_one_of_all_recordings(trained):
    without, run, _ = trained
    kept = load_clip_run(run).model.network.model.get_weights()
    assert same(kept, weights_of(run, "5_onsets_again")) and not same(kept, weights_of(run, "2_onsets"))
    assert not np.array_equal(
        np.load(run / "predictions.npz")["logits"], np.load(without / "predictions.npz")["logits"]
    )
    report = (run / "report.txt").read_text()
    assert "learned from 3 recordings, the 1 of validation among them" in report
    assert "thresholds are those of one that learned from 2" in report
    assert "learned from" not in (without / "report.txt").read_text()


def test_an_export_is_told_what_a_refit_has_learned_from(trained):
    without, run, _ = trained
    assert ClipExport(load_clip_run(run)).learned == ("train", "valid")
    assert ClipExport(load_clip_run(without)).learned == ("train",)


def test_a_refit_goes_to_its_last_epoch_and_leaves_out_what_was_not_kept(trained):
    _, run, said = trained
    history = pd.read_csv(run / "history.csv")
    for stage in ("train", "mined", "onsets"):
        kept = history[(history["stage"] == stage) & history["kept"]]
        again = history[history["stage"] == f"{stage}_again"]
        assert len(again) == (2 if len(kept) else 0), stage
        assert again["frame_ap"].isna().all() and again["valid_loss"].isna().all()  # nothing is left to validate on
    assert any(line.startswith("stage 4/6 train_again: 1 class,") for line in said)


def test_a_refit_that_was_interrupted_goes_on_to_the_same_network(trained):
    _, run, _ = trained
    copy = run.parent / "interrupted"
    shutil.copytree(run, copy)
    progress = json.loads((copy / PROGRESS).read_text())
    progress["done"] = {name: facts for name, facts in progress["done"].items() if not name.endswith("_again")}
    progress["done"].pop("evaluation")
    (copy / PROGRESS).write_text(json.dumps(progress | {"complete": False}))
    for stage in ("3_train_again", "4_mined_again", "5_onsets_again"):
        shutil.rmtree(copy / "stages" / stage)
    resume_run(copy, threads=1, log=lambda line: None)
    assert same(weights_of(copy, "5_onsets_again"), weights_of(run, "5_onsets_again"))
    assert (copy / "thresholds.json").read_bytes() == (run / "thresholds.json").read_bytes()


def test_reports_count_the_validation_recordings_as_learned_from(trained, tmp_path):
    without, run, _ = trained
    # Another run that was judged on the recording which the refit has learned from.
    other = Path(shutil.copytree(without, without.parent / "other"))
    splits = pd.read_csv(other / "splits.csv", dtype=str, keep_default_na=False)
    splits["split"] = splits["split"].replace({"valid": "test", "test": "valid"})
    splits.to_csv(other / "splits.csv", index=False)
    text = write_report([run, other], tmp_path / "page.html", clips=0).read_text()
    assert "1 test; train and valid learned from" in text
    assert "1 of the 1 recordings that B was judged on were trained on by A" in text
    assert "were trained on by" not in write_report([without, other], tmp_path / "two.html", clips=0).read_text()


def test_a_page_shows_the_thresholds_that_events_are_reported_by_and_how_few_calls_chose_them(trained, tmp_path):
    without, _, _ = trained
    fitted = json.loads((without / "thresholds.json").read_text())
    assert fitted["events"]["piha"] != fitted["thresholds"]["piha"]  # of segments: nothing that is reported
    table = re.search('<table class="thresholds">.*?</table>', write_report([without], tmp_path / "a.html").read_text())
    assert table is not None
    assert f'<td class="">{number(fitted["events"]["piha"])}</td>' in table[0]
    (note,) = fitted["notes"]
    assert note.startswith("thresholds of few calls, or of one recording: piha ") and "(3 calls, 1 recording)" in note
    assert note in (tmp_path / "a.html").read_text() and note in (without / "report.txt").read_text()


def test_what_begins_with_such_a_run_begins_with_the_network_of_all_recordings(trained):
    _, run, _ = trained
    begun = begun_from(load_any_recipe("birds/events"), run)
    assert begun.stages[0].weights_from.endswith("stages/5_onsets_again")


def test_without_validation_recordings_the_first_network_is_kept(tmp_path):
    said: list[str] = []
    run = train_run(recipe_of(True), recordings(tmp_path, valid=False), tmp_path / "runs", threads=1, log=said.append)
    kept = load_clip_run(run).model.network.model.get_weights()
    assert same(kept, weights_of(run, "2_onsets"))
    assert any("no validation recordings, so there is nothing more to learn from" in line for line in said)
    report = (run / "report.txt").read_text()
    assert "of validation among them" not in report
    # Nothing chose the thresholds, which is said; tested events are judged nevertheless.
    fitted = json.loads((run / "thresholds.json").read_text())
    assert fitted["events"] == {"piha": 0.5, "call": 0.5} and fitted["unfitted"] == ["piha", "call"]
    assert "no validation recording could fit (a guess): piha, call" in report and "WHERE EVENTS BEGIN" in report
    assert any("no validation event to fit the event finder on: piha, call" in line for line in said)


def test_what_cannot_be_learned_later_is_refused_at_once(tmp_path):
    said: list[str] = []
    with pytest.raises(DataError, match=r"a frame is 40 ms, the shortest event 20 ms .* in c\.wav"):
        train_run(recipe_of(True), recordings(tmp_path, call_s=0.02), tmp_path / "runs", threads=1, log=said.append)
    assert not any("epoch" in line for line in said)


@pytest.mark.parametrize(
    ("recipe", "change", "message"),
    [
        ("birds/events", "stages.0.schedule={name: plateau}", "the schedule plateau looks at a validation"),
        ("fewshot/small", "seed=1", "is judged by species that it never learns"),
    ],
)
def test_stages_that_need_a_validation_have_no_refit(recipe, change, message):
    with pytest.raises(ConfigError, match=message):
        load_any_recipe(recipe, ["refit=true", change])


def test_trials_of_a_search_have_no_refit():
    plan = recipe_of(True)
    assert len(plan.expanded().stages) == 6
    assert len(plan.for_trials().expanded().stages) == 3
    with pytest.raises(ConfigError, match="refit"):
        check_keys(plan, ["refit"], ClipsSearch(plan).judges)
