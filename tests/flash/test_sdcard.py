"""A bundle on a memory card, and the recorder that finds it when it starts."""

from __future__ import annotations

import json
import os
import shutil

import pytest

INBOX = "boot/firmware/ecotf/inbox"


@pytest.fixture
def card(recorder):
    """The first partition of the recorder's card, as the workstation and the recorder see it."""
    place = recorder.root / "boot/firmware"
    place.mkdir(parents=True)
    return place


def test_from_the_workstation_to_the_running_recorder(recorder, card, make_bundle, run_flash_device):
    first, second = make_bundle("good 1"), make_bundle("good 2")
    for bundle in (first, second):
        status, output, _ = run_flash_device(bundle, "--sdcard", card)
        assert status == 0 and f"{INBOX}/{bundle.name}; the recorder applies it" in output
        assert recorder.run("inbox")[0] == 0
        assert recorder.pointed("current") == recorder.running() == bundle.name
        assert (card / f"ecotf/inbox/{bundle.name}.done/result.txt").read_text() == "done\n"
    status, output, _ = run_flash_device("status", "--sdcard", card)
    assert status == 0 and f"{second.name}.done: done" in output
    assert recorder.pointed("previous") == first.name
    assert recorder.run("inbox")[1] == [], "applied once"


def test_one_card_carries_one_bundle(card, make_bundle, run_flash_device):
    first, second = make_bundle("good 1"), make_bundle("good 2")
    run_flash_device(first, "--sdcard", card)
    _, output, _ = run_flash_device(second, "--sdcard", card)
    assert f"{first.name}, which waited on the card, is replaced" in output
    assert [path.name for path in (card / "ecotf/inbox").iterdir()] == [second.name]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("wrong 1", "refused: the self-test failed: golden outputs differ"),
        ("failing 1", "rolled-back: the recorder did not"),
    ],
)
def test_a_bad_bundle_is_noted_on_the_card(make_recorder, make_bundle, run_flash_device, content, reason):
    recorder = make_recorder(start_s=1.5)
    card = recorder.root / "boot/firmware"
    card.mkdir(parents=True)
    first, bad = make_bundle("good 1"), make_bundle(content)
    recorder.install(first)
    run_flash_device(bad, "--sdcard", card)
    status, lines = recorder.run("inbox")
    assert status == 1 and lines[-1]["step"] == "inbox"
    assert recorder.pointed("current") == recorder.running() == first.name
    status, output, _ = run_flash_device("status", "--sdcard", card)
    assert status == 1 and f"{bad.name}.refused: {reason}" in output


def test_what_people_put_there_by_hand(recorder, card, make_bundle):
    """A damaged copy, a copy that was not finished, a folder that is none, and the droppings of a Mac."""
    inbox = card / "ecotf/inbox"
    good, damaged = make_bundle("good 1", parent=inbox), make_bundle("good 2", parent=inbox)
    (good / "._model.tflite").write_text("")
    (good / ".DS_Store").write_text("")
    (damaged / "model.tflite").write_text("good 3")
    (inbox / "holiday").mkdir()
    (inbox / "0123456789ab.part").mkdir()
    (inbox / ".Trashes").mkdir()
    status, lines = recorder.run("inbox")
    assert status == 1
    said = {line["folder"]: line for line in lines if line["step"] == "inbox"}
    assert said[good.name]["status"] == "done"
    assert "its checksum is not the one" in said[damaged.name]["detail"]
    assert "bundle.json: missing" in said["holiday"]["detail"]
    assert set(said) == {good.name, damaged.name, "holiday"}
    assert recorder.running() == good.name


def test_a_card_that_cannot_be_written_to_is_applied_once(recorder, card, make_bundle, monkeypatch):
    """The recorder remembers what it tried, whether or not it could note that on the card."""
    bundle = make_bundle("good 1", parent=card / "ecotf/inbox")
    assert recorder.run("inbox")[1][-1]["status"] == "done"
    shutil.copytree(card / f"ecotf/inbox/{bundle.name}.done", card / f"ecotf/inbox/{bundle.name}")
    recorder.flash(make_bundle("good 2"))
    assert recorder.run("inbox")[1] == []
    assert recorder.pointed("current") != bundle.name


def test_a_bundle_that_is_cut_off_every_time_is_given_up(recorder, card, make_bundle):
    recorder.install(make_bundle("good 1"))
    bundle = make_bundle("good 2", parent=card / "ecotf/inbox")
    for _ in range(3):
        assert recorder.run("inbox", kill_at="health:begin")[0] != 0
        recorder.cut_power()
        recorder.boot()
        assert recorder.pointed("current") == make_bundle("good 1").name
    status, lines = recorder.run("inbox")
    assert status == 1 and lines[-1]["detail"] == "cut off 3 times, so it is not tried again"
    assert (card / f"ecotf/inbox/{bundle.name}.refused").is_dir()
    memory = json.loads((recorder.releases / "inbox.json").read_text())
    assert [entry["status"] for entry in memory.values()] == ["refused"]


def test_cards_that_are_none(make_bundle, run_flash_device, tmp_path):
    status, _, complaint = run_flash_device(make_bundle(), "--sdcard", tmp_path / "none")
    assert status == 2 and "--sdcard is where the card is mounted" in complaint
    (tmp_path / "file").mkdir()
    (tmp_path / "file/ecotf").write_text("")
    status, _, complaint = run_flash_device(make_bundle(), "--sdcard", tmp_path / "file")
    assert status == 2 and "cannot be written" in complaint and "Traceback" not in complaint
    status, _, complaint = run_flash_device(make_bundle(), "--sdcard", tmp_path, "--device", "pi@recorder01")
    assert status == 2 and "either --sdcard or --device" in complaint


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_card_that_is_full(make_bundle, run_flash_device, tmp_path, monkeypatch):
    def copy_to_a_full_disk(source, target):
        with open("/dev/full", "wb", buffering=0) as full:
            full.write(b"x")

    monkeypatch.setattr("shutil.copyfile", copy_to_a_full_disk)
    status, _, complaint = run_flash_device(make_bundle(), "--sdcard", tmp_path)
    assert status == 2 and "disk full while writing" in complaint
    assert list((tmp_path / "ecotf/inbox").iterdir()) == []


def test_a_manifest_that_cannot_be_read_stops_no_other(recorder, card, make_bundle, run_flash_device):
    bundle = make_bundle("good 1")
    run_flash_device(bundle, "--sdcard", card)
    deep = card / "ecotf/inbox" / "deep"
    deep.mkdir()
    (deep / "bundle.json").write_text("[" * 200_000)
    assert recorder.run("inbox")[0] == 1
    assert recorder.pointed("current") == bundle.name
    assert "not JSON" in (card / "ecotf/inbox" / "deep.refused/result.txt").read_text()


def test_the_card_or_recorders_are_asked_and_not_both(card, run_flash_device):
    assert run_flash_device("status", "--sdcard", card, "--device", "pi@oak")[0] != 0
    assert run_flash_device("status", "--device", "pi@oak", "--device", "pi@oak")[0] != 0
