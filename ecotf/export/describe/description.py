"""``model.json`` and the other members of a model file's zip."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ecotf
from ecotf.errors import ConfigError
from ecotf.export.convert.calibration import Calibration
from ecotf.export.describe.costs import operators, signature_costs
from ecotf.export.exportable import Exportable
from ecotf.export.prove.examples import Examples
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.birdnet_go import label_text
from ecotf.export.stages.stage import ExportPlan
from ecotf.runs.checksum import run_checksum
from ecotf.runs.names import check_name

FORMAT = 2
"""Of ``model.json``; another one where a recorder could misread it."""
# What the recorder needs besides the model: Python, numpy and the runtime. Measured in the emulated board, 48 MB with a
# model of 0.5 MB.
_RECORDER_MB = 47.0
NO_LICENCE = "No licence was stated when this model was exported. Ask whoever trained it before you pass it on.\n"


@dataclass(frozen=True)
class Subject:
    """The run that is exported, the settings and the plan."""

    run: Exportable
    settings: ExportSettings
    plan: ExportPlan


def require_name(name: str) -> None:
    """Require that a run's name is plain: it goes into files, source code and terminals; raises `ConfigError`."""
    try:
        check_name(name)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def describe(subject: Subject, flatbuffer: bytes, calibration: Calibration | None) -> dict[str, Any]:
    """Make ``model.json`` without the results of a rehearsal (`with_rehearsal`), licence and target."""
    run, settings, plan = subject.run, subject.settings, subject.plan
    return {
        "format": FORMAT,
        "name": run.name,
        "run": run.path.resolve().name,
        "run_checksum": run_checksum(run.path),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "ecotf": ecotf.__version__,
        "precision": settings.precision,
        "profile": settings.profile,
        "sample_rate_hz": settings.rate,
        "input": settings.sound,
        **run.facts(),
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


def with_rehearsal(
    values: Mapping[str, Any], flatbuffer: bytes, examples: Examples, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Add what the rehearsal measured, and what a second of sound costs."""
    costs = signature_costs(flatbuffer, "model")
    each_second = sum(costs[name].instructions * times for name, times in examples.each_second.items())
    return {
        **values,
        "cost": {
            "million_instructions_per_s": each_second / 1e6,
            "peaks_per_s": examples.peaks_per_s,
            "memory_mb": facts["memory_mb"] + _RECORDER_MB,
            "arena_bytes": {name: cost.arena_bytes for name, cost in costs.items()},
            "x86_ms": facts["ms"],
        },
        "runtime": facts["runtime"],
    }


def labels_of(values: Mapping[str, Any]) -> str:
    """Make the text of ``labels.txt``."""
    if values["profile"] == "birdnet-go":
        return label_text(values["species"])
    return "".join(f"{name}\n" for name in values["species"])


def licence_of(text: str | None) -> str:
    """Read the licence note, from the text itself or from the file that it names.

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
