"""flash_device.py against recorders behind a real sshd."""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from local_sshd import free_port, start_sshd

from deploy.flash.bundles import open_bundle
from deploy.flash.devices import Device, parse_device
from deploy.flash.flashing import Flasher
from deploy.flash.login import Login, way_through
from deploy.flash.recorder import RecorderPlace

SCRIPT = Path(__file__).parents[2] / "scripts" / "flash_device.py"


def login(sshd) -> Login:
    return Login(known_hosts=sshd.folder / "known_hosts", identity=sshd.folder / "login_key", sudo=False, connect_s=5)


def at(sshd, recorder) -> list[object]:
    return ["--device", sshd.address, "--root", recorder.root, *sshd.arguments]


def flasher(sshd, recorder) -> tuple[Flasher, Device]:
    return Flasher(login(sshd), RecorderPlace(str(recorder.root)), threading.Event()), parse_device(sshd.address)


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


def test_a_full_disk_and_a_recorder_that_was_never_set_up(sshd, make_device, make_bundle, run_flash_device, tmp_path):
    status, output, _ = run_flash_device(make_bundle(), *at(sshd, make_device(reserve_mb=1e9)))
    assert status == 1 and "disk full: " in output
    empty = ["--device", sshd.address, "--root", tmp_path / "empty", *sshd.arguments]
    status, output, _ = run_flash_device(make_bundle(), *empty)
    assert status == 1 and "set the recorder up with flash_device.py init" in output


def test_an_unknown_host_is_named_with_its_fingerprint(sshd, make_device, make_bundle, run_flash_device, tmp_path):
    recorder, bundle, known = make_device(), make_bundle(), tmp_path / "ssh" / "known_hosts"
    arguments = [bundle, "--device", sshd.address, "--root", recorder.root, *sshd.key_arguments, "--known-hosts", known]
    status, output, _ = run_flash_device(*arguments)
    assert status == 1
    assert sshd.fingerprint() in output and "--accept-new-host-key" in output
    assert recorder.pointed("current") is None and not known.exists()
    assert run_flash_device(*arguments, "--accept-new-host-key")[0] == 0
    assert run_flash_device(*arguments)[0] == 0, "it is known now"


def test_a_changed_host_key_is_never_accepted(sshd, make_device, make_bundle, run_flash_device, tmp_path):
    recorder, known, other = make_device(), tmp_path / "known_hosts", tmp_path / "other_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    kind, key = other.with_suffix(".pub").read_text().split()[:2]
    known.write_text(f"[127.0.0.1]:{sshd.port} {kind} {key}\n")
    status, output, _ = run_flash_device(
        make_bundle(), "--device", sshd.address, "--root", recorder.root, *sshd.key_arguments, "--known-hosts", known,
        "--accept-new-host-key",
    )  # fmt: skip
    assert status == 1
    assert "THE HOST KEY CHANGED" in output and f"ssh-keygen -R '[127.0.0.1]:{sshd.port}'" in output
    assert recorder.pointed("current") is None


def test_recorders_that_are_off(sshd, make_bundle, run_flash_device):
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        devices = (f"127.0.0.1:{free_port()}", f"127.0.0.1:{mute.getsockname()[1]}", "recorder99.invalid")
        words = [word for device in devices for word in ("--device", device)]
        status, output, complaint = run_flash_device(make_bundle(), *words, *sshd.arguments, "--timeout", 1)
    assert (status, complaint) == (1, "")
    assert "it refuses the connection; is it on" in output
    assert "no ssh there" in output
    assert "recorder99.invalid: no such host on this network" in output
    assert "0 of 3 recorders well, 3 not" in output


def test_no_answer_at_all(sshd, make_bundle, run_flash_device):
    """A full queue of connections drops new ones, as a board that is off does behind its router."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        status, output, _ = run_flash_device(
            make_bundle(), "--device", f"127.0.0.1:{port}", *sshd.arguments, "--timeout", 1
        )
        for client in waiting:
            client.close()
    assert status == 1 and f"127.0.0.1:{port}: no answer within 1 s; is it on" in output


def test_a_key_that_is_not_let_in(sshd, make_device, make_bundle, run_flash_device, tmp_path):
    other = tmp_path / "other_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    status, output, _ = run_flash_device(make_bundle(), *at(sshd, make_device()), "--identity", other)
    assert status == 1 and "does not let" in output and "ssh-copy-id" in output


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
    recorder, bundle = make_device(hold_s=2.0), make_bundle()
    words = [sys.executable, SCRIPT, bundle, *at(sshd, recorder)]
    with subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.rstrip().endswith(": health"):
                process.send_signal(signal.SIGINT)
                break
        output = process.stdout.read()
    assert process.returncode == 1
    assert "unknown" in output and "the recorder finishes or goes back by itself" in output
    deadline = time.monotonic() + 20
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


def test_the_sudo_password_goes_to_standard_input_alone(make_device, make_bundle, tmp_path):
    """A stand-in for sudo that notes its arguments and asks for a password."""
    recorder, programs = make_device(), tmp_path / "programs"
    programs.mkdir()
    (programs / "id").write_text("#!/bin/sh\necho 1000\n")
    (programs / "sudo").write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/arguments\n[ "$1" = -n ] && exit 1\n'
        'read -r word; [ "$word" = "open sesame" ] || { echo "Sorry, try again." >&2; exit 1; }\n'
        'while [ "$1" != -- ]; do shift; done; shift; exec "$@"\n'
    )
    for program in programs.iterdir():
        program.chmod(0o755)
    (tmp_path / "sshd").mkdir()
    sshd = start_sshd(tmp_path / "sshd", f"{programs}:/usr/bin:/bin")
    try:
        place, device = RecorderPlace(str(recorder.root)), parse_device(sshd.address)
        bundle = open_bundle(make_bundle())
        plain = {"known_hosts": sshd.folder / "known_hosts", "identity": sshd.folder / "login_key"}
        for password, outcome, reason in (
            (None, "failed", "for a password; add --ask-sudo-password"),
            ("wrong", "failed", "Sorry, try again."),
            ("open sesame", "done", ""),
        ):
            said = Login(**plain, sudo_password=password)
            assert "sesame" not in repr(said)
            result = Flasher(said, place, threading.Event()).flash(device, bundle, lambda now: None)
            assert result.outcome == outcome and reason in result.reason
    finally:
        sshd.stop()
    assert "sesame" not in (tmp_path / "arguments").read_text()
    assert "sesame" not in (sshd.folder / "sshd.log").read_text()
    assert "sesame" not in (recorder.releases / "log.jsonl").read_text()


def test_a_password_is_never_asked_for_without_a_terminal(sshd, make_bundle, run_flash_device, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    for option in ("--ask-password", "--ask-sudo-password"):
        status, _, complaint = run_flash_device(make_bundle(), "--device", sshd.address, option)
        assert status == 2 and "use a key" in complaint


def test_names_from_the_settings_of_ssh(sshd, make_device, make_bundle, tmp_path):
    recorder, settings = make_device(), tmp_path / "config"
    settings.write_text(f"Host oak\n  HostName 127.0.0.1\n  Port {sshd.port}\n  IdentityFile {sshd.folder}/login_key\n")
    said = Login(known_hosts=sshd.folder / "known_hosts", ssh_config=settings, sudo=False)
    flash = Flasher(said, RecorderPlace(str(recorder.root)), threading.Event())
    result = flash.flash(parse_device("oak"), open_bundle(make_bundle()), lambda now: None)
    assert (result.outcome, result.reason) == ("done", "")


def test_a_recorder_behind_another_host(sshd, make_device, make_bundle, tmp_path):
    """A program that relays stands for the way through it."""
    recorder, settings, relay = make_device(), tmp_path / "config", tmp_path / "relay.py"
    relay.write_text(
        "import os, select, socket, sys\n"
        "far = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "while True:\n"
        "    for source in select.select([0, far], [], [])[0]:\n"
        "        piece = os.read(0, 65536) if source == 0 else far.recv(65536)\n"
        "        if not piece: sys.exit()\n"
        "        far.sendall(piece) if source == 0 else os.write(1, piece)\n"
    )
    # The recorder's own name is known to the host in between only.
    (tmp_path / "known_hosts").write_text((sshd.folder / "known_hosts").read_text().replace("127.0.0.1", "oak.hill"))
    settings.write_text(f"Host oak.hill\n  ProxyCommand {sys.executable} {relay} 127.0.0.1 %p\n")
    said = Login(tmp_path / "known_hosts", settings, identity=sshd.folder / "login_key", sudo=False)
    flash = Flasher(said, RecorderPlace(str(recorder.root)), threading.Event())
    result = flash.flash(parse_device(f"oak.hill:{sshd.port}"), open_bundle(make_bundle()), lambda now: None)
    assert (result.outcome, result.reason) == ("done", "")


@pytest.mark.parametrize(
    ("jump", "words"),
    [
        ("gate", ["ssh", "-W", "oak:22", "ssh://gate"]),
        ("me@gate:2222", ["ssh", "-W", "oak:22", "ssh://me@gate:2222"]),
        ("hut,me@gate", ["ssh", "-J", "hut", "-W", "oak:22", "ssh://me@gate"]),
    ],
)
def test_the_way_through_hosts_is_one_of_ssh(monkeypatch, jump, words):
    monkeypatch.setattr("paramiko.ProxyCommand", shlex.split)
    assert way_through({"proxyjump": jump}, "oak", 22) == words
    assert way_through({"proxyjump": "none"}, "oak", 22) is None


def test_wait_is_short(sshd):
    """The tests' own server answers at once, so that timeouts above mean what they say."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", sshd.port), timeout=2) as opened:
        assert opened.recv(4) == b"SSH-"
    assert time.monotonic() - began < 2


def test_the_script_itself(make_bundle):
    done = subprocess.run([sys.executable, SCRIPT, make_bundle()], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.strip() == "error: which recorder? --device user@host, --devices FILE, or --sdcard FOLDER"
