"""init against an empty folder behind a real sshd: twice, and then a bundle with what it installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from crate import Crate

from deploy.flash import on_recorder
from deploy.flash.wheels import Board, build_recorder_wheel, download_wheels, requirements

BOARD = Board("aarch64", (3, 11), (2, 36))


def test_init_twice_and_a_bundle(sshd, make_recorder, make_bundle, run_flash_device, packages, tmp_path):
    recorder = make_recorder()
    (tmp_path / "config.toml").write_text(f'[source]\nkind = "folder"\nfolder = "{tmp_path}/card"\n')
    words = [
        "init", "--device", sshd.address, "--root", recorder.root, "--wheels", packages, *sshd.arguments,
        "--config", tmp_path / "config.toml", "--trust", sshd.folder / "login_key.pub",
    ]  # fmt: skip
    status, output, complaint = run_flash_device(*words)
    assert (status, complaint) == (0, ""), output
    environment = recorder.root / "opt/ecotf"
    first = environment.resolve()
    assert environment.is_symlink() and first.parent == environment.parent
    assert f"source.folder = '{tmp_path}/card' is not there; is the card in?" in output
    assert (recorder.root / "etc/ecotf/config.toml").read_text() == (tmp_path / "config.toml").read_text()
    units = recorder.root / "etc/systemd/system"
    assert (units / "ecotf-recorder.service").exists() and (units / "ecotf-inbox.service").exists()
    assert "releases recover" in (units / "ecotf-recorder.service.d/releases.conf").read_text()

    (tmp_path / "config.toml").write_text('[source]\nkind = "stdin"\n')
    assert run_flash_device(*words)[0] == 0
    assert environment.resolve() == first, "nothing to install"
    assert "folder" in (recorder.root / "etc/ecotf/config.toml.old").read_text()

    bundle = make_bundle()
    arguments = ["--device", sshd.address, "--root", recorder.root, *sshd.arguments]
    assert run_flash_device(bundle, *arguments)[0] == 1, "not signed"
    run_flash_device("sign", bundle, "--key", sshd.folder / "login_key")
    status, output, _ = run_flash_device(bundle, *arguments)
    assert status == 0, output
    assert recorder.running() == bundle.name


def test_a_wheel_that_is_missing_leaves_what_was_there(sshd, make_recorder, run_flash_device, packages):
    recorder = make_recorder()
    next(packages.glob("numpy*")).unlink()
    words = ["--device", sshd.address, "--root", recorder.root, "--wheels", packages, *sshd.arguments]
    status, output, _ = run_flash_device("init", *words)
    assert status == 1 and "No matching distribution found for numpy" in output
    assert not list((recorder.root / "opt").glob("ecotf*"))


def test_a_config_with_a_mistake_is_refused(sshd, make_recorder, run_flash_device, packages, tmp_path):
    recorder = make_recorder()
    (tmp_path / "config.toml").write_text('[sauce]\nkind = "folder"\n')
    words = ["--device", sshd.address, "--root", recorder.root, "--wheels", packages, *sshd.arguments]
    status, output, _ = run_flash_device("init", *words, "--config", tmp_path / "config.toml")
    assert status == 1 and "sauce is unknown" in output
    assert not (recorder.root / "etc/ecotf/config.toml").exists()


def test_keys_are_listed_and_removed_from_here(make_device, run_flash_device, tmp_path, monkeypatch):
    crate, recorder = Crate(), make_device("oak")
    crate.roots["pi@oak"] = recorder.root
    monkeypatch.setattr("deploy.flash.showing.connect", crate.connect)
    for name in ("mine", "lost"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
        shutil.copy(tmp_path / f"{name}.pub", recorder.root / "etc/ecotf/trusted/")
    words = ["keys", "--device", "pi@oak", "--no-sudo", "--root", recorder.root]
    status, output, _ = run_flash_device(*words)
    assert status == 0 and "mine" in output and "lost" in output and output.count("SHA256:") == 2
    status, output, _ = run_flash_device(*words, "--remove", "lost")
    assert status == 0 and output.count("SHA256:") == 1 and "refused" in output
    assert not (recorder.root / "etc/ecotf/trusted/lost.pub").exists()
    status, output, _ = run_flash_device(*words, "--remove", "mine")
    assert status == 1 and "mine is the only trusted key" in output
    status, output, _ = run_flash_device("list", *words[1:], "--remove-old")
    assert status == 0 and "nothing to remove" in output


def test_what_is_given_to_init_is_checked_first(run_flash_device, tmp_path):
    (tmp_path / "rsa.pub").write_text("ssh-rsa AAAA me\n")
    for words, reason in (
        (["--config", tmp_path / "none.toml"], "none.toml: no such file"),
        (["--wheels", tmp_path / "none"], "none: no such folder"),
        (["--trust", tmp_path / "rsa.pub"], "ssh-rsa is no ed25519 key"),
    ):
        status, _, complaint = run_flash_device("init", "--device", "pi@recorder01.local", *words)
        assert status == 2 and reason in complaint


@pytest.mark.parametrize(
    ("board", "reason"),
    [
        (Board("armv7l", (3, 11), (2, 36)), "a 64-bit system is needed"),
        (Board("aarch64", (3, 9), (2, 36)), "Python 3.11 or later is needed, and this is 3.9"),
        (Board("aarch64", (3, 11), (2, 31)), "glibc 2.34 or later is needed (Debian 12), and this is 2.31"),
    ],
)
def test_boards_without_a_runtime(board, reason):
    with pytest.raises(Exception, match=reason.replace("(", r"\(").replace(")", r"\)")):
        board.check()


def test_the_wheel_is_the_same_every_time_and_asks_for_what_the_board_can_have(recorder_wheel, tmp_path):
    assert build_recorder_wheel(tmp_path).read_bytes() == recorder_wheel.read_bytes()
    with zipfile.ZipFile(recorder_wheel) as opened:
        assert "ecotf_recorder/releases/__main__.py" in opened.namelist()
    older = requirements(recorder_wheel, BOARD)
    newer = requirements(recorder_wheel, Board("aarch64", (3, 13), (2, 41)))
    assert any(line.startswith("tflite-runtime") for line in older) and not any("litert" in line for line in older)
    assert any(line.startswith("ai-edge-litert") for line in newer) and not any("tflite" in line for line in newer)
    assert not any("paho" in line for line in older)
    assert any(line.startswith("paho-mqtt") for line in requirements(recorder_wheel, BOARD, "mqtt"))
    assert BOARD.platforms[0] == "manylinux_2_36_aarch64"


@pytest.mark.parametrize("with_mqtt", [True, False])
def test_the_package_of_the_mqtt_service_comes_along(packages, recorder_wheel, tmp_path, with_mqtt):
    """A board without internet cannot fetch it later; a folder of wheels that lacks it is still enough for the rest."""
    wheel = packages / "paho_mqtt-2.2.0-py3-none-any.whl"
    if not with_mqtt:
        wheel.unlink()
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    shutil.copy(recorder_wheel, uploads)
    download_wheels(recorder_wheel, BOARD, uploads, packages)
    assert (uploads / wheel.name).exists() == with_mqtt
    on_recorder.Setup(tmp_path / "board", uploads, offline=True)._build(tmp_path / "new")
    there = [path.name for path in (tmp_path / "new").glob("lib/python*/site-packages/*")]
    assert "ecotf_recorder" in there and "numpy" in there
    assert ("paho_mqtt" in there) == with_mqtt


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_a_board_takes_every_wheel_that_its_own_pip_would(machine):
    """The runtime for x86_64 is a wheel for manylinux2014, by that older name alone."""
    there = set(Board(machine, (3, 11), (2, 36)).platforms)
    expected = {f"manylinux_2_36_{machine}", f"manylinux_2_17_{machine}", f"manylinux2014_{machine}"}
    assert expected <= there
    assert (f"manylinux1_{machine}" in there) == (machine == "x86_64")


def test_the_program_is_a_command_for_everybody(tmp_path):
    """The manual says ``sudo ecotf-recorder status``, and /opt/ecotf/bin is in nobody's PATH."""
    setup = on_recorder.Setup(tmp_path, tmp_path, offline=True)
    link = tmp_path / "usr/local/bin/ecotf-recorder"
    assert setup.words() == str(link) and setup.words() == "as it was"
    assert link.readlink() == tmp_path / "opt/ecotf/bin/ecotf-recorder"
    link.unlink()
    link.write_text("mine")
    assert setup.words().endswith("is something else, and stays") and link.read_text() == "mine"


def test_the_setup_script_runs_on_bare_python():
    """It is uploaded by itself, and a board may have an older Python than this one."""
    script = Path(__file__).parents[2] / "deploy/flash/on_recorder.py"
    done = subprocess.run([sys.executable, "-I", "-S", script, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "--offline" in done.stdout
