"""Host keys, login keys, passwords, ways through, and recorders that are off."""

from __future__ import annotations

import io
import shlex
import socket
import subprocess
import sys
import threading
import time

import pytest
from local_sshd import free_port, start_sshd
from ssh_login import at

from deploy.flash.bundles import open_bundle
from deploy.flash.devices import parse_device
from deploy.flash.flashing import Flasher
from deploy.flash.login import Login, way_through
from deploy.flash.release_manager import RecorderPlace


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


def test_a_known_hosts_without_a_last_line_break_keeps_its_last_key(tmp_path):
    """Both keys were lost: the old one and the new one stood on one line."""
    import paramiko

    from deploy.flash.host_keys import HostKeyPolicy

    known, keys = tmp_path / "known_hosts", [paramiko.ECDSAKey.generate() for _ in range(3)]
    known.write_text(f"old.local {keys[0].get_name()} {keys[0].get_base64()}")
    policy = HostKeyPolicy(known, accept_new=True)
    for name, key in (("new.local", keys[1]), ("newer.local", keys[2])):
        policy.missing_host_key(paramiko.SSHClient(), name, key)
    read = paramiko.HostKeys(str(known))
    assert all(read.check(name, key) for name, key in zip(("old.local", "new.local", "newer.local"), keys, strict=True))
    assert len(known.read_text().splitlines()) == 3
