"""Only what a recorder lacks is sent to it, and all of it where that does not work."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from ecotf_recorder.releases.blocks import Blocks, hash_blocks
from ecotf_recorder.releases.delta import DELTA
from ssh_login import at, flasher

from deploy.flash import delta, sending
from deploy.flash.bundles import open_bundle
from deploy.flash.delta import write_delta

WEIGHTS = random.Random(3).randbytes(200_000).hex()
FIRST, SECOND = f"good 1 {WEIGHTS}", f"good 2 with a class more {WEIGHTS}"


def test_the_second_model_is_sent_as_its_difference(sshd, make_device, make_bundle, run_flash_device):
    recorder, first, second = make_device(), make_bundle(FIRST), make_bundle(SECOND)
    status, output, _ = run_flash_device(first, *at(sshd, recorder))
    assert status == 0 and f"{sshd.address}: sent all 400 KB: the recorder has no model yet" in output
    before = sorted(recorder.releases.rglob("*"))
    status, output, _ = run_flash_device(second, "--dry-run", *at(sshd, recorder))
    assert status == 0 and f"{sshd.address}: would send 1 KB of 400 KB: the rest was there" in output
    assert sorted(recorder.releases.rglob("*")) == before and recorder.running() == first.name
    status, output, complaint = run_flash_device(second, *at(sshd, recorder))
    assert (status, complaint) == (0, "")
    assert f"{sshd.address}: sent 1 KB of 400 KB: the rest was there" in output
    assert f"{sshd.address}: assemble" in output
    assert recorder.running() == second.name and recorder.is_whole(second.name)
    assert sorted(path.name for path in (recorder.releases / second.name).iterdir()) == ["bundle.json", "model.tflite"]
    status, output, _ = run_flash_device(first, "--dry-run", *at(sshd, recorder))
    assert status == 0 and "would send nothing: all of it was there" in output
    status, output, _ = run_flash_device(make_bundle("good 3"), *at(sshd, recorder))
    assert status == 0 and f"sent all 1 KB: it has little in common with {second.name}" in output


def test_a_recorder_whose_software_is_older(sshd, make_device, make_bundle, monkeypatch):
    """It does not say that it takes deltas, and it does not know the word."""
    recorder = make_device()
    recorder.install(make_bundle(FIRST))
    ask = sending.ask_recorder

    def as_before(connection, place, words):
        assert words[0] in ("prepare", "status")
        return [{key: value for key, value in line.items() if key != "delta"} for line in ask(connection, place, words)]

    monkeypatch.setattr(sending, "ask_recorder", as_before)
    flash, device = flasher(sshd, recorder)
    result = flash.flash(device, open_bundle(make_bundle(SECOND)), lambda now: None)
    assert (result.outcome, result.note) == (
        "done", "sent all 400 KB: the recorder's software takes whole bundles only; flash_device.py init updates it",
    )  # fmt: skip


def test_a_base_that_changed_meanwhile(sshd, make_device, make_bundle, monkeypatch):
    """The checksum of the whole does not come out there, so all of it is sent."""
    recorder, first, second = make_device(), make_bundle(FIRST), make_bundle(SECOND)
    recorder.install(first)
    steps = []

    def write_and_damage(*arguments):
        size = write_delta(*arguments)
        (recorder.releases / first.name / "model.tflite").write_text(FIRST[::-1])
        return size

    monkeypatch.setattr(delta, "write_delta", write_and_damage)
    flash, device = flasher(sshd, recorder)
    result = flash.flash(device, open_bundle(second), lambda now: steps.append(now.step))
    assert (result.outcome, steps.count("sending")) == ("done", 2)
    assert result.note == f"sent all 400 KB: {DELTA}: what it gives is not the model of the bundle; refused"
    assert recorder.running() == second.name and recorder.is_whole(second.name)
    assert not list(recorder.releases.glob("*.part"))


def test_a_damaged_release_is_mended_with_what_it_still_has(sshd, make_device, make_bundle):
    recorder, bundle = make_device(), make_bundle(FIRST)
    recorder.install(bundle)
    (recorder.releases / bundle.name / "model.tflite").write_text(FIRST.replace("good 1", "good X"))
    flash, device = flasher(sshd, recorder)
    result = flash.flash(device, open_bundle(bundle), lambda now: None)
    assert (result.outcome, result.note) == ("done", "sent 1 KB of 400 KB: the rest was there")
    assert recorder.is_whole(bundle.name)


def test_who_may_not_flash_makes_the_recorder_do_nothing(sshd, make_device, make_bundle, tmp_path):
    recorder, first = make_device(), make_bundle(FIRST)
    recorder.install(first)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "mine"], check=True)
    shutil.copy(tmp_path / "mine.pub", recorder.root / "etc/ecotf/trusted/")
    flash, device = flasher(sshd, recorder)
    steps = []
    result = flash.flash(device, open_bundle(make_bundle(SECOND)), lambda now: steps.append(now.step))
    assert result.outcome == "refused" and "not signed" in result.reason
    assert "check" in steps and "assemble" not in steps and steps.count("sending") == 1
    assert recorder.running() == first.name and not list(recorder.releases.glob("*.part"))


def test_a_connection_that_drops_during_the_difference(sshd, make_device, make_bundle):
    recorder, first, second = make_device(), make_bundle(FIRST), make_bundle(SECOND)
    recorder.install(first)
    flash, device = flasher(sshd, recorder)

    def drop(now) -> None:
        if now.step == "upload":
            for pid in sshd.sessions():
                os.kill(pid, signal.SIGKILL)

    assert flash.flash(device, open_bundle(second), drop).outcome == "failed"
    assert recorder.is_whole(recorder.pointed("current"))
    result = flash.flash(device, open_bundle(second), lambda now: None)
    assert result.outcome == "done" and recorder.running() == second.name


@pytest.mark.parametrize("point", ["assemble:begin", "assemble:end"])
def test_power_cut_while_it_is_put_together(make_recorder, make_bundle, point):
    recorder, first, second = make_recorder(hold_s=0.1, poll_s=0.03), make_bundle(FIRST), make_bundle(SECOND)
    recorder.install(first)
    assert recorder.run(*upload_difference(recorder, first, second), kill_at=point)[0] == 137
    recorder.cut_power()
    assert recorder.boot() == 0
    assert recorder.pointed("current") == first.name and not list(recorder.releases.glob("*.part"))
    status, lines = recorder.run(*upload_difference(recorder, first, second))
    assert (status, lines[-1]["status"]) == (0, "done")
    assert [line["step"] for line in lines if line["status"] == "ok"][:3] == ["check", "assemble", "check"]
    assert recorder.is_whole(second.name)


def test_the_closest_release_is_the_base(recorder, make_bundle):
    """One of the bundle's own name before the current one, and a damaged manifest is no obstacle."""
    bats, birds, old = make_bundle("good 1"), make_bundle("good 2", name="birds/small"), make_bundle("good 3", name="x")
    for bundle in (old, birds):
        shutil.copytree(bundle, recorder.releases / bundle.name)
    recorder.install(bats)
    (recorder.releases / old.name / "bundle.json").write_text("{")

    def base(name: str, bundle: str = "0123456789ab") -> str | None:
        return recorder.run("blocks", bundle, "--name", name)[1][-1]["base"]

    assert base("birds/small") == birds.name
    assert base("bats/field") == base("frogs") == bats.name
    said = recorder.run("blocks", "0123456789ab")[1][-1]
    expected = hash_blocks(recorder.releases / bats.name / "model.tflite")
    assert Blocks.from_json(said).strong == expected.strong and not said["present"]


def upload_difference(recorder, first: Path, second: Path) -> list[str]:
    """As the workstation does; the arguments of apply."""
    arguments = recorder.upload(second)
    model = Path(arguments[-1]) / "model.tflite"
    model.unlink()
    blocks = hash_blocks(recorder.releases / first.name / "model.tflite")
    write_delta(model.with_name(DELTA), second / "model.tflite", blocks, first.name)
    assert json.loads((second / "bundle.json").read_text())["id"] == second.name
    return arguments
