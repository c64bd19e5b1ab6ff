"""A bundle says which boards it fits and when it was made; a crate is gone through in stages that stop."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from crate import Crate
from ecotf_recorder.releases.bundle import ReleaseError, read_bundle
from ecotf_recorder.releases.fitting import board_facts, why_older, why_unfit
from ecotf_recorder.releases.settings import ReleaseSettings

from deploy.flash.devices import Device
from deploy.flash.flashing import Result
from deploy.flash.fleet import Stages, run_fleet


def saying(bundle: Path, **facts: object) -> Path:
    said = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps(said | facts))
    return bundle


@pytest.mark.parametrize(
    ("fits", "reason"),
    [({"machines": ["armv7l"]}, "is for armv7l, and this board is aarch64"),
     ({"memory_mb": 500}, "needs 500 MB of memory"),
     ({"machines": ["x86_64", "aarch64"], "memory_mb": 100}, ""), ({}, "")],
)  # fmt: skip
def test_a_bundle_for_other_boards_is_refused_before_anything_changes(make_recorder, make_bundle, fits, reason):
    recorder = make_recorder(machine="aarch64", memory_mb=200)
    first = make_bundle("good 1")
    recorder.install(first)
    status, end = recorder.flash(saying(make_bundle("good 2"), fits=fits))
    assert (status, end["status"]) == ((1, "refused") if reason else (0, "done"))
    assert reason in end.get("detail", "")
    assert (recorder.running() == first.name) == bool(reason)


@pytest.mark.parametrize(
    "fits", ["aarch64", {"machines": "aarch64"}, {"machines": ["a b\n"]}, {"memory_mb": "64"}, {"memory_mb": -1}, None]
)
def test_what_cannot_be_fitted_is_no_bundle(make_bundle, fits):
    with pytest.raises(ReleaseError, match="fits is not"):
        read_bundle(saying(make_bundle(), fits=fits))


def test_nobody_is_refused_for_what_is_not_known(make_bundle):
    bundle = read_bundle(saying(make_bundle(), fits={"machines": ["aarch64"], "memory_mb": 70.0}))
    assert why_unfit(bundle, None, None) == why_unfit(bundle, "", "much") == ""
    facts = board_facts(ReleaseSettings())
    assert facts["machine"] and facts["memory_mb"] > 100
    for created in (None, 3, "yesterday", "2026-06-21T22:15:00+00:00", "2026-06-21T23:15:00+01:00"):
        assert why_older(bundle, "0123456789ab", created) == ""
    assert why_older(bundle, None, "2027-01-01") == why_older(bundle, bundle.id, "2027-01-01") == ""


def test_an_older_bundle_needs_to_be_told(make_device, make_bundle, run_flash_device, monkeypatch):
    recorder, crate = make_device("oak"), Crate()
    crate.roots["pi@oak"] = recorder.root
    monkeypatch.setattr("deploy.flash.flashing.connect", crate.connect)
    old, new = (saying(make_bundle(f"good {i}"), created=f"2026-06-2{i}T22:15:00+00:00") for i in (1, 2))
    recorder.install(new)
    words = [old, "--device", "pi@oak", "--no-sudo", "--root", recorder.root]
    for more in ([], ["--dry-run"]):
        status, output, _ = run_flash_device(*words, *more)
        assert status == 1 and "refused" in output and "upload" not in output
        assert f"before {new.name} (bats/field, 2026-06-22T22:15:00+00:00), which is installed" in output
    assert recorder.flash(old)[1]["status"] == "refused", "the recorder asks for itself"
    assert recorder.running() == new.name
    status, output, _ = run_flash_device(*words, "--allow-older")
    assert (status, recorder.running()) == (0, old.name), output
    assert recorder.run("rollback")[0] == 0, "going forth and back is always allowed"
    assert recorder.run("rollback")[0] == 0 and recorder.running() == old.name


def test_a_card_with_an_older_bundle(recorder, make_bundle, run_flash_device):
    old, new = (saying(make_bundle(f"good {i}"), created=f"2026-06-2{i}T22:15:00+00:00") for i in (1, 2))
    recorder.install(new)
    card = recorder.root / "boot" / "firmware"
    card.mkdir(parents=True)
    for more, ending, now in (([], "refused", new), (["--allow-older"], "done", old)):
        (recorder.releases / "inbox.json").unlink(missing_ok=True)
        assert run_flash_device(old, "--sdcard", card, *more)[0] == 0
        recorder.run("inbox")
        assert [path.name for path in (card / "ecotf/inbox").iterdir() if path.is_dir()] == [f"{old.name}.{ending}"]
        assert recorder.running() == now.name
    assert run_flash_device(new, "--sdcard", card)[0] == 0
    assert not list((card / "ecotf/inbox").glob("*.allow-older"))


OUTCOMES = {"a": "done", "b": "off", "c": "done", "d": "refused", "e": "done", "f": "rolled-back", "g": "unchanged"}


@pytest.mark.parametrize(
    ("stages", "begun"),
    [(Stages(), "abcdefg"), (Stages(2), "abcdefg"), (Stages(2, 1), "abcd"), (Stages(3, 1), "abcd"),
     (Stages(2, 2), "abcdef"), (Stages(0, 1), "abcd"), (Stages(9, 3), "abcdefg")],
)  # fmt: skip
def test_a_crate_stops_after_some_failures(stages, begun):
    worked: list[str] = []

    def work(device: Device, say: object) -> Result:
        worked.append(device.name)
        outcome = OUTCOMES[device.name]
        return Result(device, "failed", "", reached=False) if outcome == "off" else Result(device, outcome)

    devices = [Device(name, name) for name in OUTCOMES]
    results = run_fleet(devices, work, 1, threading.Event(), stages)
    assert "".join(worked) == begun
    assert [result.device for result in results] == devices
    skipped = [result for result in results if result.outcome == "not begun"]
    assert len(skipped) == len(devices) - len(worked)
    assert all("before it failed" in result.reason for result in skipped)


def test_a_stage_begins_when_the_one_before_has_ended():
    running: set[str] = set()
    together: list[str] = []

    def work(device: Device, say: object) -> Result:
        running.add(device.name)
        time.sleep(0.05)
        together.append("".join(sorted(running)))
        running.discard(device.name)
        return Result(device, "done")

    run_fleet([Device(name, name) for name in "abcdef"], work, 4, threading.Event(), Stages(3))
    assert all(set(names) <= set("abc") or set(names) <= set("def") for names in together)
    assert any(len(names) > 1 for names in together)


def test_stages_are_numbers(run_flash_device, make_bundle):
    for words in (["--stage", "-1"], ["--max-failures", "-2"]):
        status, _, complaint = run_flash_device(make_bundle(), "--device", "pi@oak", *words)
        assert status == 2 and "a number from 0" in complaint
