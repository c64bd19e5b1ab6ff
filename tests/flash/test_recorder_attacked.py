"""What the recorder's own user, a card, or a hostile model may try, and what it comes to (docs/security.md)."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import sys
from pathlib import Path

import pytest
from ecotf_recorder.releases.bundle import ReleaseError
from ecotf_recorder.releases.processes import run_selftest
from ecotf_recorder.releases.settings import read_settings

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="another user's files need root")
EVIL = "nobody"


def _settings(recorder, **more):
    place = recorder.root / "etc/ecotf/releases.toml"
    with place.open("a") as file:
        file.writelines(f"{key} = {json.dumps(value)}\n" for key, value in more.items())
    return read_settings(recorder.root)


def _belongs_to_evil(recorder) -> None:
    """As an older version left it: the whole folder is the recorder's user's."""
    user = pwd.getpwnam(EVIL)
    os.chown(recorder.state, user.pw_uid, user.pw_gid)


@needs_root
def test_releases_that_another_user_put_there_are_set_aside(make_recorder, tmp_path):
    """A journal with an absolute id deleted any folder, and the log was written through a link, as root."""
    recorder = make_recorder(user=EVIL)
    _belongs_to_evil(recorder)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "kept").write_text("kept")
    forged = recorder.releases
    forged.rmdir()
    forged.mkdir()
    user = pwd.getpwnam(EVIL)
    journal = {"operation": "apply", "id": str(precious), "step": "selftest", "new": True, "before": None}
    (forged / "journal.json").write_text(json.dumps(journal))
    for name in ("log.jsonl", ".lock", "last.json"):
        (forged / name).symlink_to(tmp_path / f"preload-{name}")
    os.chown(forged, user.pw_uid, user.pw_gid)
    assert recorder.run("prepare", "0" * 12, "--size", "10")[0] == 2, "refused until it is root's"
    assert recorder.run("recover")[0] == 0
    assert (precious / "kept").exists() and not list(tmp_path.glob("preload-*"))
    assert recorder.state.stat().st_uid == recorder.releases.stat().st_uid == 0
    assert (recorder.state / "data" / "releases" / "journal.json").exists()


@needs_root
def test_an_older_installation_moves_its_data_and_keeps_its_releases(make_recorder, make_bundle):
    recorder = make_recorder(user=EVIL)
    first, second = make_bundle("good 1"), make_bundle("good 2")
    for bundle in (first, second):
        shutil.copytree(bundle, recorder.releases / bundle.name)
    for link, bundle in (("current", first), ("previous", second)):
        (recorder.state / link).symlink_to(f"releases/{bundle.name}")
    _belongs_to_evil(recorder)
    (recorder.state / "clips/2026").mkdir(parents=True)
    for name in ("detections.csv", "detections.sqlite", "detections.sqlite-wal", "clips/2026/a.wav"):
        (recorder.state / name).write_text(name)
    (recorder.state / "data").mkdir()  # systemd may have made it, and the recorder written to it
    (recorder.state / "data" / "detections.csv").write_text("newer")
    for _ in range(2):
        assert recorder.run("init")[0] == 0
    data = recorder.state / "data"
    for name in ("detections.sqlite", "detections.sqlite-wal", "clips/2026/a.wav"):
        assert (data / name).read_text() == name
    assert (data / "detections.csv").read_text() == "newer"
    assert (data / "detections.csv.older-1").read_text() == "detections.csv"
    assert sorted(path.name for path in recorder.state.iterdir()) == ["current", "data", "previous", "releases"]
    assert (recorder.pointed("current"), recorder.pointed("previous")) == (first.name, second.name)
    assert data.stat().st_uid == pwd.getpwnam(EVIL).pw_uid and data.stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize(
    "change",
    [
        {"id": "PRECIOUS"},
        {"id": None},
        {"before": "../precious"},
        {"part": "../x.part"},
        {"token": "\x1b[2J"},
        {"new": "yes"},
    ],
)
def test_a_forged_journal_is_none(recorder, tmp_path, change):
    # Only a folder of this test may be named: where the check is missing, the manager deletes what it is told to.
    precious = tmp_path / "precious"
    precious.mkdir()
    change = {key: str(precious) if value == "PRECIOUS" else value for key, value in change.items()}
    journal = {"operation": "apply", "id": "0" * 12, "step": "selftest", "new": True, "before": None, "part": None}
    (recorder.releases / "journal.json").write_text(json.dumps(journal | change))
    status, lines = recorder.run("recover")
    assert (status, lines[-1]["detail"]) == (0, "nothing to do")
    assert precious.is_dir()
    assert recorder.pointed("current") is None


@pytest.mark.parametrize("kind", ["link", "pipe", "endless"])
def test_what_the_recorder_says_cannot_hold_root_up(recorder, tmp_path, kind):
    assert recorder.run("init")[0] == 0
    health = recorder.state / "data" / "health.json"
    if kind == "link":
        (tmp_path / "secret").write_text('{"secret": 1}')
        health.symlink_to(tmp_path / "secret")
    elif kind == "pipe":
        os.mkfifo(health)
    else:
        health.write_bytes(b"[" * 10_000_000)
    status, lines = recorder.run("status")
    assert status == 0 and lines[-1]["health"] is None


HUNGRY = """
import sys
{what}
"""


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("x = bytearray(300 << 20)", "MemoryError"),
        ("open(sys.argv[0] + 'x', 'wb').write(bytes(2 << 20))", "File too large"),
        ("for _ in range(50_000): print('x' * 1000)", "failed: x{1,300}$|signal"),
        ("import time; time.sleep(20)", "did not end within 2 s"),
    ],
)
def test_a_hostile_self_test_has_limits(recorder, tmp_path, what, reason):
    # Each ends by itself and takes little, so that a manager without limits harms nobody either.
    script = tmp_path / "test.py"
    script.write_text(HUNGRY.format(what=what))
    lines = (recorder.root / "etc/ecotf/releases.toml").read_text().splitlines()
    kept = [line for line in lines if not line.startswith("selftest")]
    (recorder.root / "etc/ecotf/releases.toml").write_text("\n".join(kept) + "\n")
    settings = _settings(recorder, selftest=[sys.executable, "-S", "-E", str(script)], selftest_s=2, selftest_mb=200)
    with pytest.raises(ReleaseError, match=reason):
        run_selftest(settings, tmp_path / "none")


@needs_root
def test_a_self_test_has_no_rights_and_no_way_back_to_them(make_recorder):
    recorder = make_recorder(user=EVIL, selftest=["sh", "-c", "id -u; grep NoNewPrivs /proc/self/status; exit 1"])
    with pytest.raises(ReleaseError, match=r"NoNewPrivs:\s1"):
        run_selftest(read_settings(recorder.root), recorder.root / "none")
    shown = make_recorder("other", user=EVIL, selftest=["sh", "-c", "id -u; exit 1"])
    with pytest.raises(ReleaseError, match=f": {pwd.getpwnam(EVIL).pw_uid}$"):
        run_selftest(read_settings(shown.root), shown.root / "none")


def test_without_its_keys_a_recorder_accepts_nothing(recorder, make_bundle):
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea a\n"
    trusted = recorder.root / "etc/ecotf/trusted"
    for name in ("one", "two"):
        (trusted / f"{name}.pub").write_text(key)
    assert recorder.run("init")[0] == 0
    keys = recorder.run("keys")[1]
    assert [line.get("key") for line in keys] == ["one", "two", None] and keys[-1]["required"] is True
    assert keys[0]["fingerprint"].startswith("SHA256:")
    assert recorder.run("keys", "--remove", "one")[0] == 0
    assert recorder.run("keys", "--remove", "two")[1][-1]["detail"].startswith("two is the only trusted key")
    shutil.rmtree(trusted)
    status, end = recorder.flash(make_bundle())
    assert status == 1 and "only signed bundles are accepted" in end["detail"]


def _on_card(recorder, bundle: Path) -> Path:
    folder = recorder.root / "boot/firmware/ecotf/inbox" / bundle.name
    shutil.copytree(bundle, folder)
    return folder


def test_an_unproved_bundle_on_a_card_prunes_nothing(make_recorder, make_bundle):
    recorder = make_recorder(keep=3)
    older = make_bundle("good 1")
    recorder.install(make_bundle("good 2"))
    shutil.copytree(older, recorder.releases / older.name)
    lie = _on_card(recorder, make_bundle("good 3"))
    said = json.loads((lie / "bundle.json").read_text())
    said["files"]["model.tflite"]["bytes"] = 1 << 29
    (lie / "bundle.json").write_text(json.dumps(said))
    huge = _on_card(recorder, make_bundle("good 4"))
    os.truncate(huge / "model.tflite", 0)
    said = json.loads((huge / "bundle.json").read_text())
    said["files"]["model.tflite"]["bytes"] = 1 << 60
    (huge / "bundle.json").write_text(json.dumps(said))
    status, lines = recorder.run("inbox")
    assert status == 1
    said = " ".join(line.get("detail", "") for line in lines)
    assert "bytes instead of" in said and "more than 100 files or 1024 MB" in said
    assert (recorder.releases / older.name).is_dir()


def test_links_and_huge_signatures_on_a_card_are_not_read(recorder, make_bundle, tmp_path):
    linked = _on_card(recorder, make_bundle("good 1"))
    (tmp_path / "shadow").write_bytes((linked / "model.tflite").read_bytes())
    (linked / "model.tflite").unlink()
    (linked / "model.tflite").symlink_to(tmp_path / "shadow")
    (linked / "result.txt").symlink_to(tmp_path / "overwritten")
    signed = _on_card(recorder, make_bundle("good 2"))
    with (signed / "bundle.json.sig").open("wb") as file:
        file.truncate(2 << 30)
    (linked.parent / "elsewhere").symlink_to(tmp_path / "bundles")
    status, lines = recorder.run("inbox")
    said = " ".join(line.get("detail", "") for line in lines)
    assert status == 1 and "a link or a folder where a file should be" in said
    assert "bundle.json.sig: larger than 1024 bytes" in said and "elsewhere" not in said
    assert not (tmp_path / "overwritten").exists()
