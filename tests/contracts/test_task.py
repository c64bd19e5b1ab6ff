"""What every task promises: a training that can be interrupted, keeps its split, and refuses in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import yaml

from ecotf.dotted import walk
from ecotf.errors import ConfigError, DataError
from ecotf.export.prove.recordings import RunRecordings
from ecotf.runs import RunFolder
from ecotf.runs.splits import fingerprint, read_splits, trained_manifest
from ecotf.tasks.base import get_task
from ecotf.tasks.recipes import parse_recipe, read_run_recipe, recipe_text
from ecotf.tasks.training_run import resume_run


def quiet(line: str) -> None:
    pass


def at(wanted: Callable[[str], object], lines: list[str] | None = None) -> Callable[[str], None]:
    """A log that kills the training when it is told the line that is wanted."""

    def die(line: str) -> None:
        if lines is not None:
            lines.append(line)
        if wanted(line):
            raise KeyboardInterrupt

    return die


def copied(trained, place: Path) -> Path:
    """The run that was stopped in its last fit, in a copy of everything; it has moved with its recordings."""
    run = shutil.copytree(trained.place, place) / trained.stopped
    assert all((run / name).resolve().is_relative_to(place.resolve()) for name in read_splits(run).table["recording"])
    return run


def read(run: Path, name: str):
    return json.loads((run / name).read_text())


def judged(run: Path) -> dict:
    metrics = read(run, "metrics.json")
    metrics.pop("cost")
    return metrics


def numbers_of(values: dict) -> dict[str, float]:
    """All numbers by their dotted keys."""
    return {key: float(value) for key, value in walk(values) if isinstance(value, int | float)}


def apart(numbers: dict[str, float], last: str) -> tuple[dict[str, float], dict[str, float]]:
    """Return the numbers, and by themselves those whose name ends so."""
    own = {name: value for name, value in numbers.items() if name.endswith(last)}
    return {name: value for name, value in numbers.items() if name not in own}, own


# The recipe


def test_a_recipe_is_read_back_as_it_was_written(case):
    recipe, task = case.recipe, get_task(case.task)
    assert recipe.task == task.name == case.task
    values = yaml.safe_load(recipe_text(recipe))
    assert parse_recipe(values, "written") == recipe
    assert task.recipe_class(values) is type(recipe) and list(values) == list(type(recipe).model_fields)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("sead=3", "unknown key 'sead'"),
        ("data.train=0.9", "train, valid and test add up to 1.2; they must add up to 1"),
        ("data.channel=0", "data.channel: 0 is not a channel; allowed: mix, or a channel's number, counted from 1"),
        ("data.channel=left", "data.channel: 'left' is not a channel"),
        ("evaluation.bootstrap=0", "evaluation.bootstrap = 0: "),
        ("task=sounds", "task = 'sounds'; allowed: calls, clips, ensemble"),
    ],
)
def test_settings_that_all_tasks_share_are_refused_alike(case, override, said):
    from ecotf.tasks.recipes import load_any_recipe

    with pytest.raises(ConfigError) as error:
        load_any_recipe(case.name, [override])
    assert said in str(error.value) and "\n" not in str(error.value)


# The run folder


def test_a_run_holds_what_every_run_holds(case, whole):
    inside = {str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file()}
    assert inside >= {
        "recipe.yaml", "manifest.csv", "splits.csv", "labels.csv", "thresholds.json", "metrics.json", "history.csv",
        "report.txt", "environment.json", "problems.csv",
    }  # fmt: skip
    assert not [name for name in inside if "partial" in name or ".lock" in name or ".fitting" in name]
    run = RunFolder.open(whole)
    assert run.steps[0] == "splits.csv" and run.steps[-1] == "evaluation" and all(map(run.step_done, run.steps))
    assert read_run_recipe(whole) == case.recipe
    report = (whole / "report.txt").read_text()
    assert report.startswith(f"{case.name}: ") and "left out: 0" in report and "no test recordings" not in report
    found = read(whole, "metrics.json")
    if case.recipe.task == "calls" or case.recipe.evaluation.events:
        edges = (found if case.recipe.task == "calls" else found["events"])["edges"]
        assert "WHERE EVENTS BEGIN AND END" in report and edges["psds"]["value"] is not None
        assert set(edges["iou_0.5"]["per_label"]) == set(edges["collars"]["per_label"])
        assert edges["settings"]["n_recordings"] == found["judged_on"]["recordings"]
    labels = pd.read_csv(whole / "labels.csv")
    assert (labels["training_annotations"] > 0).all()


def test_the_split_is_kept_with_what_identifies_each_recording(case, whole):
    splits, manifest = read_splits(whole), case.manifest
    assert len(splits.table) == len(manifest.recordings)
    assert set(splits.table["state"]) == {"ok"} and set(splits.table["split"]) == {"train", "valid", "test"}
    for name, size, digest in splits.table[["recording", "bytes", "digest"]].itertuples(index=False):
        assert (size, digest) == fingerprint(whole / name)
    kept = trained_manifest(whole)
    assert kept.of_split("test").recordings == splits.recordings_of("test")
    assert read(whole, "metrics.json")["judged_on"]["recordings"] == len(splits.recordings_of("test"))


# Interrupted


def test_a_killed_training_ends_as_if_nothing_had_happened(case, trained, whole, tmp_path, undrawn):
    """Also where it has moved with its recordings meanwhile."""
    run = copied(trained, tmp_path / "there")
    kept = (run / "splits.csv").read_text()
    lines: list[str] = []
    assert resume_run(run, threads=1, log=lines.append) == run
    assert sum(case.told in line for line in lines) == 1, "the first fit is not repeated"
    assert not [line for line in lines if line.startswith("left out")], "all recordings are found where they are now"
    assert (run / "splits.csv").read_text() == kept and len(pd.read_csv(run / "problems.csv")) == 0
    assert not list(run.glob(".fitting_*"))
    # On a busy machine TensorFlow's sums may differ in their last bits from one training to the next. Thresholds go in
    # steps of 0.01, and such a bit may move one by a step.
    (found, at), (expected, expected_at) = (apart(numbers_of(judged(one)), "threshold") for one in (run, whole))
    assert found == pytest.approx(expected, abs=1e-3) and at == pytest.approx(expected_at, abs=0.01)
    thresholds = numbers_of(read(run, "thresholds.json"))
    assert thresholds == pytest.approx(numbers_of(read(whole, "thresholds.json")), abs=0.01) and thresholds
    with pytest.raises(ConfigError, match="complete, there is nothing to resume"):
        resume_run(run)


def test_recordings_lost_in_between_are_named_and_change_no_side(case, trained, whole, tmp_path, undrawn):
    """One vanished, one is broken, one has other sound: nothing that was trained on is tested on."""
    run = copied(trained, tmp_path / "there")
    before = read_splits(run)
    train_side, test = before.recordings_of("train"), before.recordings_of("test")
    gone, broken, other = (run / name for name in (train_side[0], train_side[-1], test[0]))
    gone.unlink()
    broken.write_bytes(broken.read_bytes()[:100])
    other.write_bytes(other.read_bytes()[:-2] + b"\x01\x01")
    lines: list[str] = []
    resume_run(run, threads=1, log=lines.append)
    pd.testing.assert_frame_equal(read_splits(run).table, before.table)
    problems = pd.read_csv(run / "problems.csv")
    found = {(Path(name).name, status) for name, status in zip(problems["recording"], problems["status"], strict=True)}
    assert found == {(gone.name, "missing"), (broken.name, "changed"), (other.name, "changed")}
    assert sum(line.startswith("left out: ") for line in lines) == 3
    assert read(run, "metrics.json")["judged_on"]["recordings"] == len(test) - 1
    assert pd.read_csv(run / "labels.csv")["label"].tolist() == pd.read_csv(whole / "labels.csv")["label"].tolist()
    get_task(case.task).load(run)  # its weights fit its classes


def test_a_run_that_does_not_say_how_it_was_split(trained, tmp_path):
    run = copied(trained, tmp_path / "there")
    (run / "splits.csv").rename(run / "aside.csv")
    with pytest.raises(ConfigError, match=r"no splits.csv.*train again"):
        resume_run(run, threads=1, log=quiet)
    table = pd.read_csv(run / "aside.csv")
    table.iloc[1:].to_csv(run / "splits.csv", index=False)
    with pytest.raises(ConfigError, match=r"splits.csv is of another manifest.*train again"):
        resume_run(run, threads=1, log=quiet)
    progress = read(run, "progress.json")
    progress["steps"].remove("splits.csv")
    (run / "progress.json").write_text(json.dumps(progress))
    with pytest.raises(ConfigError, match=r"begun by ecotf 0.1.*train again"):
        resume_run(run, threads=1, log=quiet)


@dataclass(frozen=True)
class Listening:
    """What export must know of a run to read its recordings."""

    path: Path
    channel: str = "mix"
    high_hz: float = 10_000.0


def test_export_takes_the_test_recordings_of_a_run_with_ignored_labels(case, tmp_path):
    """Drawn from other labels, the split would be another one; it is read. What cannot be read is on no side."""
    own, output = case.copy(tmp_path / "recordings"), tmp_path / "runs"
    some, broken = own.manifest.recordings[1::4], own.manifest.recordings[2]
    (own.folder / broken).write_bytes(b"RIFF")
    noisy = own.edited(label=lambda table: table["label"].where(~table["recording"].isin(some), "noise"))
    with pytest.raises(KeyboardInterrupt):
        own.train(output, noisy, log=at(lambda line: list(output.rglob("splits.csv"))))
    (run,) = (output / case.name).iterdir()
    splits, exported = read_splits(run), RunRecordings(Listening(run))
    for side in ("train", "valid", "test"):
        assert set(exported.paths(side)) == set(splits.recordings_of(side)) != set()
    row = splits.table.set_index("state").loc["corrupt"]
    assert row["split"] == "" and row["reason"] and Path(row["recording"]).name == broken


# Odd data, and bad


def test_a_class_of_odd_signs(case, trained):
    assert case.odd in case.manifest.labels and case.odd in pd.read_csv(trained.run / "labels.csv")["label"].tolist()
    drawn = case.recipe.task == "calls" or case.recipe.evaluation.events
    assert bool(list(trained.run.glob("plots/*.png"))) is drawn
    assert not [line for line in trained.lines if "could not be drawn" in line]


def test_a_species_that_nothing_teaches_is_named_before_training(case, tmp_path):
    manifest = case.manifest
    sides = dict(zip(manifest.recordings, ["train", "valid"] * len(manifest.recordings), strict=False))
    last = manifest.recordings[-1]
    sides[last] = "test"
    table = manifest.with_splits(sides).table
    strange = case.edited(
        split=lambda _: table["split"], label=lambda t: t["label"].where(t["recording"] != last, "Bubo bubo")
    )
    lines: list[str] = []
    wanted = "Bubo bubo will not be learned: no training recording has it"
    with pytest.raises(KeyboardInterrupt):
        case.train(tmp_path, strange, log=at(lambda line: line.startswith(wanted), lines))
    (said,) = (line for line in lines if line.startswith(wanted))
    assert "in test; put one of them in train" in said and not [line for line in lines if case.told in line]


@pytest.mark.parametrize(
    ("columns", "kind", "said"),
    [
        ({"split": lambda _: "test"}, DataError, "no recording is in the split 'train'"),
        ({"recording": lambda _: "gone.wav", "group": lambda _: "a"}, DataError, "1 of 1 recordings are missing"),
    ],
)
def test_data_that_cannot_be_trained_on(case, tmp_path, columns, kind, said):
    with pytest.raises(kind) as error:
        case.train(tmp_path, case.edited(**columns))
    assert said in str(error.value) and "\n" not in str(error.value)
