"""Running the converter in a process of its own, and refusing what it should not have made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.errors import ConfigError
from ecotf.export.convert.flatbuffer import (
    elements_of,
    is_constant,
    operator_name,
    read_model,
)
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.stage import ExportPlan, Precision, Stage

# Operators that read weights from somewhere outside of the file.
_OUTSIDE = ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE", "HASHTABLE")


def convert_run(
    run: Path, plan: ExportPlan, settings: ExportSettings, folder: Path, examples: Mapping[str, np.ndarray] | None
) -> dict[str, bytes]:
    """Convert every stage of a run's plan; returns each one's flatbuffer.

    Parameters
    ----------
    folder
        An existing, empty folder for what passes between the processes.
    examples
        Of the quantised stages' inputs, to calibrate int8 with.

    Raises
    ------
    ConfigError
        The converter refused a stage or died of it, or what it made cannot run on a device.
    """
    calibration = None
    if examples is not None:
        calibration = folder / "calibration.npz"
        np.savez(calibration, **examples)
    request = folder / "request.json"
    values = {
        "run": str(run.resolve()),
        "settings": settings.model_dump(),
        "calibration": None if calibration is None else str(calibration),
        "folder": str(folder),
    }
    request.write_text(json.dumps(values), encoding="utf-8")
    run_module("ecotf.export.convert.convert", request)
    converted = {stage.name: (folder / f"{stage.name}.tflite").read_bytes() for stage in plan.stages}
    for stage in plan.stages:
        check_stage(converted[stage.name], stage)
    return converted


def run_module(module: str, request: Path) -> None:
    """Run ``python -m module request``; a failure becomes one line, with what the process said last."""
    command = [sys.executable, "-m", module, str(request)]
    root = Path(__file__).parents[3]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment(root))
    if result.returncode:
        stage = (result.stdout.strip().splitlines() or ["start"])[-1]
        raise ConfigError(_explain(stage, result.returncode, result.stderr))


def _environment(root: Path) -> dict[str, str]:
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "TF_CPP_MIN_LOG_LEVEL": "3"}


def _explain(stage: str, status: int, said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    flex = next((line for line in lines if "TF Select ops" in line or "Flex ops" in line), "")
    last = flex or next((line for line in reversed(lines) if "rror" in line), lines[-1] if lines else "")
    if status < 0:
        return f"stage {stage}: the converter died with signal {-status} ({last.strip()[:200]})"
    return f"stage {stage}: cannot be converted ({last.strip()[:300]})"


def check_stage(content: bytes, stage: Stage) -> None:
    """Refuse a flatbuffer with operators that no device has, or without all of its stage's weights.

    Raises
    ------
    ConfigError
        Names the operators, or what is missing.
    """
    model = read_model(content, f"stage {stage.name}")
    names = [operator_name(code) for code in model.operatorCodes]
    flex = sorted(name for name in names if name.startswith("custom:"))
    if flex:
        raise ConfigError(
            f"stage {stage.name} needs {', '.join(name.removeprefix('custom:') for name in flex)}, which only "
            "TensorFlow itself has (Flex); a device runs built-in operators alone"
        )
    outside = sorted(set(names).intersection(_OUTSIDE))
    if outside:
        raise ConfigError(f"stage {stage.name} reads its weights from outside of the file ({', '.join(outside)})")
    _require_weights(model, stage)


def _require_weights(model: Any, stage: Stage) -> None:
    """Each kernel of the Keras models has a constant of as many numbers in the file."""
    constants = [
        elements_of(tensor) for graph in model.subgraphs for tensor in graph.tensors if is_constant(model, tensor)
    ]
    for keras_model in stage.models:
        for weight in keras_model.trainable_weights:
            size = int(np.prod(weight.shape))
            if len(weight.shape) < 2 or weight.path.endswith("/bias"):
                continue  # biases and scales are folded into their neighbours
            if size not in constants:
                raise ConfigError(
                    f"stage {stage.name}: the weights {weight.path} ({size} numbers) are not in the converted file"
                )
            constants.remove(size)


def refuse_recurrent(stages: Sequence[Stage], precision: Precision) -> None:
    """Refuse rolled recurrent layers at int8: the converter dies of them.

    Raises
    ------
    ConfigError
        Says what to do instead.
    """
    if precision != "int8":
        return
    for stage in stages:
        for name in _rolled(stage.models):
            raise ConfigError(
                f"--precision int8: the recurrent layer {name!r} cannot be quantised while it is a loop; build the "
                "network with unroll=True (up to some 60 steps), or export with --precision f16"
            )


def _rolled(models: Sequence[Any]) -> list[str]:
    import keras

    layers = [layer for model in models for layer in model._flatten_layers()]
    return [layer.name for layer in layers if isinstance(layer, keras.layers.RNN) and not layer.unroll]
