"""Trying a file in a process that has a TFLite runtime and no TensorFlow (`ecotf.export.prove.trial`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.errors import ConfigError
from ecotf.export.convert.converter import run_module
from ecotf.export.convert.flatbuffer import model_bytes, name_of, read_model, tensor_map
from ecotf.export.prove.examples import Examples, samples_for
from ecotf.export.prove.recordings import Heard
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.stage import DEFAULT

if TYPE_CHECKING:
    import pandas as pd

_BETWEEN = ("embedding", "answers", "margins", "scores", "image")
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
    run_values: Mapping[str, Any],
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
    run_values
        What the trial has to know of the run.
    values
        What ``model.json`` will say.
    folder
        An existing folder for what passes between the processes.

    Raises
    ------
    ConfigError
        The runtime does not load the file; or TensorFlow was in the process, so that the trial proves nothing.
    """

    import pandas as pd

    model = folder / "model.tflite"
    model.write_bytes(flatbuffer)
    arrays = {name: array for name, array in examples.inputs.items() if name.partition(".")[0] in values["signatures"]}
    if values["kind"] == "peaks":
        arrays |= {f"recording.{number}": samples_for(settings, sound) for number, sound in enumerate(heard.sounds)}
    np.savez(folder / "inputs.npz", **arrays)
    request = {
        "model": str(model),
        "folder": str(folder),
        "inputs": str(folder / "inputs.npz"),
        "values": dict(values),
        **run_values,
        "recordings": [sound.name for sound in heard.sounds],
        "intermediate": _intermediate(flatbuffer, examples, folder),
    }
    (folder / "trial_request.json").write_text(json.dumps(request), encoding="utf-8")
    run_module("ecotf.export.prove.trial", folder / "trial_request.json")
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
    run_module("ecotf.export.prove.trial", folder / "load_request.json")
    _facts(folder)


def _facts(folder: Path) -> dict[str, Any]:
    facts = json.loads((folder / "trial.json").read_text(encoding="utf-8"))
    if "refused" in facts:
        raise ConfigError(f"the exported file does not load in tflite-runtime: {_one_line(facts['refused'])}")
    if facts["loaded"]:
        raise ConfigError(f"the trial had {', '.join(facts['loaded'])} loaded; it proves nothing about a device")
    return dict(facts)


def _intermediate(flatbuffer: bytes, examples: Examples, folder: Path) -> dict[str, Any]:
    """A copy of the file whose signature also gives what passes between stages, which the runtime else overwrites."""
    model = read_model(flatbuffer, "model")
    signatures = {entry.signatureKey.decode(): entry for entry in model.signatureDefs}
    name = "score" if "score" in signatures else DEFAULT
    graph = model.subgraphs[signatures[name].subgraphIndex]
    places = {name_of(tensor): index for index, tensor in enumerate(graph.tensors)}
    names = [between for between in _BETWEEN if between in places]
    there = {end.name.decode() for end in signatures[name].outputs}
    for between in names:
        if between not in there:
            graph.outputs = [*graph.outputs, places[between]]
            signatures[name].outputs.append(tensor_map(between, places[between]))
    (folder / "between.tflite").write_bytes(model_bytes(model))
    first = next(array for key, array in examples.inputs.items() if key.startswith(f"{name}."))
    n = min(_BETWEEN_WINDOWS, len(first))
    return {"model": str(folder / "between.tflite"), "signature": name, "n": n, "tensors": names}


def _one_line(message: str) -> str:
    return " ".join(message.split())[:300]
