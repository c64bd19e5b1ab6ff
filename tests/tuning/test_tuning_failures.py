"""Bad input to a search: one clear line each, before anything is trained, and what was found so far stays."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ecotf.audio.simulate import SimulationConfig, simulate_dataset
from ecotf.commands import run_tuning
from ecotf.commands.console import run_command
from ecotf.commands.tuning_folder import SearchFolder
from ecotf.tuning import workers

SOUNDS = SimulationConfig(n_recordings=6, duration_s=0.4, seed=3, empty_fraction=0.1, passes=(1, 1), snr_db=(50, 70))
SMALL = ("tuning.space={trees.max_depth: {name: randint, low: 1, high: 4}}", "tuning.trials=3")


@pytest.fixture(scope="module")
def calls(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("calls")
    simulate_dataset(folder, SOUNDS)
    return folder / "manifest.csv"


@pytest.fixture
def no_worker(monkeypatch):
    """What is wrong is found before a worker is started."""

    def refuse(*_):
        raise AssertionError("a worker was started")

    monkeypatch.setattr(workers.Worker, "start", refuse)


def error_of(capsys, *arguments) -> str:
    """The one line with which the command says why nothing could be done."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit:
        run_command(run_tuning.main, [str(argument) for argument in arguments])
    printed = capsys.readouterr()
    assert exit.value.code == 2 and "Traceback" not in printed.out + printed.err
    lines = printed.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), printed.err
    return lines[0].removeprefix("error: ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["tuning.space={trees.max_dept: {name: randint, low: 1, high: 4}}"], "did you mean 'trees.max_depth'?"),
        (["tuning.space={trees.eta: {name: randomly}}"], "tuning.space: trees.eta: expression 'randomly' is unknown"),
        (["tuning=null"], "the recipe has no tuning: block of settings to search"),
        (["tuning.metric=detection.app"], "no trial reports 'detection.app'; reported are quality, detection.ap, "),
        (["tuning.metric=detection.app"], "did you mean 'detection.ap'?"),
        ([*SMALL, "tuning.metric=valid_loss"], "no trial reports 'valid_loss'"),  # the trees alone have none
        (["--trials", "0"], "--trials 0: at least 1 is needed"),
        (["--jobs", "0"], "--jobs 0: at least 1 is needed"),
        (["--budget", "a while"], "'a while' is not a time; allowed: as 2h, 90m"),
        (["--budget", "0s"], "'0s' is not a time"),
        (["--set", "tuning.trials=-1"], "tuning.trials = -1"),
        (["--set", "trees.etta=1"], "unknown key 'trees.etta'"),
        (["--start-from", "nowhere.csv"], "nowhere.csv: cannot be read"),
        (["--engine", "hadoop"], "--engine 'hadoop' is unknown; allowed: processes, spark://HOST:PORT"),
    ],
)
def test_what_cannot_be_searched(calls, tmp_path, capsys, no_worker, options, said):
    output = tmp_path / "search"
    arguments = [
        "--recipe",
        "bats/field",
        "--data",
        calls,
        "--output",
        output,
        "--cache",
        calls.parent / "spectrograms",
    ]
    assert said in error_of(capsys, *arguments, *options)
    assert not (output / "trials.jsonl").exists() and not (output / ".lock").exists()


def test_without_recipe_or_data(tmp_path, capsys, calls):
    assert "--recipe and --data are needed" in error_of(capsys, "--data", calls)
    assert "--recipe and --data are needed" in error_of(capsys, "--recipe", "bats/field", "--output", tmp_path)
    assert "there is no search in it to continue" in error_of(capsys, "--resume", "--output", tmp_path / "none")
    assert "unknown recipe 'bats/feild'" in error_of(capsys, "--recipe", "bats/feild", "--data", calls)


@pytest.fixture(scope="module")
def begun(calls, tmp_path_factory) -> Path:
    """A search that ran out of time before its first trial ended."""
    folder = tmp_path_factory.mktemp("begun") / "search"
    with pytest.raises(SystemExit):
        run_command(run_tuning.main, [str(argument) for argument in (*new(calls, folder), "--budget", "0.000001s")])
    return folder


def new(calls: Path, folder: Path) -> list:
    cache = calls.parent / "spectrograms"
    return ["--recipe", "bats/field", "--data", calls, "--output", folder, "--cache", cache, *SMALL]


def test_a_budget_too_small_for_one_trial(calls, tmp_path, capsys):
    said = error_of(capsys, *new(calls, tmp_path / "search"), "--budget", "0.000001s")
    assert "the budget of 0.000001s was too small for one trial; continue it with --resume --output " in said
    assert (tmp_path / "search" / "trials.jsonl").read_bytes().count(b"\n") == 1
    assert not (tmp_path / "search" / "best.yaml").exists()


@pytest.fixture
def search(begun, tmp_path) -> Path:
    """A copy of it."""
    return shutil.copytree(begun, tmp_path / "search")


def test_a_second_search_begun_in_the_folder(search, calls, capsys, no_worker):
    assert "there is a search in it; continue it with --resume, or choose" in error_of(capsys, *new(calls, search))


def test_two_searches_at_once_in_one_folder(search, capsys, no_worker):
    with SearchFolder(search):
        said = error_of(capsys, "--resume", "--output", search)
    assert "another search is running in it (process " in said
    assert "too small" in error_of(capsys, "--resume", "--output", search, "--budget", "0.000001s")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (["trees.n_estimators=50"], "recipe"),
        (["tuning.space={trees.max_depth: {name: randint, low: 1, high: 5}}"], "space"),
        (["tuning.metric=detection.ap"], "metric"),
        (["tuning.direction=minimise"], "metric"),
        (["tuning.seed=4"], "seed"),
        (["tuning.startup=4"], "startup"),
        (["tuning.stopping=null"], "early stopping"),
    ],
)
def test_trials_of_another_recipe_space_metric_or_seed(search, calls, capsys, no_worker, change, part):
    before = (search / "trials.jsonl").read_bytes()
    said = error_of(capsys, *new(calls, search), *change, "--resume")
    assert f"these trials are of another search, its {part} is not the same" in said
    assert (search / "trials.jsonl").read_bytes() == before


def test_trials_of_other_data(search, calls, tmp_path, capsys, no_worker):
    other = tmp_path / "calls"
    shutil.copytree(calls.parent, other)
    table = (other / "manifest.csv").read_text().splitlines(keepends=True)
    (other / "manifest.csv").write_text("".join(table[:-1]))
    said = error_of(capsys, *new(other / "manifest.csv", search), "--resume")
    assert "these trials are of another search, its data is not the same" in said


def test_the_same_data_elsewhere_are_the_same_data(search, calls, tmp_path, capsys, no_worker):
    other = tmp_path / "calls"
    shutil.copytree(calls.parent, other)
    said = error_of(capsys, *new(other / "manifest.csv", search), "--resume", "--budget", "0.000001s")
    assert "too small for one trial" in said


def test_a_trials_file_copied_from_elsewhere(search, capsys, no_worker):
    lines = (search / "trials.jsonl").read_bytes()
    header = json.loads(lines.partition(b" ")[2])
    header["search"]["recipe"] = "0" * 24
    text = json.dumps(header).encode()
    import zlib

    (search / "trials.jsonl").write_bytes(b"%08x %s\n" % (zlib.crc32(text), text))
    assert "of another search, its recipe is not the same" in error_of(capsys, "--resume", "--output", search)


def test_settings_that_resume_does_not_take(search, capsys, no_worker):
    said = error_of(capsys, "--resume", "--output", search, "trees.max_depth=3")
    assert "--resume takes the settings from the search; leave --set and --start-from out" in said


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("search.json", "{", "search.json: damaged"),
        ("search.json", None, "it holds trials.jsonl but not what the search was begun with"),
        ("recipe.yaml", "seed: [1\n", "recipe.yaml: not valid YAML at line"),
    ],
)
def test_a_damaged_folder(search, capsys, no_worker, name, content, said):
    (search / name).unlink()
    if content is not None:
        (search / name).write_text(content)
    assert said in error_of(capsys, "--resume", "--output", search)


def test_trials_that_all_fail_leave_no_recipe(calls, tmp_path, capsys):
    """A learning rate at which nothing stays a number: it is recorded, and said in the end."""
    space = "tuning.space={stages.0.learning_rate: {name: choice, options: [-1.0, -2.0]}}"
    settings = ["stages.0.epochs=1", "stages.0.learning_rate=1.0e+300", space, "tuning.trials=3"]
    settings += [f"networks.0.backbone.{key}" for key in ("filters=[4, 6, 6]", "squeeze=2", "embedding=8")]
    arguments = ["--recipe", "bats/field", "--data", calls, "--output", tmp_path / "search", *settings]
    said = error_of(capsys, *arguments, "--cache", calls.parent / "spectrograms", "--threads", "1")
    assert "none of the 3 trials gave a recipe; " in said
    table = (tmp_path / "search" / "trials.csv").read_text()
    assert "the loss is not a number" in table and table.count("with these settings: stages.0.learning_rate = -") == 2
