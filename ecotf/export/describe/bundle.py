"""The bundle: the folder that is flashed, a model file and what must be true of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ecotf.errors import ConfigError
from ecotf.export.describe.container import json_text
from ecotf.files import atomic_folder

MODEL_NAME = "model.tflite"
RUNTIME = "tflite-runtime>=2.14"
MACHINES = ["aarch64", "x86_64"]  # for which there is a runtime


def refuse_foreign(output: Path) -> None:
    """Refuse a place where something else than an earlier export is; raises `ConfigError`."""
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    exported = (("bundle.json", MODEL_NAME), ("model.h", "REPORT.txt"))
    if not any(all((output / name).is_file() for name in names) for names in exported):
        raise ConfigError(f"--output {output}: is there already and no earlier export; name a new folder")


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of files, whole or not at all."""
    with atomic_folder(folder) as partial:
        for name, content in files.items():
            (partial / name).write_bytes(content)


def write_bundle(folder: Path, model: bytes, values: dict[str, Any], beside: Mapping[str, bytes]) -> None:
    """Write the bundle ``folder``; ``values`` is the model's ``model.json``, ``beside`` is what is not flashed."""
    digest = hashlib.sha256(model).hexdigest()
    bundle = {
        "format": 1,
        "id": digest[:12],
        "name": values["name"],
        "created": values["created"],
        "sample_rate_hz": values["sample_rate_hz"],
        "files": {MODEL_NAME: {"sha256": digest, "bytes": len(model)}},
        "fits": {"machines": MACHINES, "memory_mb": round(values["cost"]["memory_mb"], 1)},
        "needs": {"runtime": RUNTIME, "operators": values["operators"]},
    }
    write_files(folder, {MODEL_NAME: model, "bundle.json": json_text(bundle).encode(), **beside})
