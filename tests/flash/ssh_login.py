"""How the tests log in to recorders behind their sshd."""

from __future__ import annotations

import threading

from deploy.flash.devices import Device, parse_device
from deploy.flash.flashing import Flasher
from deploy.flash.login import Login
from deploy.flash.release_manager import RecorderPlace


def login(sshd) -> Login:
    return Login(known_hosts=sshd.folder / "known_hosts", identity=sshd.folder / "login_key", sudo=False, connect_s=5)


def at(sshd, recorder) -> list[object]:
    return ["--device", sshd.address, "--root", recorder.root, *sshd.arguments]


def flasher(sshd, recorder) -> tuple[Flasher, Device]:
    return Flasher(login(sshd), RecorderPlace(str(recorder.root)), threading.Event()), parse_device(sshd.address)
