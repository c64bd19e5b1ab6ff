"""Trying a file in a process that has a TFLite runtime and no TensorFlow (`ecotf.export.trial`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecotf.errors import ConfigError
from ecotf.export.converter import run_module
from ecotf.export.examples import Examples, samples_for
from ecotf.export.recordings import Heard
from ecotf.export.schema import name_of, read_model
from ecotf.export.settings import ExportSettings
from ecotf.export.stages import DEFAULT
from ecotf.inference.load import LoadedRun

_BETWEEN = ("embedding", "answers", "margins", "scores")
_BETWEEN_WINDOWS = 96


@dataclass(frozen=True)
class Trial:
    """What a trial gave.

    Attributes
    ----------
    facts
        ``runtime``, ``ms`` of each signature on this machine with one thread, ``memory_mb``.
    """

    facts: dict[str, Any]
    outputs: dict[str, np.ndarray]
    candidates: pd.DataFrame | None


def try_file(
    run: LoadedRun,
    flatbuffer: bytes,
    values: Mapping[str, Any],
    settings: ExportSettings,
    heard: Heard,
    examples: Examples,
    folder: Path,
) -> Trial:
    """Run a file on examples and on whole sounds.

    Parameters
    ----------
    folder
        An existing folder for what passes between the processes.

    Raises
    ------
    ConfigError
        The runtime does not load the file; or TensorFlow was in the process, so that the trial proves nothing.
    """
    model = folder / "model.tflite"
    model.write_bytes(flatbuffer)
    arrays = {name: array for name, array in examples.inputs.items() if name.partition(".")[0] in values["signatures"]}
    arrays |= {f"recording.{number}": samples_for(settings, sound) for number, sound in enumerate(heard.sounds)}
    np.savez(folder / "inputs.npz", **arrays)
    request = {
        "model": str(model),
        "folder": str(folder),
        "inputs": str(folder / "inputs.npz"),
        "values": dict(values),
        "front_end": run.recipe.front_end.model_dump(),
        "windows": run.recipe.windows.model_dump(),
        "recordings": [sound.name for sound in heard.sounds],
        "intermediate": _intermediate(flatbuffer, examples),
    }
    (folder / "trial_request.json").write_text(json.dumps(request), encoding="utf-8")
    run_module("ecotf.export.trial", folder / "trial_request.json")
    facts = _facts(folder)
    with np.load(folder / "trial.npz") as given:
        outputs = {name: given[name] for name in given.files}
    table = folder / "candidates.parquet"
    return Trial(facts, outputs, pd.read_parquet(table) if table.exists() else None)


def check_loads(content: bytes, folder: Path) -> None:
    """Load the finished file, description and all, in the same way; ConfigError where the runtime refuses it."""
    model = folder / "finished.tflite"
    model.write_bytes(content)
    request = {"model": str(model), "folder": str(folder), "inputs": None}
    (folder / "load_request.json").write_text(json.dumps(request), encoding="utf-8")
    run_module("ecotf.export.trial", folder / "load_request.json")
    _facts(folder)


def _facts(folder: Path) -> dict[str, Any]:
    facts = json.loads((folder / "trial.json").read_text(encoding="utf-8"))
    if "refused" in facts:
        raise ConfigError(f"the exported file does not load in tflite-runtime: {_one_line(facts['refused'])}")
    if facts["loaded"]:
        raise ConfigError(f"the trial had {', '.join(facts['loaded'])} loaded; it proves nothing about a device")
    return dict(facts)


def _intermediate(flatbuffer: bytes, examples: Examples) -> dict[str, Any]:
    """Where the tensors are that pass between stages."""
    model = read_model(flatbuffer, "model")
    subgraphs = {entry.signatureKey.decode(): entry.subgraphIndex for entry in model.signatureDefs}
    signature = "score" if "score" in subgraphs else DEFAULT
    tensors = model.subgraphs[subgraphs[signature]].tensors
    places = {name_of(tensor): index for index, tensor in enumerate(tensors)}
    first = next(array for name, array in examples.inputs.items() if name.startswith(f"{signature}."))
    return {
        "signature": signature,
        "subgraph": subgraphs[signature],
        "n": min(_BETWEEN_WINDOWS, len(first)),
        "tensors": {name: places[name] for name in _BETWEEN if name in places},
    }


def _one_line(message: str) -> str:
    return " ".join(message.split())[:300]
