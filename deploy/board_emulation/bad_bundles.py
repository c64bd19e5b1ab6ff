"""Bundles that are wrong in one thing each, made of a good one, with a manifest that fits what they hold."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def flipped(bundle: Path, folder: Path) -> Path:
    """One byte is another one, and the manifest is the old one."""
    shutil.copytree(bundle, folder)
    model = bytearray((folder / "model.tflite").read_bytes())
    model[len(model) // 2] ^= 1
    (folder / "model.tflite").write_bytes(model)
    return folder


def wrong_numbers(bundle: Path, folder: Path) -> Path:
    """A model that detects something else than its golden recording says: every threshold is higher."""

    def change(facts: dict[str, Any]) -> None:
        facts["thresholds"] = {label: 1 - (1 - level) / 100 for label, level in facts["thresholds"].items()}

    return _changed(bundle, folder, change)


def renamed(bundle: Path, folder: Path, name: str) -> Path:
    """A good bundle under another name, which makes it another release."""
    return _changed(bundle, folder, lambda facts: facts.update(name=name))


def _changed(bundle: Path, folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Rewrite the zip behind the model, and the manifest."""
    folder.mkdir(parents=True)
    source, target = bundle / "model.tflite", folder / "model.tflite"
    with zipfile.ZipFile(source) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
        begins = min(member.header_offset for member in opened.infolist())
    facts = json.loads(members["model.json"])
    change(facts)
    members["model.json"] = json.dumps(facts).encode()
    target.write_bytes(source.read_bytes()[:begins])
    with zipfile.ZipFile(target, "a") as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    sha256 = hashlib.sha256(target.read_bytes()).hexdigest()
    said = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    # Newer than what it is made of: older ones are refused before they are looked at.
    said |= {"id": sha256[:12], "name": facts["name"], "created": datetime.now(UTC).isoformat(timespec="seconds")}
    said["files"] = {"model.tflite": {"sha256": sha256, "bytes": target.stat().st_size}}
    (folder / "bundle.json").write_text(json.dumps(said), encoding="utf-8")
    return folder
