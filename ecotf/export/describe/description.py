"""``model.json`` and the other members of a model file's zip."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ecotf
from ecotf.errors import ConfigError
from ecotf.export.convert.calibration import Calibration
from ecotf.export.describe.costs import operators, signature_costs
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.birdnet_go import label_text
from ecotf.export.stages.stage import DEFAULT, ExportPlan
from ecotf.tasks.calls.run import LoadedRun
from ecotf.tasks.clips.run import ClipRun

FORMAT = 1
# What the recorder needs besides the model: Python, numpy and the runtime. Measured in the emulated board, 48 MB with a
# model of 0.5 MB.
_RECORDER_MB = 47.0
NO_LICENCE = "No licence was stated when this model was exported. Ask whoever trained it before you pass it on.\n"


def run_checksum(folder: Path) -> str:
    """sha256 over what makes a run what it is: weights, trees, thresholds, labels, recipe."""
    digest = hashlib.sha256()
    files = [folder / name for name in ("thresholds.json", "labels.csv", "recipe.yaml")]
    files += sorted(path for path in (folder / "model").rglob("*") if path.is_file())
    for path in files:
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def describe(
    run: LoadedRun | ClipRun,
    run_facts: Mapping[str, Any],
    plan: ExportPlan,
    settings: ExportSettings,
    target: str,
    licence: str,
    flatbuffer: bytes,
    calibration: Calibration | None,
) -> dict[str, Any]:
    """``model.json`` without what a trial has to say (`with_trial`)."""
    return {
        "format": FORMAT,
        "name": run.recipe.name,
        "run": run.path.resolve().name,
        "run_checksum": run_checksum(run.path),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "ecotf": ecotf.__version__,
        "precision": settings.precision,
        "target": target,
        "profile": settings.profile,
        "licence": licence,
        "sample_rate_hz": settings.rate,
        "input": settings.sound,
        **run_facts,
        "kind": plan.kind,
        **plan.facts,
        "calibration": None
        if calibration is None
        else {"patches": len(calibration), "recordings": list(calibration.recordings)},
        "size_bytes": len(flatbuffer),
        "flatbuffer": {"bytes": len(flatbuffer), "sha256": hashlib.sha256(flatbuffer).hexdigest()},
        "signatures": {name: list(signature.outputs) for name, signature in plan.signatures.items()},
        "multiply_adds": {name: cost.multiply_adds for name, cost in signature_costs(flatbuffer, "model").items()},
        "operators": [[name, version] for name, version, _ in operators(flatbuffer, "model")],
    }


def with_trial(
    values: Mapping[str, Any], flatbuffer: bytes, plan: ExportPlan, facts: Mapping[str, Any], peaks_per_s: float
) -> dict[str, Any]:
    """Add what the trial measured, and what a second of sound costs."""
    costs = signature_costs(flatbuffer, "model")
    rate = values["sample_rate_hz"]
    if plan.kind == "peaks":
        front_end = values["front_end"]
        chunks = 1 / (front_end["chunk_frames"] * front_end["hop_s"])
        each_second = chunks * costs["spectrogram"].instructions + peaks_per_s * costs["score"].instructions
    else:
        sound = next(stage.inputs["sound"].shape[1] for stage in plan.stages if "sound" in stage.inputs)
        step = values["window"]["segment_samples"] if plan.kind == "clips" else sound
        each_second = costs[DEFAULT].instructions * rate / step
    return {
        **values,
        "cost": {
            "million_instructions_per_s": each_second / 1e6,
            "peaks_per_s": peaks_per_s if plan.kind == "peaks" else None,
            "memory_mb": facts["memory_mb"] + _RECORDER_MB,
            "arena_bytes": {name: cost.arena_bytes for name, cost in costs.items()},
            "x86_ms": facts["ms"],
        },
        "runtime": facts["runtime"],
    }


def labels_of(values: Mapping[str, Any]) -> str:
    """``labels.txt``."""
    if values["profile"] == "birdnet-go":
        return label_text(values["species"])
    return "".join(f"{name}\n" for name in values["species"])


def licence_of(text: str | None) -> str:
    """The licence note, from the text itself or from the file that it names.

    Raises
    ------
    ConfigError
        The file cannot be read.
    """
    if text is None:
        return NO_LICENCE
    if not text.endswith((".txt", ".md")):
        return f"{text}\n"
    try:
        return Path(text).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--licence {text}: cannot be read ({error})") from None
