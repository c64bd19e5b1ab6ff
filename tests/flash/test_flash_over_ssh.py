"""flash_device.py against recorders behind a real sshd."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import paramiko
import pytest
from ecotf_recorder.releases.watching import is_well, runs_release
from local_sshd import free_port
from ssh_login import at, flasher

from deploy.flash.bundles import open_bundle
from deploy.flash.connection import Connection
from deploy.flash.devices import Device
from deploy.flash.errors import ConnectionLost, DeviceError
from deploy.flash.login import Login
from deploy.flash.release_manager import RecorderPlace, parse_line
from deploy.flash.showing import show_releases, show_status

SCRIPT = Path(__file__).parents[2] / "scripts" / "flash_device.py"


def test_flash_status_list_and_rollback(sshd, make_device, make_bundle, run_flash_device):
    recorder, first, second = make_device(), make_bundle("good 1"), make_bundle("good 2")
    for bundle in (first, second):
        status, output, complaint = run_flash_device(bundle, *at(sshd, recorder))
        assert (status, complaint) == (0, "")
        assert f"{sshd.address}: health" in output and "1 of 1 recorders well" in output
    assert recorder.running() == second.name
    status, output, _ = run_flash_device(second, *at(sshd, recorder))
    assert status == 0 and "unchanged" in output and "upload" not in output
    status, output, _ = run_flash_device("status", *at(sshd, recorder))
    assert status == 0 and second.name in output and "listening" in output and first.name in output
    status, output, _ = run_flash_device("list", *at(sshd, recorder))
    assert status == 0 and "current" in output and "previous" in output and "bats/field" in output
    status, output, _ = run_flash_device("rollback", *at(sshd, recorder))
    assert status == 0 and "done" in output
    assert (recorder.pointed("current"), recorder.running()) == (first.name, first.name)
    status, output, _ = run_flash_device("rollback", "--release", "0123456789ab", *at(sshd, recorder))
    assert status == 1 and "0123456789ab is not on the recorder" in output


def test_a_tampered_bundle_is_refused_here(sshd, make_device, make_bundle, run_flash_device):
    recorder, bundle = make_device(), make_bundle("good 1")
    (bundle / "model.tflite").write_text("good 2")
    status, output, complaint = run_flash_device(bundle, *at(sshd, recorder))
    assert (status, output) == (2, "")
    assert "model.tflite: its checksum is not the one in bundle.json; refused" in complaint
    assert len(complaint.splitlines()) == 1


def test_and_refused_there_when_it_changed_on_the_way(sshd, make_device, make_bundle):
    recorder, folder = make_device(), make_bundle("good 1")
    bundle = open_bundle(folder)
    (folder / "model.tflite").write_text("good 2")
    flash, device = flasher(sshd, recorder)
    result = flash.flash(device, bundle, lambda now: None)
    assert (result.outcome, result.current) == ("refused", None)
    assert "model.tflite: its checksum is not the one in bundle.json" in result.reason


@pytest.mark.parametrize(
    ("content", "outcome", "reason"),
    [("wrong 1", "refused", "the self-test failed"), ("failing 1", "rolled-back", "no microphone")],
)
def test_what_is_not_well_is_gone_back_from(sshd, make_device, make_bundle, run_flash_device, content, outcome, reason):
    recorder, first = make_device(start_s=1.5), make_bundle("good 1")
    recorder.flash(first)
    status, output, _ = run_flash_device(make_bundle(content), *at(sshd, recorder))
    assert status == 1
    assert outcome in output and reason in output and "0 of 1 recorders well, 1 not" in output
    assert recorder.running() == recorder.pointed("current") == first.name


def test_well_needs_no_error(recorder, make_bundle):
    """A dead microphone is no reason to go back to an older release, and none to say that all is well."""
    status, end = recorder.flash(make_bundle("deaf 1"))
    assert (status, end["status"]) == (0, "done")
    health = recorder.run("status")[1][-1]["health"]
    assert health["error"] == "the microphone is silent"
    assert runs_release(health, end["current"]) and not is_well(health, end["current"])
    assert is_well({**health, "error": ""}, end["current"])


NONSENSE = {
    "nothing at all": "",
    "another program": '{"step": "start", "detail": ["x"]}',
    "a deep one": '{"step": "status", "a": ' + 100_000 * "[",
    "a text for health": '{"step": "status", "status": "shown", "health": "well", "current": 7}',
    "odd fields": '{"step": "status", "health": {"backlog_s": "x", "detections": [], "state": {}}, "free_mb": null, '
    '"health_age_s": "old", "last": 3, "journal": "cut", "id": {}, "bytes": "many"}',
    "an older version": '{"step": "status", "current": "0123456789ab"}',
}


def test_odd_recorders_in_a_crate_are_rows(monkeypatch, capsys):
    """Whatever one of them answers, the others are shown."""

    def ask(*_):
        for name, answer in NONSENSE.items():
            line = parse_line(answer)
            yield Device(name, "h"), [line] if line is not None else []
        yield Device("good", "h"), [{"step": "status", "current": "a", "health": {"state": "idle", "release": "a"}}]

    monkeypatch.setattr("deploy.flash.showing.ask_all", ask)
    monkeypatch.setattr("deploy.flash.showing.console.width", 240)
    assert show_status([Device("x", "h")] * 7, Login(), RecorderPlace(), 1) == 1
    said = capsys.readouterr().out
    assert said.count("answers nonsense;") == 4 and "1 of 7 recorders well" in said
    assert show_releases([], Login(), RecorderPlace(), 1) == 0


class EndlessChannel:
    """What `Connection` asks of paramiko's channels, of a recorder that says one line without an end."""

    closed = False

    def __init__(self, word: bytes) -> None:
        self.word, self.read = word, 0

    def exit_status_ready(self) -> bool:
        return False

    def recv_ready(self) -> bool:
        return bool(self.word)

    def recv(self, most: int) -> bytes:
        self.read += most
        return self.word * most

    def recv_stderr_ready(self) -> bool:
        return False


def test_an_endless_line_and_a_silence_end(monkeypatch):
    connection = Connection(Device("x", "h"), paramiko.SSHClient())
    monkeypatch.setattr(connection, "_is_alive", lambda: True)
    endless: Any = EndlessChannel(b"x")
    with pytest.raises(DeviceError, match="answers nonsense"):
        connection._listen(endless, print, None, 60)
    assert endless.read < 3 << 20
    silent: Any = EndlessChannel(b"")
    with pytest.raises(ConnectionLost, match="no answer for 0 s"):
        connection._listen(silent, print, None, 0.2)


def test_a_full_disk_and_a_recorder_that_was_never_set_up(sshd, make_device, make_bundle, run_flash_device, tmp_path):
    status, output, _ = run_flash_device(make_bundle(), *at(sshd, make_device(reserve_mb=1e9)))
    assert status == 1 and "disk full: " in output
    empty = ["--device", sshd.address, "--root", tmp_path / "empty", *sshd.arguments]
    status, output, _ = run_flash_device(make_bundle(), *empty)
    assert status == 1 and "set the recorder up with ecotf flash init" in output


def test_signatures(sshd, make_device, make_bundle, run_flash_device, tmp_path):
    recorder, bundle = make_device(), make_bundle("good 1")
    for name in ("mine", "foreign"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    shutil.copy(tmp_path / "mine.pub", recorder.root / "etc/ecotf/trusted/")
    status, output, _ = run_flash_device(bundle, *at(sshd, recorder))
    assert status == 1 and "not signed, and only signed bundles are accepted" in output
    run_flash_device("sign", bundle, "--key", tmp_path / "foreign")
    status, output, _ = run_flash_device(bundle, *at(sshd, recorder))
    assert status == 1 and "signed by none of the trusted keys" in output
    assert recorder.pointed("current") is None
    assert run_flash_device("sign", bundle, "--key", tmp_path / "mine")[0] == 0
    assert run_flash_device(bundle, *at(sshd, recorder))[0] == 0
    said = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps({**said, "name": "changed after it was signed"}))
    status, output, _ = run_flash_device(bundle, *at(sshd, recorder))
    assert status == 1 and "signed by none of the trusted keys" in output
    assert recorder.running() == bundle.name


def test_two_at_once_one_is_told_to_wait(sshd, make_device, make_bundle):
    recorder = make_device(hold_s=2.0)
    flash, device = flasher(sshd, recorder)
    bundles = [open_bundle(make_bundle(f"good {number}")) for number in range(2)]
    results = []
    threads = [
        threading.Thread(target=lambda one=one: results.append(flash.flash(device, one, lambda now: None)))
        for one in bundles
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done, busy = sorted(results, key=lambda result: result.outcome)
    assert (done.outcome, busy.outcome) == ("done", "busy") or (done.outcome, busy.outcome) == ("done", "failed")
    assert "another flash is going on (process " in busy.reason
    assert recorder.running() == recorder.pointed("current") == done.current


def test_many_recorders_one_of_them_bad(sshd, make_device, make_bundle, run_flash_device, tmp_path):
    """One root for all that answer, so a second server stands for the second recorder."""
    recorder = make_device()
    devices = tmp_path / "recorders.yaml"
    devices.write_text(f"oak: {sshd.address}\nbeech: 127.0.0.1:{free_port()}\nash: nowhere.invalid\n")
    bundle = make_bundle()
    words = ["--devices", devices, "--root", recorder.root, *sshd.arguments]
    status, output, _ = run_flash_device(bundle, *words)
    assert status == 1
    rows = {line.split("│")[1].strip(): line for line in output.splitlines() if line.startswith("│")}
    assert "done" in rows["oak"] and "failed" in rows["beech"] and "failed" in rows["ash"]
    assert "ash: failed: nowhere.invalid: no such host on this network" in output
    assert "1 of 3 recorders well, 2 not" in output
    assert recorder.running() == bundle.name
    status, output, _ = run_flash_device("status", *words)
    assert status == 1 and "listening" in output and output.count("unreachable") == 2


def test_a_dropped_connection_changes_nothing(sshd, make_device, make_bundle):
    recorder = make_device(hold_s=1.5)
    flash, device = flasher(sshd, recorder)
    bundle, steps = open_bundle(make_bundle()), []

    def say(now) -> None:
        steps.append(now.step)
        if now.step == "health" and steps.count("health") == 1:
            for pid in sshd.sessions():
                os.kill(pid, signal.SIGKILL)

    result = flash.flash(device, bundle, say)
    assert "reconnect" in steps
    assert (result.outcome, result.current) == ("done", bundle.id)
    assert recorder.running() == bundle.id


def test_ctrl_c_ends_the_waiting_and_not_the_flash(sshd, make_device, make_bundle):
    recorder, bundle = make_device(hold_s=8.0), make_bundle()
    words = [sys.executable, SCRIPT, bundle, *at(sshd, recorder)]
    # A job in the background is born deaf to Ctrl-C, and so are its children.
    hears = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, text=True, preexec_fn=hears) as process:
        for line in process.stdout:
            if line.rstrip().endswith(": health"):
                process.send_signal(signal.SIGINT)
                break
        output = process.stdout.read()
    assert process.returncode == 1
    assert "unknown" in output and "the recorder finishes or goes back by itself" in output
    deadline = time.monotonic() + 60
    while recorder.run("status")[1][-1]["busy"] and time.monotonic() < deadline:
        time.sleep(0.2)
    assert json.loads((recorder.releases / "last.json").read_text())["status"] == "done"
    assert recorder.running() == bundle.name


def test_a_connection_that_drops_during_the_upload(sshd, make_device, make_bundle):
    recorder = make_device()
    recorder.flash(make_bundle("good 1"))
    flash, device = flasher(sshd, recorder)

    def say(now) -> None:
        if now.step == "upload":
            for pid in sshd.sessions():
                os.kill(pid, signal.SIGKILL)

    result = flash.flash(device, open_bundle(make_bundle("good 2 " + "x" * 3_000_000)), say)
    assert result.outcome == "failed" and "the connection broke" in result.reason
    assert recorder.pointed("current") == recorder.running()
    assert flash.flash(device, open_bundle(make_bundle("good 3")), lambda now: None).outcome == "done"


def test_the_script_itself(make_bundle):
    done = subprocess.run([sys.executable, SCRIPT, make_bundle()], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.strip() == "error: which recorder? --device user@host, --devices FILE, or --sdcard FOLDER"
