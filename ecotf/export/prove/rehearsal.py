"""Trying a model file in a process that has a TFLite runtime and no TensorFlow (`ecotf.export.prove.on_device`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecotf.errors import ConfigError
from ecotf.export.convert.flatbuffer import model_bytes, name_of, read_model, tensor_map
from ecotf.export.module_process import run_module
from ecotf.export.prove.examples import Examples, samples_for
from ecotf.export.prove.recordings import Heard
from ecotf.export.stages.stage import DEFAULT

_BETWEEN = ("embedding", "embeddings", "answers", "margins", "scores", "image")
_MOST_BETWEEN = 96


@dataclass(frozen=True)
class Rehearsal:
    """The result of a rehearsal.

    Attributes
    ----------
    facts
        ``runtime``, ``ms`` of each signature on this machine with one thread, ``memory_mb``.
    outputs
        Of the signatures, by ``signature.name``, and ``between.name`` for what passes between stages.
    candidates
        What the file finds in the whole sounds, with a column ``recording``; None where nothing is searched for.
    """

    facts: dict[str, Any]
    outputs: dict[str, np.ndarray]
    candidates: pd.DataFrame | None


def try_file(flatbuffer: bytes, values: Mapping[str, Any], heard: Heard, examples: Examples, folder: Path) -> Rehearsal:
    """Run a file on examples and, where the run searches for calls, on whole sounds.

    Parameters
    ----------
    values
        What ``model.json`` will say.
    folder
        An existing folder for what passes between the processes.

    Raises
    ------
    ConfigError
        The runtime does not load the file; or TensorFlow was in the process, so that the rehearsal proves nothing.
    """
    (folder / "model.tflite").write_bytes(flatbuffer)
    arrays = {name: array for name, array in examples.inputs.items() if name.partition(".")[0] in values["signatures"]}
    if examples.detector is not None:
        sounds = {f"recording.{n}": samples_for(values["input"], sound) for n, sound in enumerate(heard.sounds)}
        arrays |= sounds
    np.savez(folder / "inputs.npz", **arrays)
    request = {
        "inputs": str(folder / "inputs.npz"),
        "values": dict(values),
        "detector": examples.detector,
        "recordings": [sound.name for sound in heard.sounds],
        "intermediate": _intermediate(flatbuffer, examples, folder),
    }
    facts = _run_device(folder / "model.tflite", folder, request)
    with np.load(folder / "rehearsal.npz") as given:
        outputs = {name: given[name] for name in given.files}
    table = folder / "candidates.parquet"
    return Rehearsal(facts, outputs, pd.read_parquet(table) if examples.detector is not None else None)


def check_loads(content: bytes, folder: Path) -> None:
    """Load the finished file, description and all, in the same way; ConfigError where the runtime refuses it."""
    (folder / "finished.tflite").write_bytes(content)
    _run_device(folder / "finished.tflite", folder, {"inputs": None})


def _run_device(model: Path, folder: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    path = folder / "rehearsal_request.json"
    path.write_text(json.dumps({"model": str(model), "folder": str(folder), **request}), encoding="utf-8")
    run_module("ecotf.export.prove.on_device", path, "rehearsal of the file")
    facts = json.loads((folder / "rehearsal.json").read_text(encoding="utf-8"))
    if "refused" in facts:
        refused = " ".join(facts["refused"].split())[:300]
        raise ConfigError(f"the exported file does not load in tflite-runtime: {refused}")
    if facts["loaded"]:
        raise ConfigError(f"the rehearsal had {', '.join(facts['loaded'])} loaded; it proves nothing about a device")
    return dict(facts)


def _intermediate(flatbuffer: bytes, examples: Examples, folder: Path) -> dict[str, Any]:
    """Copy the file so that its signature also gives the tensors between stages, which the runtime else overwrites."""
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
    n = min(_MOST_BETWEEN, len(first))
    return {"model": str(folder / "between.tflite"), "signature": name, "n": n, "tensors": names}
