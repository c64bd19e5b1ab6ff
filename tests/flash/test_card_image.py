"""An image that is prepared offline: what is in it, that it starts as init and a card would have it, and bad input."""

from __future__ import annotations

import configparser
import lzma
import os
import re
import stat
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import FakeRecorder
from fake_image import ROOT, SECTOR, make_image, need_e2fsprogs, superblock, take_out
from local_sshd import with_nothing_to_spoil

from deploy.flash.image.ext4 import Entry, Ext4
from deploy.flash.image.partitions import find_ext4
from ecotf.errors import ConfigError

SETUP = "var/lib/ecotf-setup"
CONFIG = '[source]\ndevice = "AudioMoth"\n[site]\nname = "oak"\n'


@pytest.fixture(autouse=True)
def needs_e2fsprogs(monkeypatch) -> None:
    need_e2fsprogs()
    facts = SimpleNamespace(kind="peaks", name="bats", sample_rate_hz=384000, species=["Nyctalus noctula"])
    monkeypatch.setattr("ecotf_recorder.model.describe", lambda path: facts)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "oak.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Path:
    """An image that no test changes."""
    need_e2fsprogs()
    return make_image(tmp_path_factory.mktemp("image"))


def boot(root: Path, scratch: Path) -> None:
    """Do what the unit does at the first start; on a computer whose own folders are read-only."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(root / "etc/systemd/system/ecotf-setup.service")
    _, *words = unit["Service"]["ExecStart"].split()
    words = [f"{root}{word}" if word.startswith("/") else word for word in words]
    words = [sys.executable, *words, "--root", str(root)]
    words = with_nothing_to_spoil(words, scratch) if os.geteuid() == 0 else words
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    log = root / unit["Service"]["StandardOutput"].removeprefix("append:/")
    log.parent.mkdir(parents=True)
    log.write_text(done.stdout)


def test_the_first_start_ends_as_init_and_a_bundle_on_a_card(
    fresh, make_bundle, run_flash_device, packages, config, tmp_path
):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "mine"], check=True)
    bundle, before = make_bundle(), fresh.read_bytes()
    words = [
        "image", fresh, "--config", config, "--bundle", bundle, "--wheels", packages, "--trust", tmp_path / "mine.pub",
        "--hostname", "oak-14", "--time-zone", "Europe/Brussels", "--no-radio", "--output", tmp_path / "oak.img",
    ]  # fmt: skip
    status, _, complaint = run_flash_device(*words)
    assert status == 2 and f"{bundle.name}: not signed, and only signed bundles are accepted" in complaint
    assert not list(tmp_path.glob("*.img")) and not list(tmp_path.glob(".partial*"))
    run_flash_device("sign", bundle, "--key", tmp_path / "mine")
    status, output, complaint = run_flash_device(*words)
    assert (status, complaint) == (0, ""), output
    assert "Raspberry Pi OS of the test: aarch64, Python 3.11, glibc 2.36" in output and "read back" in output
    assert fresh.read_bytes() == before

    root = take_out(tmp_path / "oak.img", tmp_path / "board")
    assert (root / "etc/hostname").read_text() == "oak-14\n"
    assert (root / "etc/hosts").read_text() == "127.0.0.1\tlocalhost\n127.0.1.1\toak-14\n"
    assert os.readlink(root / "etc/localtime") == "../usr/share/zoneinfo/Europe/Brussels"
    assert (root / "etc/timezone").read_text() == "Europe/Brussels\n"
    assert "blacklist brcmfmac" in (root / "etc/modprobe.d/ecotf-no-radio.conf").read_text()
    wanted = root / "etc/systemd/system/multi-user.target.wants/ecotf-setup.service"
    assert os.readlink(wanted) == "/etc/systemd/system/ecotf-setup.service"
    for path in [*(root / SETUP).iterdir(), *(root / "ecotf/inbox" / bundle.name).iterdir()]:
        found = path.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o644, 0 if os.geteuid() == 0 else os.geteuid())
    assert {path.name: path.read_bytes() for path in (root / "ecotf/inbox" / bundle.name).iterdir()} == {
        path.name: path.read_bytes() for path in bundle.iterdir()
    }

    board = FakeRecorder(root)
    status, output, _ = run_flash_device("status", "--sdcard", root)
    assert status == 1 and "setup: has not begun" in output
    boot(root, tmp_path)
    assert (root / "etc/ecotf/config.toml").read_text() == CONFIG
    assert "require_signature = true" in (root / "etc/ecotf/releases.toml").read_text()
    assert (root / "opt/ecotf/bin/ecotf-recorder").exists() and (root / "usr/local/bin/ecotf-recorder").is_symlink()
    try:
        assert board.run("inbox")[0] == 0
        assert board.pointed("current") == board.running() == bundle.name
    finally:
        board.cut_power()
    status, output, _ = run_flash_device("status", "--sdcard", root)
    assert status == 0 and f"{bundle.name}.done: done" in output and "setup: done" in output


@pytest.mark.parametrize(
    ("log", "said"),
    [("", "its log says nothing"), ('{"step": "user", "status": "ok"}\n{"step": "packages", "status": "started"}\n',
     "was cut off at packages; the next start tries again"), ("[" * 9999 + '\n{"step": 1}\n', "its log says nothing"),
     ('{"step": "end", "status": "failed", "detail": "[red]no room"}\nsystemd says more\n', "failed: [red]no room")],
)  # fmt: skip
def test_a_card_that_comes_back_unfinished(log, said, run_flash_device, tmp_path):
    (tmp_path / SETUP).mkdir(parents=True)
    (tmp_path / "var/log").mkdir()
    (tmp_path / "var/log/ecotf-setup.log").write_text(log)
    status, output, _ = run_flash_device("status", "--sdcard", tmp_path)
    assert status == 1 and f"setup: {said}" in output


def test_a_gpt_image_that_is_packed_with_xz(run_flash_device, packages, config, tmp_path):
    packed = tmp_path / "raspios.img.xz"
    packed.write_bytes(lzma.compress(make_image(tmp_path, gpt=True, megabytes=96).read_bytes(), preset=0))
    (tmp_path / "table.csv").write_text("label,first_month,last_month,place\nNyctalus noctula,3,11,oak\n")
    words = ["--config", config, "--wheels", packages, "--plausible", tmp_path / "table.csv"]
    status, output, complaint = run_flash_device("image", packed, *words, "--output", tmp_path / "a.img")
    assert status == 0 and "enlarged" not in output, complaint
    root = take_out(tmp_path / "a.img", tmp_path / "board")
    table = next((root / "etc/ecotf").glob("plausible-*.csv"))
    assert table.read_bytes() == (tmp_path / "table.csv").read_bytes()
    assert (root / SETUP / "config.toml").read_text() == f'{CONFIG}\n[rules]\nplausible = "/etc/ecotf/{table.name}"\n'
    status, _, complaint = run_flash_device("image", tmp_path / "a.img", *words, "--output", tmp_path / "b.img")
    assert status == 2 and "is prepared already" in complaint
    packed.write_bytes(packed.read_bytes()[:-5000])
    status, _, complaint = run_flash_device("image", packed, *words, "--output", tmp_path / "c.img")
    assert status == 2 and "damaged or cut off" in complaint and not (tmp_path / "c.img").exists()


BAD_SYSTEMS = {
    "32 bits": ({"machine": 0x28}, "a 64-bit system is needed (aarch64 or x86_64), and this is armv7l"),
    "old Python": ({"python": "3.9"}, "Python 3.11 or later is needed, and this is 3.9"),
    "old C library": ({"glibc": "2.31-13"}, "glibc 2.34 or later is needed (Debian 12), and this is 2.31"),
    "no arecord": ({"arecord": False}, "no arecord in it (package alsa-utils)"),
    "no Python": ({"change": lambda tree: (tree / "usr/bin/python3").unlink()}, "no python3 in it"),
    "no systemd": ({"change": lambda tree: (tree / "usr/lib/systemd/system").rmdir()}, "not a system with systemd"),
    "not Debian": ({"change": lambda tree: (tree / "var/lib/dpkg/status").unlink()}, "dpkg knows no libc6"),
    "no system": ({"change": lambda tree: (tree / "usr/lib/os-release").unlink()}, "no os-release"),
    "another Python": ({"python": "3.12"}, "pip download: "),  # the packages are for 3.11
}


@pytest.mark.parametrize("case", BAD_SYSTEMS)
def test_a_system_that_no_recorder_can_run_on(case, make_bundle, run_flash_device, packages, config, tmp_path):
    system, reason = BAD_SYSTEMS[case]
    image = make_image(tmp_path, 4, **system)
    words = ["--bundle", make_bundle(), "--config", config, "--wheels", packages, "--output", tmp_path / "a.img"]
    status, _, complaint = run_flash_device("image", image, *words)
    assert status == 2 and reason in complaint and len(complaint.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.glob("*.img")) == ["raspios.img"]


def test_a_partition_without_room_is_enlarged_in_place(run_flash_device, packages, config, tmp_path):
    image = make_image(tmp_path, 4)
    status, output, complaint = run_flash_device("image", image, "--config", config, "--wheels", packages, "--in-place")
    assert status == 0, complaint
    assert "its system partition is enlarged by" in output
    partition = find_ext4(image)[0]
    assert partition.offset + partition.size <= image.stat().st_size
    assert partition.size == int(re.search(r"Block count:\s+(\d+)", superblock(image))[1]) * 1024
    assert (take_out(image, tmp_path / "board") / SETUP / "on_recorder.py").exists()


@pytest.mark.parametrize("at", [96, 100], ids=["to read", "to write"])
def test_a_file_system_that_is_newer_than_this_computer(at, run_flash_device, tmp_path):
    image = make_image(tmp_path, 4, checksums=False)
    with image.open("r+b") as file:
        file.seek(ROOT * SECTOR + 1024 + at + 3)
        file.write(b"\x40")
    status, _, complaint = run_flash_device("image", image, "--output", tmp_path / "new.img")
    assert status == 2 and "made with a newer e2fsprogs than this computer has" in complaint


def test_what_is_in_the_way_is_named(tmp_path):
    image = make_image(tmp_path, 4, change=lambda tree: (tree / "ecotf").write_text(""))
    files = Ext4(image, find_ext4(image)[0])
    for path, reason in (("/ecotf/inbox/a", "/ecotf in it is a regular"), ("/etc/systemd", "is a directory")):
        with pytest.raises(ConfigError, match=f"{reason}, which is in the way"):
            files.write([Entry(path, image)])


@pytest.mark.parametrize(("gpt", "reason"), [(True, "is a GPT"), (False, "another partition lies behind it")])
def test_a_partition_that_cannot_be_enlarged(gpt, reason, tmp_path):
    image = make_image(tmp_path, 4, gpt=gpt)
    if not gpt:
        with image.open("r+b") as file:
            file.seek(446 + 2 * 16)
            file.write(struct.pack("<B3sB3sII", 0, b"", 0x83, b"", 10240, 8))
    before = image.read_bytes()
    with pytest.raises(ConfigError, match=f"1 MB are missing in its system partition, .*{reason}"):
        Ext4(image, find_ext4(image)[0]).enlarge(1 << 20)
    assert image.read_bytes() == before


def test_what_is_no_image(fresh, run_flash_device, config, tmp_path):
    def refused(image: Path, *words: object) -> str:
        output = () if "--output" in words or "--in-place" in words else ("--output", tmp_path / "new.img")
        status, _, complaint = run_flash_device("image", image, "--config", config, *words, *output)
        assert status == 2 and len(complaint.splitlines()) == 1 and not (tmp_path / "new.img").exists()
        return complaint

    def changed(name: str, content: bytes) -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    whole = fresh.read_bytes()
    root = ROOT * SECTOR
    assert "no such file" in refused(tmp_path / "none.img")
    assert "no image of a disk" in refused(changed("text.img", b"hello " * 500)).replace("not an", "no")
    assert "no ext4 partition" in refused(changed("fat.img", whole[:root] + bytes(len(whole) - root)))
    assert "cut off; its partition 2 ends" in refused(changed("half.img", whole[: len(whole) // 2]))
    in_use = bytearray(whole)
    in_use[root + 1024 + 96] |= 4
    assert "was in use and not shut down" in refused(changed("used.img", bytes(in_use)))
    damaged = bytearray(whole)
    damaged[root + 1024 + 12] ^= 0xFF
    assert "file system is damaged" in refused(changed("damaged.img", bytes(damaged)))
    assert f"unpack it first: unzip {tmp_path}/pi.zip" in refused(changed("pi.zip", b"PK\x03\x04" + bytes(99)))
    os.mkfifo(tmp_path / "device")
    assert "not a file" in refused(tmp_path / "device") and "not a file" in refused(
        fresh, "--output", tmp_path / "device"
    )
    assert "is there already" in refused(fresh, "--output", tmp_path / "half.img")
    assert "--in-place is for an .img" in refused(changed("a.img.xz", b""), "--in-place")
    assert "--hostname" in refused(fresh, "--hostname", "Oak 14")
    assert "does not know it" in refused(fresh, "--time-zone", "Europe/Bruges")
    config.write_text(CONFIG + "[clips]\nlabels = ['Nyctalus noctulla']\n")
    bundle = ("--bundle", tmp_path / "no bundle")
    assert "no such folder" in refused(fresh, *bundle)
    config.write_text(CONFIG + "[rules]\nplausible = '/etc/ecotf/p.csv'\n")
    assert "put this table there with --plausible FILE" in refused(fresh)
    config.write_text("[sauce]\n")
    assert f"{config}: sauce is unknown" in refused(fresh)


def test_labels_that_the_model_does_not_know_are_refused(fresh, make_bundle, run_flash_device, config, tmp_path):
    config.write_text(CONFIG + "[clips]\nlabels = ['Nyctalus noctulla']\n")
    words = ["--config", config, "--bundle", make_bundle(), "--output", tmp_path / "new.img"]
    status, _, complaint = run_flash_device("image", fresh, *words)
    assert status == 2 and f"{config}: clips.labels: the model does not know 'Nyctalus noctulla'" in complaint


def test_a_computer_without_e2fsprogs(fresh, run_flash_device, tmp_path, monkeypatch):
    monkeypatch.setattr("deploy.flash.image.ext4._PATH", str(tmp_path))
    status, _, complaint = run_flash_device("image", fresh, "--output", tmp_path / "new.img")
    assert status == 2 and "sudo apt install e2fsprogs" in complaint
