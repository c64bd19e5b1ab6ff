"""The units as init writes them: systemd understands them, and no change lets one do more than it does now."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.flash import on_recorder
from deploy.flash.image.plan import HERE, UNIT
from deploy.flash.setting_up import SetupChoices, collect_files

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")

MOST_EXPOSURE = {
    "ecotf-recorder.service": 1.4, "ecotf-inbox.service": 2.1, "ecotf-mqtt.service": 1.8,
    UNIT: 5.3,  # runs once, from what was put into the image
}  # fmt: skip
PROGRAMS = ("opt/ecotf/bin/python", *(f"usr/bin/{name}" for name in ("python3", "sync", "systemctl", "rm")))
TARGETS = ("sysinit", "basic", "shutdown", "local-fs", "sound", "time-set", "network-online", "multi-user")


@pytest.fixture(scope="module")
def board(tmp_path_factory) -> Path:
    """A system with these units, and with what they ask for."""
    root, uploads = tmp_path_factory.mktemp("board"), tmp_path_factory.mktemp("uploads")
    collect_files(SetupChoices(), uploads)
    assert on_recorder.Setup(root, uploads, offline=True).service() == "written"
    shutil.copy(HERE / UNIT, root / "etc/systemd/system")
    for name in PROGRAMS:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("#!/bin/sh\n")
        (root / name).chmod(0o755)
    units = root / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    for name in TARGETS:
        (units / f"{name}.target").write_text("[Unit]\n")
    (units / "dbus.socket").write_text("[Socket]\nListenStream=/run/nothing\n")
    return root


def analyze(*words: object) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "--no-pager", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_systemd_understands_every_unit(board):
    assert {path.name for path in (board / "etc/systemd/system").glob("*.service")} == MOST_EXPOSURE.keys()
    done = analyze("verify", f"--root={board}", *MOST_EXPOSURE)
    if "--root is not supported" in done.stderr:
        pytest.skip("this systemd-analyze verifies no other root")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", MOST_EXPOSURE)
def test_a_unit_is_exposed_no_more_than_before(board, unit):
    said = analyze("security", "--offline=true", board / "etc/systemd/system" / unit).stdout
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    if exposure is None:
        pytest.skip("this systemd-analyze gives no exposure without a running systemd")
    assert float(exposure[1]) <= MOST_EXPOSURE[unit]
