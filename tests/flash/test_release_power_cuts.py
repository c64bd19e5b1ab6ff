"""Power cuts: at every step, and at random times; afterwards the recorder works, and the same flash succeeds."""

from __future__ import annotations

import json
import random
import time

import pytest
from ecotf_recorder.releases.steps import KILL_POINTS

FORWARD = [point for point in KILL_POINTS if not point.startswith("undo")]
BACKWARD = [point for point in KILL_POINTS if point.startswith("undo")]
# Before the commit an unwatched release is undone; from it on it stays.
KEPT = ("commit:begin", "commit:pointed", "commit:closed", "commit:end")


@pytest.fixture
def quick(make_recorder):
    return make_recorder(hold_s=0.1, poll_s=0.03)


@pytest.mark.parametrize("point", FORWARD)
def test_power_cut_in_a_good_flash(quick, make_bundle, point):
    first, second = make_bundle("good 1"), make_bundle("good 2")
    quick.install(first)
    status, _ = quick.flash(second, kill_at=point)
    assert status == 137, f"{point} is never passed"
    assert quick.is_whole(quick.pointed("current")), "without any recovery"
    quick.cut_power()
    assert quick.boot() == 0
    expected = second if point in KEPT else first
    assert quick.pointed("current") == expected.name
    assert quick.pointed("previous") == (first.name if expected is second else None)
    assert not (quick.releases / "journal.json").exists()
    assert not list(quick.releases.glob("*.part"))
    status, end = quick.flash(second)
    assert (status, end["status"]) == (0, "unchanged" if expected is second else "done")
    assert (end["current"], end["previous"]) == (second.name, first.name)
    wait_until_it_runs(quick, second.name)


@pytest.mark.parametrize("point", BACKWARD)
def test_power_cut_while_going_back(make_recorder, make_bundle, point):
    quick = make_recorder(hold_s=0.1, poll_s=0.03, start_s=1.0)
    first, bad = make_bundle("good 1"), make_bundle("failing 1")
    quick.install(first)
    status, _ = quick.flash(bad, kill_at=point)
    assert status == 137, f"{point} is never passed"
    quick.cut_power()
    assert quick.boot() == 0
    assert (quick.pointed("current"), quick.pointed("previous")) == (first.name, None)
    assert not (quick.releases / bad.name).exists()
    assert quick.flash(make_bundle("good 2"))[0] == 0


@pytest.mark.parametrize("point", ["place:end", "switch:begin", "switch:end", "health:begin", "commit:begin"])
def test_power_cut_in_the_first_flash(quick, make_bundle, point):
    """There is nothing to go back to, so what passed its self-test stays once it was switched to."""
    bundle = make_bundle()
    assert quick.flash(bundle, kill_at=point)[0] == 137
    quick.cut_power()
    switched = point not in ("place:end", "switch:begin")
    assert quick.boot() == (0 if switched else 1)
    assert quick.pointed("current") == (bundle.name if switched else None)
    assert quick.flash(bundle)[0] == 0


@pytest.mark.parametrize("point", ["check:end", "switch:end", "health:end", "commit:pointed"])
def test_power_cut_in_a_rollback(quick, make_bundle, point):
    first, second = make_bundle("good 1"), make_bundle("good 2")
    quick.flash(first)
    quick.flash(second)
    assert quick.run("rollback", kill_at=point)[0] == 137
    quick.cut_power()
    assert quick.boot() == 0
    expected = first if point in KEPT else second
    assert quick.pointed("current") == expected.name
    other = second if expected is first else first
    assert quick.pointed("previous") == other.name
    assert quick.run("rollback")[1][-1]["current"] == other.name


@pytest.mark.parametrize("point", ["check:end", "place:end", "selftest:end"])
def test_power_cut_while_the_only_release_is_mended(quick, make_bundle, point):
    """Before the switch nothing is gone back from, least of all to nothing."""
    bundle = make_bundle()
    quick.install(bundle)
    model = quick.releases / bundle.name / "model.tflite"
    model.write_text("good X")
    assert quick.flash(bundle, kill_at=point)[0] == 137
    quick.cut_power()
    assert quick.boot() == 0
    assert quick.pointed("current") == bundle.name
    assert quick.is_whole(bundle.name) == (point != "check:end")
    assert quick.flash(bundle)[0] == 0
    assert quick.is_whole(quick.pointed("current"))


def test_a_second_power_cut_during_the_recovery(quick, make_bundle):
    """Recovering is the same however often it begins: a journal is closed after everything else."""
    first, second = make_bundle("good 1"), make_bundle("good 2")
    quick.flash(first)
    quick.flash(second, kill_at="health:begin")
    journal = (quick.releases / "journal.json").read_text()
    quick.cut_power()
    quick.boot()
    (quick.releases / "journal.json").write_text(journal)  # as if the power went before its removal was on the disk
    quick.cut_power()
    assert quick.boot() == 0
    assert quick.pointed("current") == first.name


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_a_random_time(quick, make_bundle, seed):
    """SIGKILL to the process itself; the service goes on, and the next flash finds the journal."""
    first, second = make_bundle("good 1"), make_bundle("good 2")
    quick.install(first)
    started = quick.start(*quick.upload(second))
    first_line = started.stdout.readline()
    time.sleep(random.Random(seed).uniform(0, 0.5))
    if first_line:
        quick.kill_manager()  # or it was quicker
    started.communicate(timeout=20)
    assert quick.is_whole(quick.pointed("current"))
    assert quick.run("status")[1][-1]["busy"] is False
    status, end = quick.flash(second)
    assert (status, end["current"], end["previous"]) == (0, second.name, first.name)
    wait_until_it_runs(quick, second.name)


def test_status_names_what_was_cut_off(quick, make_bundle):
    quick.install(make_bundle("good 1"))
    quick.flash(make_bundle("good 2"), kill_at="health:begin")
    status = quick.run("status")[1][-1]
    assert (status["busy"], status["journal"]["step"], status["journal"]["id"]) == (
        False, "health", make_bundle("good 2").name,
    )  # fmt: skip
    quick.boot()
    last = json.loads((quick.releases / "last.json").read_text())
    assert last["status"] == "undone" and "was cut off at health and is undone" in last["reason"]


def wait_until_it_runs(recorder, release_id: str) -> None:
    deadline = time.monotonic() + 20
    while recorder.running() != release_id:
        assert time.monotonic() < deadline, f"runs {recorder.running()}"
        time.sleep(0.05)
