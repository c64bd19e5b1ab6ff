"""``make test-board``: init, flash, reboot, bad bundles, a power cut, cards, settings, on an emulated ARM board.

    python -m deploy.board_emulation.flash_proof [BUNDLE BUNDLE]

Without bundles, the newest run of ``make run`` is exported twice, at f32 and at f16. The status is 0 when every step
went as it should.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from deploy.board_emulation import bad_bundles
from deploy.board_emulation.board import Board
from deploy.board_emulation.hearing_proof import hearing_bundle, prove_hearing
from deploy.board_emulation.image import BoardImage
from deploy.board_emulation.later_commands import prove_looking_after, prove_prepared_card
from deploy.board_emulation.proof import ROOT, Proof, release_of
from ecotf.audio.recording import open_recording
from ecotf.commands.console import log, run_command
from ecotf.errors import ConfigError

WORK = ROOT / "build" / "board"
_CONFIG = """\
[source]
kind = "folder"
folder = "/media/ecotf-card"
settle_s = 2.0
[site]
name = "emulated board"
"""

_DROP_IN = "/run/systemd/system/ecotf-recorder.service.d"
# The service fails as long as a release is the current one.
_UNIT_FAILS = f"""\
sudo mkdir -p {_DROP_IN}
printf '[Service]\\nExecStartPre=/bin/sh -c "! readlink /var/lib/ecotf/current | grep -q {{release}}"\\n' \\
  | sudo tee {_DROP_IN}/fails.conf
sudo systemctl daemon-reload"""


def prove(proof: Proof, first: Path, second: Path, sound: Path | None) -> None:
    """Every step of a recorder's life."""
    board, folder = proof.board, proof.folder
    (folder / "config.toml").write_text(_CONFIG, encoding="utf-8")

    proof.title("a board with nothing but Debian, whose key nobody knows")
    proof.boot()
    proof.on_board("uname -rm; python3 --version; free -m | head -2; df -h / | tail -1")
    init = ("init", "--offline", "--config", folder / "config.toml")
    proof.flash_device(*init, status=1, says=["unknown host", "SHA256:", "--accept-new-host-key"])
    proof.title("init")
    proof.flash_device(first, "--accept-new-host-key", status=1, says=["set the recorder up with"])
    proof.flash_device(*init, says=["packages", "service", "done"])
    proof.flash_device(*init)
    proof.on_board("sudo mkdir -p /media/ecotf-card && sudo chown pi /media/ecotf-card; du -sh /opt/ecotf/; "
                   "ls -d /opt/ecotf/lib/python3*/site-packages/*.dist-info | sed s:.*/::")  # fmt: skip

    proof.title("two bundles, one after the other")
    proof.flash_device(first, says=["selftest", "health", "done"])
    proof.runs(first)
    proof.flash_device(second, says=["done", release_of(first)])
    proof.runs(second)
    proof.flash_device(second, says=["unchanged"])
    proof.flash_device("status", says=["1 of 1 recorders well"])
    proof.flash_device("list", says=["current", "previous"])

    if sound is None:
        proof.title("it hears something: left out, for demo/night has no recording at the bundles' sample rate")
    else:
        proof.title("it hears something")
        _listen(proof, sound)

    prove_looking_after(proof, second)

    proof.title("switched off and on")
    board.shut_down()
    proof.boot()
    proof.runs(second, wait_s=120)

    proof.title("one byte flipped: refused here, and there")
    flipped = bad_bundles.flipped(first, folder / "flipped")
    proof.flash_device(flipped, status=2, says=["its checksum is not the one in bundle.json"])
    _apply_flipped(proof, bad_bundles.renamed(first, folder / "renamed", "flipped on the way"))
    proof.runs(second)

    proof.title("a model that is older than the one that runs")
    proof.flash_device(first, status=1, says=["refused", "--allow-older", "nothing was sent"])

    proof.title("a model that does not give its golden outputs")
    proof.flash_device(
        bad_bundles.wrong_numbers(first, folder / "wrong"), status=1, says=["refused", "self-test failed"]
    )
    proof.runs(second)

    proof.title("a model that passes its self-test, and with which the recorder does not start")
    crashing = bad_bundles.renamed(first, folder / "crashing", "crashing")
    proof.on_board(_UNIT_FAILS.format(release=release_of(crashing)))
    proof.flash_device(crashing, status=1, says=["rolled-back", f"{release_of(second)} runs again"])
    proof.on_board(f"sudo rm -r {_DROP_IN} && sudo systemctl daemon-reload")
    proof.runs(second)
    previous = Path(board.run("readlink /var/lib/ecotf/previous")).name
    proof.expect(f"previous is {release_of(first)} still ({previous})", previous == release_of(first))

    proof.title("the workstation goes away in the middle")
    third = bad_bundles.renamed(second, folder / "third", "third")
    proof.flash_until(third, "health", lambda process: process.send_signal(signal.SIGKILL))
    proof.runs(third, wait_s=120)
    time.sleep(45)
    proof.flash_device("status", says=[release_of(third), "1 of 1 recorders well"])

    proof.title("the power goes away in the middle")
    fourth = bad_bundles.renamed(second, folder / "fourth", "fourth")
    proof.flash_until(fourth, "health", lambda process: board.cut_power())
    proof.boot()
    proof.runs(third, wait_s=120)
    proof.flash_device("status", says=["was cut off at health and is undone"])
    proof.flash_device(fourth, says=["selftest", "done"])  # it was placed before the cut, so nothing is sent
    proof.runs(fourth)

    proof.title("rollback")
    proof.flash_device("rollback", says=["done"])
    proof.runs(third)

    proof.title("a bundle on the memory card")
    board.shut_down()
    card = ("--sdcard", _new(folder / "bootfs"), "--allow-older")  # it was made before the one that runs
    proof.flash_device(first, *card, device=False, says=["the recorder applies it"])
    board.put_on_card(folder / "bootfs" / "ecotf")
    proof.boot()
    proof.runs(first, wait_s=180)
    time.sleep(45)
    board.shut_down()
    board.take_from_card("ecotf", _new(folder / "bootfs_after"))
    proof.flash_device(
        "status", "--sdcard", folder / "bootfs_after", device=False, says=[f"{release_of(first)}.done: done"]
    )
    proof.boot()

    proof.title("signed bundles only")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "signing"], check=True)
    proof.flash_device(*init, "--trust", folder / "signing.pub")
    signed = folder / "signed"
    shutil.copytree(second, signed)
    proof.flash_device(signed, status=1, says=["not signed, and only signed bundles are accepted"])
    proof.flash_device("sign", signed, "--key", folder / "signing", device=False)
    proof.flash_device(signed, says=["done"])
    proof.runs(second)
    proof.flash_device("keys", says=["signing", "SHA256:"])
    for unit in ("ecotf-recorder", "ecotf-inbox", "ecotf-mqtt"):
        proof.on_board(f"systemd-analyze security {unit} --no-pager | tail -1")
    proof.on_board("systemctl --failed --no-legend; "
                   "grep -h VmRSS /proc/$(systemctl show -P MainPID ecotf-recorder)/status; free -m | head -2; "
                   "sudo tail -3 /var/lib/ecotf/releases/log.jsonl")  # fmt: skip


def _listen(proof: Proof, sound: Path) -> None:
    proof.copy([sound], "/media/ecotf-card/night.wav")
    found = 0
    deadline = time.monotonic() + 300
    while not found and time.monotonic() < deadline:
        time.sleep(5)
        found = int(
            json.loads(proof.board.run("sudo cat /var/lib/ecotf/data/health.json") or "{}").get("detections", 0)
        )
    time.sleep(15)  # it writes detections down every ten seconds
    proof.on_board("sudo wc -l /var/lib/ecotf/data/detections.csv; sudo tail -2 /var/lib/ecotf/data/detections.csv")
    proof.expect(f"{found} detections in {sound.name}", found > 0)


def _apply_flipped(proof: Proof, bundle: Path) -> None:
    """Send an upload with a changed byte, by the steps of flash_device.py, and return the recorder's answer."""
    releases = "sudo /opt/ecotf/bin/python -I -m ecotf_recorder.releases"
    room = json.loads(proof.on_board(f"{releases} prepare {release_of(bundle)} --size 9000000").splitlines()[-1])
    proof.copy(sorted(bundle.iterdir()), f"{room['part']}/")
    proof.on_board(f"printf X | dd of={room['part']}/model.tflite bs=1 seek=5000 conv=notrunc status=none")
    said = proof.on_board(f"{releases} apply {release_of(bundle)} --part {room['part']}")
    proof.expect("it is refused for its checksum", "its checksum is not the one" in said and '"refused"' in said)


def _copied(bundles: Sequence[Path], folder: Path) -> list[Path]:
    """Bundles as they are now; a proof takes long, and somebody may export anew meanwhile."""
    return [Path(shutil.copytree(bundle, folder / f"bundle{number}")) for number, bundle in enumerate(bundles, 1)]


def _export(folder: Path) -> list[Path]:
    """The newest run of the demo, at two precisions."""
    runs = sorted((ROOT / "demo" / "runs").glob("**/recipe.yaml"), key=lambda path: path.stat().st_mtime)
    if not runs:
        raise ConfigError("there is no bundle to flash: give two, or make a run with: make run")
    bundles = []
    for precision in ("f32", "f16"):
        bundles.append(folder / precision)
        words = [sys.executable, "scripts/export_model.py", str(runs[-1].parent), "--precision", precision]
        subprocess.run([*words, "--output", str(bundles[-1])], cwd=ROOT, check=True)
    return bundles


def _sound_for(bundle: Path) -> Path | None:
    """A recording of the demo's night that the bundle's model can hear; it takes one sample rate."""
    rate = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))["sample_rate_hz"]
    sounds = sorted((ROOT / "demo" / "night").glob("*.wav"))
    return next((sound for sound in sounds if open_recording(sound).sample_rate == rate), None)


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def main(arguments: Sequence[str]) -> int:
    """Build what is needed, and go."""
    parser = argparse.ArgumentParser(prog="make test-board", description=__doc__)
    parser.add_argument("bundles", nargs="*", type=Path, metavar="BUNDLE", help="two, of different models")
    options = parser.parse_args(arguments)
    if len(options.bundles) not in (0, 2):
        raise ConfigError("give two bundles, or none")
    began = time.monotonic()
    image = BoardImage(WORK)
    image.build()
    log(f"image ready after {time.monotonic() - began:.0f} s")
    folder = WORK / "proof"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    first, second = _copied(options.bundles, folder) or _export(folder / "bundles")
    board = Board(image, folder / "board")
    proof = Proof(board, folder)
    try:
        prove(proof, first, second, _sound_for(second))
        hearing, sound = hearing_bundle(folder)
        proof.flash_device("sign", hearing, "--key", folder / "signing", device=False)
        prove_hearing(proof, hearing, sound)
        board.close()
        prove_prepared_card(proof, image, first)
    finally:
        board.close()
    log(f"{time.monotonic() - began:.0f} s; " + ("all as it should be" if not proof.failures else "NOT SO:"))
    for failure in proof.failures:
        log(f"  {failure}")
    return int(bool(proof.failures))


if __name__ == "__main__":
    run_command(main)
