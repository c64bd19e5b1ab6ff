"""A search is killed with SIGKILL at random moments, and again; its suggestions are those of an uninterrupted one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("cheap_search.py")
TRIALS = 16


def start(folder: Path, jobs: int) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SEARCH_OF_THIS_TEST": str(folder)}  # its workers inherit it
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), str(folder), str(jobs), str(TRIALS)], env=environment, stdout=subprocess.DEVNULL
    )


def records(folder: Path) -> list[dict]:
    """Everything that is written about the trials, without what a clock says; in the order of their numbers."""
    lines = (folder / "trials.jsonl").read_text().splitlines()[1:]
    trials = [json.loads(line.partition(" ")[2]) for line in lines]
    for trial in trials:
        del trial["seconds"], trial["finished"]
    return sorted(trials, key=lambda trial: trial["number"])


def n_trials(folder: Path) -> int:
    file = folder / "trials.jsonl"
    return file.read_bytes().count(b"\n") - 1 if file.exists() else 0


def left_over(folder: Path) -> list[str]:
    """List the workers of a search that still run; a process that was given the number of an ended one is none."""
    found = []
    for pid in (folder / "pids").read_text().split():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if f"SEARCH_OF_THIS_TEST={folder}".encode() in environment.split(b"\0"):
            found.append(pid)
    return found


@pytest.mark.parametrize(("jobs", "seed"), [(2, 1)])
def test_kills_at_random_points_change_nothing(tmp_path, jobs, seed):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    uninterrupted = start(whole, jobs)
    rng = random.Random(seed)
    kills = 0
    deadline = time.monotonic() + 600
    while not (killed / "done").exists():
        assert time.monotonic() < deadline
        before = n_trials(killed)
        search = start(killed, jobs)
        # Somewhere in the next few trials, or before the first one.
        target, pause = before + rng.randint(0, 6), rng.uniform(0, 0.2)
        while search.poll() is None and n_trials(killed) < target:
            time.sleep(0.005)
        time.sleep(pause)
        if search.poll() is None:
            os.kill(search.pid, signal.SIGKILL)
            kills += 1
        search.wait()
    assert uninterrupted.wait(300) == 0
    assert kills >= 3
    expected, found = records(whole), records(killed)
    assert len(expected) == TRIALS
    assert {trial["outcome"]["status"] for trial in expected} == {"done", "stopped", "failed"}
    assert found == expected
    assert not list(killed.glob("*.corrupt-*"))
    deadline = time.monotonic() + 10  # on a busy machine a worker needs a moment to see that its search is gone
    while left_over(killed) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left_over(killed)


def test_a_worker_that_still_runs_is_seen(tmp_path):
    environment = {**os.environ, "SEARCH_OF_THIS_TEST": str(tmp_path)}
    worker = subprocess.Popen([sys.executable, "-c", "input()"], env=environment, stdin=subprocess.PIPE)
    (tmp_path / "pids").write_text(f"{worker.pid} {os.getpid()}\n")
    try:
        assert left_over(tmp_path) == [str(worker.pid)]
    finally:
        worker.kill()
        worker.wait()
    assert left_over(tmp_path) == []
