"""The search itself, over a sum that costs nothing: resuming, several at a time, failures, budgets, the metric."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from cheap_search import CONFIG, STARTS, Sum, facts, run_here, search_in

from ecotf.errors import ConfigError
from ecotf.tuning.clock import Clock
from ecotf.tuning.report import changes, failures, trial_table
from ecotf.tuning.search import Search
from ecotf.tuning.trial import Outcome
from ecotf.tuning.workers import attempt, run_with_workers


def config(**changed):
    return CONFIG.model_copy(update=changed)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Search:
    return run_here(search_in(tmp_path_factory.mktemp("whole")))


def records(search: Search) -> list[dict]:
    return [facts(trial) for trial in search.trials]


# --- resuming --------------------------------------------------------------------------------------------------------


def test_a_search_that_ends_anywhere_goes_on_as_if_it_had_not(whole, tmp_path):
    """Every number of trials on disk, with nothing behind them, as a kill leaves it."""
    lines = whole._journal.path.read_bytes().splitlines(keepends=True)
    for kept in range(len(lines)):
        folder = tmp_path / str(kept)
        folder.mkdir()
        (folder / "trials.jsonl").write_bytes(b"".join(lines[: kept + 1]))
        search = search_in(folder)
        assert len(search.trials) == kept
        assert records(run_here(search)) == records(whole)


def test_more_trials_later_are_those_of_a_longer_search(whole, tmp_path):
    run_here(search_in(tmp_path, config=config(trials=7)))
    assert records(run_here(search_in(tmp_path))) == records(whole)


def overtaking(search: Search, seed: int, kill_after: int = 10**9) -> None:
    """Run ``search.jobs`` at a time; which of them ends first is drawn."""
    rng, running, done = random.Random(seed), {}, 0
    while True:
        while len(running) < search.jobs and (task := search.next_task()) is not None:
            running[task.number] = attempt(Sum(), task, lambda line: None)
        if not running or done == kill_after:
            return
        number = rng.choice(sorted(running))
        search.record(number, running.pop(number))
        done += 1


@pytest.mark.parametrize("jobs", [2, 3, 5])
def test_who_is_faster_makes_no_difference(tmp_path, jobs):
    found = []
    for seed in range(3):
        folder = tmp_path / str(seed)
        overtaking(search_in(folder, jobs), seed)
        found.append(records(search_in(folder, jobs)))
    for seed in range(4):
        folder = tmp_path / f"killed_{seed}"
        overtaking(search_in(folder, jobs), seed, kill_after=3 + 3 * seed)
        overtaking(search_in(folder, jobs), seed + 100)
        found.append(records(search_in(folder, jobs)))
    assert all(each == found[0] for each in found)
    assert len(found[0]) == 18
    # Each was suggested from all trials up to so many before it, and from no other.
    assert [trial["seen"] for trial in found[0]] == [max(0, number - jobs + 1) for number in range(18)]


def test_workers_give_what_this_process_gives(whole, tmp_path):
    said: list[str] = []
    ended: list[int] = []
    search = search_in(tmp_path)
    run_with_workers(search, Sum(), said.append, ended.append)
    assert records(search) == records(whole)
    assert ended == list(range(18)) and said[0] == "prepared"


# --- failures --------------------------------------------------------------------------------------------------------


def test_failures_are_kept_with_their_reason_and_the_search_goes_on(tmp_path):
    kinds = {"kind": {"name": "choice", "options": ["b"]}, "share": {"name": "uniform", "low": 0.81, "high": 0.9}}
    space = config(space={**CONFIG.space, **config().__class__(space=kinds).space}, stopping=None, trials=12)
    search = run_here(search_in(tmp_path, config=space))
    failed = [trial for trial in search.trials if trial.outcome.status == "failed"]
    assert 2 <= len(failed) == 11
    reasons = {trial.outcome.reason for trial in failed}
    assert reasons == {"a kind b that deep cannot be", "ZeroDivisionError: division"}
    for trial in failed:
        assert trial.metric is None
        assert ("cheap_search.py" in trial.outcome.trace) == trial.outcome.reason.startswith("ZeroDivision")
    lines = failures(search.trials)
    assert sum(int(line.split()[0]) for line in lines) == 11
    assert "failed (first: trial " in lines[0]


class Dies:
    """Its process is killed in trial 2, and in nothing else."""

    def prepare(self, log) -> None:
        pass

    def __call__(self, task, log) -> Outcome:
        import os
        import signal

        if task.number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return Outcome("done", {"quality": float(task.number)})


def test_a_worker_that_dies_takes_its_trial_along_and_not_the_search(tmp_path):
    search = search_in(tmp_path, config=config(trials=4, stopping=None))
    run_with_workers(search, Dies(), lambda line: None, lambda number: None)
    assert [trial.outcome.status for trial in search.trials] == ["done", "done", "failed", "done"]
    assert search.trials[2].outcome.reason == "its process was ended by signal 9 (out of memory?)"


class Unprepared(Dies):
    """Cannot even begin."""

    def prepare(self, log) -> None:
        raise ConfigError("the disk is gone")


def test_what_cannot_be_prepared_ends_the_search_at_once(tmp_path):
    search = search_in(tmp_path)
    with pytest.raises(Exception, match="no trial can begin: the disk is gone"):
        run_with_workers(search, Unprepared(), lambda line: None, lambda number: None)
    assert search.trials == []


def test_a_search_in_which_everything_fails_ends(tmp_path):
    def broken(task, log):
        raise OSError("the drive is gone")

    search = run_here(search_in(tmp_path, config=config(trials=500)), broken)
    assert len(search.trials) == 20
    assert search.over() == "20 trials in a row failed, the last one: OSError: the drive is gone"
    assert search_in(tmp_path, config=config(trials=500)).over() is None, "after it was seen to, it goes on"


# --- the metric ------------------------------------------------------------------------------------------------------


def test_a_metric_that_no_trial_reports_ends_the_search_with_one_line(tmp_path):
    with pytest.raises(ConfigError) as error:
        run_here(search_in(tmp_path, config=config(metric="qualiti")))
    assert str(error.value) == (
        "tuning.metric: no trial reports 'qualiti'; reported are quality; did you mean 'quality'?"
    )
    assert search_in(tmp_path).trials == []


def test_a_metric_without_a_value_is_a_failure(tmp_path):
    def nothing(task, log):
        return Outcome("done", {"quality": None if task.number % 2 else 0.5})

    search = run_here(search_in(tmp_path, config=config(trials=4)), nothing)
    assert [trial.outcome.status for trial in search.trials] == ["done", "failed"] * 2
    assert "'quality' has no value" in search.trials[1].outcome.reason


@pytest.mark.parametrize("direction", ["maximise", "minimise"])
def test_the_best_trial_and_the_direction(tmp_path, direction):
    def distance(task, log):
        return Outcome("done", {"quality": abs(task.values["share"] - 0.5)})

    wanted = config(direction=direction, trials=30, stopping=None)
    search = run_here(search_in(tmp_path, config=wanted), distance)
    metrics = [trial.metric for trial in search.trials]
    assert search.best.metric == (max if direction == "maximise" else min)(metrics)
    assert search.best.number == metrics.index(search.best.metric)  # the first of equals
    # It has learned something: the later half is better than the first.
    first, second = sum(metrics[:15]), sum(metrics[15:])
    assert second > first if direction == "maximise" else second < first


# --- budgets ---------------------------------------------------------------------------------------------------------


def spend(search: Search) -> None:
    """As if much time had passed; the real clock of a busy machine is no thing to test with."""
    search.clock._before += 3600


def test_time_decides_how_many_trials_there_are_and_not_which(whole, tmp_path):
    search = search_in(tmp_path, config=config(time="1h"))
    run_with_workers(search, Sum(), lambda line: None, lambda number: spend(search) if number == 6 else None)
    assert len(search.trials) == 7 and search.over() == "the time is up (1h)"
    assert 3600 <= json.loads((tmp_path / "clock.json").read_text())["spent_s"] < 3700
    again = search_in(tmp_path, config=config(time="1h"))
    assert again.next_task() is None, "the time of earlier sittings counts"
    assert records(run_here(search_in(tmp_path, config=config(time="2h")))) == records(whole)


class Endless(Sum):
    """Says that it has begun, and never ends."""

    def __call__(self, task, log) -> Outcome:
        log("begun")
        return Sum(600)(task, log)


def test_a_trial_is_cut_off_when_the_time_is_up(whole, tmp_path):
    """It is no trial yet: its number is the next one's, as if it had never begun."""
    said: list[str] = []

    def hear(line: str) -> None:
        said.append(line)
        if line == "trial 0: begun":
            spend(search)

    search = search_in(tmp_path, config=config(time="1h"), log=hear)
    run_with_workers(search, Endless(), hear, lambda number: None)
    assert said[-1] == "the time is up; stopped before its end: trial 0"
    assert search_in(tmp_path).trials == []
    assert records(run_here(search_in(tmp_path))) == records(whole)


def test_the_clock_survives_what_is_no_clock(tmp_path):
    file = tmp_path / "clock.json"
    for text in ("", "{", '{"spent_s": "x"}', "[]", '{"spent_s": -5}'):
        file.write_text(text)
        assert Clock(file, 10).left_s() == pytest.approx(10, abs=0.5)
    file.write_text('{"spent_s": 7.5}')
    clock = Clock(file, 10)
    assert clock.left_s() == pytest.approx(2.5, abs=0.5)
    clock.tick()
    assert json.loads(file.read_text())["spent_s"] >= 7.5
    assert Clock(Path("/nowhere/clock.json"), None).left_s() == float("inf")


# --- what it leaves --------------------------------------------------------------------------------------------------


def test_the_table_and_what_the_best_one_changed(whole):
    table = trial_table(whole.trials, "quality")
    assert table.columns.tolist() == [
        "trial", "status", "origin", "quality", "epochs", "seconds", "rate", "depth", "share", "kind", "reason",
        "finished",
    ]  # fmt: skip
    assert table["trial"].tolist() == list(range(18))
    assert table["origin"].tolist() == ["recipe"] + ["search"] * 17
    assert table["quality"].max() == whole.best.metric
    changed = changes(whole, STARTS[0].values)
    assert changed and all(" -> " in line for line in changed)
    assert {line.partition(":")[0] for line in changed} <= set(CONFIG.space)
    assert trial_table([], "quality").empty and failures([]) == []
