"""The run folder: what is written is read back, steps survive a kill, and one training has it at a time."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecotf.errors import ConfigError, EcotfError
from ecotf.files import lock, unlock
from ecotf.runs import RunFolder, environment_facts

from .written import full_disk, leftovers

NOON = datetime(2024, 6, 12, 12, 0, 0)


@pytest.fixture
def run(tmp_path):
    run = RunFolder.create(tmp_path / "runs", "bats/field", now=NOON, steps=["features", "network", "thresholds"])
    yield run
    run.close()


def test_two_runs_in_one_second(tmp_path):
    paths = []
    for _ in range(11):
        run = RunFolder.create(tmp_path, "bats/field", now=NOON)
        run.finish()
        paths.append(run.path)
    assert len(set(paths)) == 11
    assert paths[0] == tmp_path / "bats" / "field" / "2024-06-12_12-00-00"
    assert paths[10].name == "2024-06-12_12-00-00_11"
    assert RunFolder.latest(tmp_path, "bats/field").path == paths[10]


@pytest.mark.parametrize("name", ["", "../x", "/etc/x", "a//b", "bats/..", "a b", "."])
def test_recipe_name_that_cannot_be_a_folder(tmp_path, name):
    with pytest.raises(ConfigError, match=re.escape(repr(name))):
        RunFolder.create(tmp_path, name)


def test_what_is_written_is_read_back(run):
    table = pd.DataFrame({"label": ["NA", "", "Pip50"], "score": [0.1 + 0.2, np.nan, 1.0], "n": [1, 2, 3]})
    run.write_table("t.csv", table)
    run.write_table("deep/t.parquet", table)
    run.write_text("labels.txt", "Nathusius’ pipistrelle\n")
    run.write_bytes("weights.bin", b"\0\1")
    for name in ("t.csv", "deep/t.parquet"):
        pd.testing.assert_frame_equal(run.read_table(name), table, check_exact=True)
    assert run.read_text("labels.txt") == "Nathusius’ pipistrelle\n"
    assert run.file("weights.bin").read_bytes() == b"\0\1"
    assert run.has("deep") and not run.has("deeper")
    assert leftovers(run.path) == []


def test_json_is_strict_and_takes_numpy(run):
    @dataclass
    class Interval:
        low: float
        high: np.float32

    run.write_json(
        "metrics.json",
        {"f1": np.float64("nan"), "n": np.int64(3), "confusion": np.eye(2, dtype=int), "ok": np.bool_(True),
         "interval": Interval(0.5, np.float32(0.75)), "path": Path("a/b"), 7: (1, {"b", "a"}), "inf": float("inf")},
    )  # fmt: skip

    def refuse(constant):
        raise AssertionError(constant)

    assert json.loads(run.read_text("metrics.json"), parse_constant=refuse) == {
        "f1": None, "n": 3, "confusion": [[1, 0], [0, 1]], "ok": True, "interval": {"low": 0.5, "high": 0.75},
        "path": "a/b", "7": [1, ["a", "b"]], "inf": None,
    }  # fmt: skip
    with pytest.raises(TypeError, match="object"):
        run.write_json("metrics.json", {"x": object()})
    assert run.read_json("metrics.json")["n"] == 3


def test_full_disk_while_writing_a_table(run, monkeypatch):
    table = pd.DataFrame({"a": [1]})
    run.write_table("history.csv", table)

    def half_written(self, path, **keywords):
        Path(path).write_text("a\n")
        full_disk()

    monkeypatch.setattr(pd.DataFrame, "to_csv", half_written)
    with pytest.raises(EcotfError, match=r"disk full while writing .*history\.csv"):
        run.write_table("history.csv", table)
    assert run.read_table("history.csv")["a"].tolist() == [1]
    assert leftovers(run.path) == []


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", ""])
def test_a_name_outside_the_run(run, name):
    with pytest.raises(ValueError, match="inside a run folder"):
        run.write_text(name, "x")


def test_a_table_of_unknown_kind(run):
    with pytest.raises(ValueError, match=r"\.csv or \.parquet"):
        run.write_table("t.xlsx", pd.DataFrame())


def test_a_file_that_the_run_lacks(run):
    with pytest.raises(ConfigError, match=r"the run has no thresholds\.json"):
        run.read_json("thresholds.json")
    run.write_text("thresholds.json", "{")
    with pytest.raises(ConfigError, match=r"thresholds\.json: not valid JSON"):
        run.read_json("thresholds.json")


# Steps, resuming, opening


def test_steps_survive_a_kill(run):
    assert not run.step_done("features")
    run.mark_done("features", patches=np.int64(7), file=Path("cache/a"))
    with pytest.raises(ConfigError, match=r"half written \(not done yet: network, thresholds\); resume with --resume"):
        RunFolder.open(run.path)
    run.close()
    resumed = RunFolder.resume(run.path)
    assert resumed.step_done("features") and not resumed.step_done("network")
    facts = resumed.step_facts("features")
    assert (facts["patches"], facts["file"]) == (7, "cache/a")
    assert resumed.step_facts("network") == {}
    resumed.finish()
    assert RunFolder.open(run.path).complete
    assert RunFolder.open(run.path).recipe_name == "bats/field"
    with pytest.raises(ConfigError, match="complete, there is nothing to resume"):
        RunFolder.resume(run.path)


def test_open_quotes_the_folder_to_resume(tmp_path):
    run = RunFolder.create(tmp_path, "cnn8")
    with pytest.raises(ConfigError, match=re.escape(f"--resume {run.path}")) as caught:
        RunFolder.open(run.path)
    assert "\n" not in str(caught.value)
    run.close()


def test_open_what_is_no_run(tmp_path):
    with pytest.raises(ConfigError, match="there is no such run folder"):
        RunFolder.open(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="not a run folder"):
        RunFolder.open(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="not a folder"):
        RunFolder.open(tmp_path / "file")
    for damage in ("{", "[]", '{"complete": true}', "\udcff"):
        (tmp_path / "progress.json").write_text(damage, encoding="utf-8", errors="surrogateescape")
        with pytest.raises(ConfigError, match="damaged"):
            RunFolder.open(tmp_path)


def test_open_a_copy_that_lacks_files(run):
    run.write_text("weights/head.ubj", "x")
    run.write_text("labels.csv", "x")
    run.finish()
    (run.path / "weights" / "head.ubj").unlink()
    with pytest.raises(ConfigError, match=r"the run lacks weights/head\.ubj; copy the whole folder again"):
        RunFolder.open(run.path)


def test_a_finished_run_holds_only_what_was_written(run):
    run.write_text("labels.csv", "x")
    run.finish()
    assert sorted(os.listdir(run.path)) == ["labels.csv", "progress.json"]


def test_latest(tmp_path):
    with pytest.raises(ConfigError, match="there is no complete run of 'cnn8'"):
        RunFolder.latest(tmp_path, "cnn8")
    first = RunFolder.create(tmp_path, "cnn8", now=NOON)
    first.finish()
    stopped = RunFolder.create(tmp_path, "cnn8", now=NOON)
    stopped.close()
    assert RunFolder.latest(tmp_path, "cnn8").path == first.path
    resumed = RunFolder.latest(tmp_path, "cnn8", unfinished=True)
    assert resumed.path == stopped.path
    resumed.close()


# Locks


def test_two_trainings_on_one_run(run):
    with pytest.raises(ConfigError, match=rf"another training is using this run \(process {os.getpid()}\)"):
        RunFolder.resume(run.path)
    run.close()
    RunFolder.resume(run.path).close()


def test_a_lock_in_another_process_names_it_and_ends_with_it(run):
    run.close()
    child = "import sys, time; from ecotf.runs import RunFolder as R; r = R.resume(sys.argv[1]); print('held', flush=True); time.sleep(60)"  # noqa: E501
    process = subprocess.Popen([sys.executable, "-c", child, str(run.path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match=rf"process {process.pid}\)"):
            RunFolder.resume(run.path)
    finally:
        process.kill()
        process.communicate()
    RunFolder.resume(run.path).close()


def test_unlock_twice(tmp_path):
    held = lock(tmp_path / ".lock", "busy")
    unlock(held)
    unlock(held)
    assert os.listdir(tmp_path) == []


# The environment


def test_environment_facts():
    facts = environment_facts(seed=7, started="2024-06-12T12:00:00+00:00")
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    assert facts["packages"]["numpy"] == np.__version__
    assert facts["packages"]["pandas"] == pd.__version__
    assert facts["seed"] == 7 and facts["finished"] is None
    assert facts["cpu"] and facts["cpu_count"] >= 1 and facts["memory_bytes"] > 2**20
    checkout = Path(__file__).parents[2]
    if (checkout / ".git").exists():
        head = subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        assert facts["git_commit"].removesuffix("+changes") == head.stdout.strip()
    json.dumps(facts)
