"""The release manager on the recorder, with bundles good and bad."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest


def test_a_good_bundle_runs_and_the_one_before_becomes_previous(recorder, make_bundle):
    first, second = make_bundle("good 1"), make_bundle("good 2")
    assert recorder.flash(first)[0] == 0
    assert (recorder.pointed("current"), recorder.pointed("previous")) == (first.name, None)
    status, end = recorder.flash(second)
    assert (status, end["status"]) == (0, "done")
    assert (end["current"], end["previous"]) == (second.name, first.name)
    assert recorder.running() == second.name
    assert not list(recorder.releases.glob("*.part"))


def test_every_step_is_one_line(recorder, make_bundle):
    status, lines = recorder.run(*recorder.upload(make_bundle()), "--token", "abc")
    assert status == 0
    assert [line["step"] for line in lines if line["status"] == "ok"] == [
        "check", "place", "selftest", "switch", "restart", "health", "commit",
    ]  # fmt: skip
    assert lines[-1]["step"] == "end" and lines[-1]["token"] == "abc"
    assert json.loads((recorder.releases / "last.json").read_text())["token"] == "abc"


def test_one_flipped_byte_is_refused_and_nothing_changes(recorder, make_bundle):
    first, second = make_bundle("good 1"), make_bundle("good 2")
    recorder.install(first)
    apply = recorder.upload(second)
    model = next(recorder.releases.glob("*.part")) / "model.tflite"
    model.write_bytes(model.read_bytes()[:-1] + b"3")
    status, lines = recorder.run(*apply)
    assert status == 1
    assert lines[-1]["status"] == "refused"
    assert "model.tflite: its checksum is not the one in bundle.json" in lines[-1]["detail"]
    assert recorder.pointed("current") == recorder.running() == first.name
    assert sorted(path.name for path in recorder.releases.iterdir() if path.is_dir()) == [first.name]


@pytest.mark.parametrize(
    ("content", "reason"),
    [("wrong 1", "the self-test failed: golden outputs differ by 0.25")],
)
def test_a_failing_selftest_is_refused(recorder, make_bundle, content, reason):
    first = make_bundle("good 1")
    recorder.install(first)
    status, end = recorder.flash(make_bundle(content))
    assert (status, end["status"], end["detail"]) == (1, "refused", reason)
    assert recorder.pointed("current") == recorder.running() == first.name


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("crashing 1", "does not stay up|fell silent"),
        ("failing 1", "did not begin to listen within 1.5 s: state failed: no microphone"),
        ("mute 1", "did not begin to listen within 1.5 s: it has said nothing"),
    ],
)
def test_a_recorder_that_is_not_well_goes_back(make_recorder, make_bundle, content, reason):
    recorder = make_recorder(start_s=1.5, hold_s=0.8, stale_s=1.0)
    first = make_bundle("good 1")
    recorder.install(first)
    bad = make_bundle(content)
    status, end = recorder.flash(bad)
    assert (status, end["status"]) == (1, "rolled-back")
    assert any(part in end["detail"] for part in reason.split("|")), end["detail"]
    assert end["detail"].endswith(f"{first.name} runs again")
    assert recorder.pointed("current") == recorder.running() == first.name
    assert recorder.pointed("previous") is None, "previous is set by health alone"
    assert not (recorder.releases / bad.name).exists()


@pytest.mark.parametrize(
    ("says", "reason"), [("", "Job failed."), ('{{"release": "{id}", "error": "out of memory"}}', "out of memory")]
)
def test_a_service_that_does_not_start_goes_back(make_recorder, make_bundle, says, reason):
    """Its restart fails for the new release alone, as systemctl tells it: the reason first, then where to look.

    As systemd does it, the one before is ended first: it would go on saying that it is well.
    """
    recorder = make_recorder()
    first, second = make_bundle("good 1"), make_bundle("good 2")
    recorder.install(first)
    health = says.format(id=second.name)
    place = recorder.root / "etc/ecotf/releases.toml"
    works, ends = (" ".join(recorder._service(command)) for command in ("restart", "stop"))
    script = (
        f"case $(readlink {recorder.state}/current) in *{second.name}) {ends}; "
        f"test -z '{health}' || echo '{health}' > {recorder.state}/data/health.json; "
        f"echo 'Job failed.' >&2; echo 'See the journal.' >&2; exit 1;; esac; {works}"
    )
    lines = [line for line in place.read_text().splitlines() if not line.startswith("restart")]
    place.write_text("\n".join([*lines, f"restart = {json.dumps(['sh', '-c', script])}"]))
    status, end = recorder.flash(second)
    assert (status, end["status"]) == (1, "rolled-back")
    assert end["detail"] == f"the recorder's service did not start: {reason}; {first.name} runs again"
    assert recorder.running() == first.name


def test_the_first_release_has_nothing_to_go_back_to(make_recorder, make_bundle):
    recorder = make_recorder(start_s=0.5)
    status, end = recorder.flash(make_bundle("mute 1"))
    assert (status, end["status"]) == (1, "rolled-back")
    assert end["detail"].endswith("there was no release before it to go back to")
    assert recorder.pointed("current") is None
    assert recorder.flash(make_bundle("good 1"))[0] == 0


def test_the_current_release_again_changes_nothing(recorder, make_bundle):
    bundle = make_bundle()
    recorder.flash(bundle)
    pid = (recorder.state.parent / "fake.pid").read_text()
    status, end = recorder.flash(bundle)
    assert (status, end["status"]) == (0, "unchanged")
    assert (recorder.state.parent / "fake.pid").read_text() == pid, "no restart"


def test_a_damaged_current_release_is_mended_in_place(recorder, make_bundle):
    bundle = make_bundle()
    recorder.flash(bundle)
    (recorder.releases / bundle.name / "model.tflite").write_text("good X")
    status, end = recorder.flash(bundle)
    assert (status, end["status"]) == (0, "done")
    assert recorder.is_whole(recorder.pointed("current"))
    assert recorder.pointed("previous") is None


def test_at_a_start_a_damaged_release_gives_way_to_a_whole_one(recorder, make_bundle):
    first, second = make_bundle("good 1"), make_bundle("good 2")
    recorder.flash(first)
    recorder.flash(second)
    (recorder.releases / second.name / "model.tflite").write_text("good X")
    recorder.cut_power()
    assert recorder.boot() == 0
    assert recorder.pointed("current") == first.name


def test_rollback_and_back(recorder, make_bundle):
    first, second = make_bundle("good 1"), make_bundle("good 2")
    assert recorder.run("rollback")[1][-1]["detail"] == "there is no previous release to go back to"
    recorder.flash(first)
    recorder.flash(second)
    for current, previous in ((first, second), (second, first)):
        status, lines = recorder.run("rollback")
        assert (status, lines[-1]["status"]) == (0, "done")
        assert (recorder.pointed("current"), recorder.pointed("previous")) == (current.name, previous.name)
        assert recorder.running() == current.name
    assert "is current already" in recorder.run("rollback", second.name)[1][-1]["detail"]
    assert "is not on the recorder" in recorder.run("rollback", "0123456789ab")[1][-1]["detail"]


def test_old_releases_are_pruned(make_recorder, make_bundle):
    recorder = make_recorder(keep=1, hold_s=0.05)
    bundles = [make_bundle(f"good {number}") for number in range(5)]
    for bundle in bundles:
        recorder.flash(bundle)
    status, lines = recorder.run("list")
    assert status == 0
    assert [line["id"] for line in lines] == [bundle.name for bundle in reversed(bundles[2:])]
    assert [line["current"] for line in lines] == [True, False, False]
    assert all(line["whole"] and line["name"] == "bats/field" for line in lines)


def test_a_full_disk_is_one_line_before_the_upload(make_recorder, make_bundle):
    recorder = make_recorder(reserve_mb=1e9)
    status, lines = recorder.run("prepare", make_bundle().name, "--size", "100")
    assert status == 2
    assert lines[-1]["detail"].startswith("disk full: ")


def test_a_stated_size_removes_nothing_and_a_person_may(make_recorder, make_bundle):
    """Over ssh, too: nothing gives way for a bundle of which only the size is known."""
    recorder = make_recorder(reserve_mb=1e9)
    names = [make_bundle(f"good {number}").name for number in range(3)]
    for name in names:
        recorder.install(recorder.root.parent / "bundles" / name) if name == names[0] else None
        (recorder.releases / name).mkdir(exist_ok=True)
    status, lines = recorder.run("prepare", make_bundle("good 9").name, "--size", "100")
    assert status == 2 and "list --remove-old makes room" in lines[-1]["detail"]
    assert {path.name for path in recorder.releases.iterdir() if len(path.name) == 12} == set(names)
    assert recorder.run("prune")[0] == 0
    assert {path.name for path in recorder.releases.iterdir() if len(path.name) == 12} == {names[0]}


def test_two_at_once(recorder, make_bundle):
    first, second = make_bundle("good 1"), make_bundle("good 2")
    applies = [recorder.upload(first), recorder.upload(second)]
    started = [recorder.start(*apply) for apply in applies]
    ends = [json.loads(process.communicate(timeout=30)[0].splitlines()[-1]) for process in started]
    assert sorted(end["status"] for end in ends) in (["busy", "done"], ["done", "done"])
    winner = next(end for end in ends if end["status"] == "done")
    if any(end["status"] == "busy" for end in ends):
        busy = next(end for end in ends if end["status"] == "busy")
        assert busy["detail"].startswith("another flash is going on (process ")
        assert recorder.pointed("current") == winner["current"]
    assert sorted(process.returncode for process in started) in ([0, 3], [0, 0])


def test_busy_while_the_window_of_another_is_open(make_recorder, make_bundle):
    recorder = make_recorder(hold_s=100.0)
    started = recorder.start(*recorder.upload(make_bundle("good 2")))
    wait_for_step(started, "health")
    for arguments in (["prepare", "0123456789ab", "--size", "1"], ["rollback"]):
        status, lines = recorder.run(*arguments)
        assert status == 3 and "another flash is going on" in lines[-1]["detail"]
    assert recorder.run("status")[1][-1]["busy"] is True
    assert recorder.run("recover") == (0, []), "the start of the service by the flash itself"
    recorder.kill_manager()
    started.communicate(timeout=30)


def test_a_change_goes_on_when_nobody_listens_any_more(make_recorder, make_bundle):
    """What a dropped connection is on the recorder: the reader gone, and a hang-up signal."""
    recorder = make_recorder(hold_s=1.0)
    bundle = make_bundle()
    started = recorder.start(*recorder.upload(bundle))
    wait_for_step(started, "switch")
    started.stdout.close()
    started.stderr.close()
    os.kill(started.pid, signal.SIGHUP)
    started.wait(timeout=10)
    deadline = time.monotonic() + 10
    while recorder.run("status")[1][-1]["busy"] and time.monotonic() < deadline:
        time.sleep(0.1)
    last = recorder.run("status")[1][-1]
    assert (last["last"]["status"], last["current"], last["journal"]) == ("done", bundle.name, None)


def test_strange_ids_and_an_empty_recorder(recorder, tmp_path):
    assert recorder.start("apply", "../precious").wait() == 2
    recorder.root = tmp_path / "nothing"
    status, lines = recorder.run("status")
    assert status == 2 and "set the recorder up with flash_device.py init" in lines[-1]["detail"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("keeep = 3", "no setting 'keeep'; there are state_dir"),
        ("keep = 2.5", "keep is a whole number from 0"),
        ("hold_s = -1", "hold_s is a number from 0"),
        ('restart = "systemctl restart x"', "restart is a list of words in quotes"),
        ("user = 7", "user is text in quotes"),
        ("keep =", "cannot be read"),
    ],
)
def test_wrong_settings_are_one_line(recorder, line, reason):
    (recorder.root / "etc/ecotf/releases.toml").write_text(line + "\n")
    status, lines = recorder.run("status")
    assert status == 2 and reason in lines[-1]["detail"]


def wait_for_step(process: subprocess.Popen[str], step: str) -> None:
    for line in process.stdout:
        if json.loads(line)["step"] == step:
            return
    raise AssertionError(f"ended without {step}")


def test_init_and_prepare(tmp_path, make_recorder):
    recorder = make_recorder()
    shutil.rmtree(recorder.root / "var")
    assert recorder.run("init")[0] == 0 and recorder.run("init")[0] == 0
    status, lines = recorder.run("prepare", "0123456789ab", "--size", "100")
    assert status == 0 and lines[-1]["present"] is False
    part = Path(lines[-1]["part"])
    assert part.is_dir() and part.parent == recorder.releases and part.name.startswith("0123456789ab-")
    os.utime(part, (0, 0))
    recorder.run("prepare", "0123456789ab", "--size", "100")
    assert not part.exists(), "uploads that nobody finished are removed"
