"""The converter: stages to flatbuffers, in a process of its own, and what it should not have made is refused.

TensorFlow's converter ends the whole process when it meets what it does not know. So the stages are written as
SavedModels here, and ``python -m ecotf.export.convert.converter REQUEST.json`` converts them; it knows nothing of runs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.errors import ConfigError
from ecotf.export.convert.flatbuffer import elements_of, is_constant, operator_name, read_model
from ecotf.export.module_process import run_module
from ecotf.export.stages.stage import Precision, Stage
from ecotf.quiet import load_keras_alone

# Operators that read weights from somewhere outside of the file.
_OUTSIDE = ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE", "HASHTABLE")


def convert_stages(
    stages: Sequence[Stage], precision: Precision, folder: Path, examples: Mapping[str, np.ndarray] | None = None
) -> dict[str, bytes]:
    """Convert stages in a process of its own; returns each one's flatbuffer by its name.

    Parameters
    ----------
    folder
        An existing, empty folder for what passes between the processes.
    examples
        Of the quantised stages' inputs, ``[n, ...]`` each, to calibrate int8 with.

    Raises
    ------
    ConfigError
        The converter refused a stage or died of it, or what it made cannot run on a device.
    """
    requests = []
    made = {stage.name: stage.made for stage in stages if stage.made is not None}
    for stage in (stage for stage in stages if stage.made is None):
        save_stage(stage, folder / stage.name)
        given = None
        if examples is not None and stage.quantised:
            given = str(folder / f"{stage.name}.npz")
            np.savez(given, **{name: examples[name] for name in stage.inputs})
        requests.append({"name": stage.name, "precision": precision if stage.quantised else "f32", "examples": given})
    request = folder / "request.json"
    request.write_text(json.dumps({"folder": str(folder), "stages": requests}), encoding="utf-8")
    run_module("ecotf.export.convert.converter", request, "converter")
    converted = {stage.name: made.get(stage.name) or (folder / f"{stage.name}.tflite").read_bytes() for stage in stages}
    for stage in stages:
        check_stage(converted[stage.name], stage)
    return converted


def save_stage(stage: Stage, folder: Path) -> None:
    """Write a stage, with batches of 1, as a SavedModel."""
    import tensorflow as tf

    inputs = [tf.TensorSpec(kind.shape, kind.dtype, name=name) for name, kind in stage.inputs.items()]
    # Nothing in a stage is for AutoGraph to rewrite, and that would take seconds.
    serve = tf.function(stage.function, input_signature=inputs, autograph=False).get_concrete_function()
    saved = tf.Module()
    saved.used, saved.resources = list(serve.variables), list(stage.resources)
    tf.saved_model.save(saved, str(folder), signatures={"serving_default": serve})


def convert_saved(folder: Path, precision: Precision, examples: Mapping[str, np.ndarray] | None = None) -> bytes:
    """Convert a SavedModel that `save_stage` wrote; ``examples`` are needed for int8."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if precision != "f32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "f16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        assert examples is not None
        converter.representative_dataset = lambda: _one_by_one(examples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return bytes(converter.convert())


def _one_by_one(examples: Mapping[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    for index in range(len(next(iter(examples.values())))):
        yield {name: values[index : index + 1] for name, values in examples.items()}


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
    """Require that each kernel of the Keras models has a constant of as many numbers in the file."""
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
    """Name the recurrent layers that are loops; those of a layer that lets everything through are not in the graph."""
    import keras

    layers = [layer for model in models for layer in model._flatten_layers()]
    idle = [inner for layer in layers if getattr(layer, "lets_through", False) for inner in layer._flatten_layers()]
    loops = [layer for layer in layers if isinstance(layer, keras.layers.RNN) and not layer.unroll]
    return [layer.name for layer in loops if not any(layer is inner for inner in idle)]


def main(request_path: Path) -> None:
    """Convert what the request names; one flatbuffer for each stage."""
    request = json.loads(request_path.read_text(encoding="utf-8"))
    folder = Path(request["folder"])
    load_keras_alone()
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    for stage in request["stages"]:
        # The last of these lines says what the converter died of.
        print(stage["name"], flush=True)
        examples = None
        if stage["examples"] is not None:
            with np.load(stage["examples"]) as arrays:
                examples = {name: arrays[name] for name in arrays.files}
        content = convert_saved(folder / stage["name"], stage["precision"], examples)
        (folder / f"{stage['name']}.tflite").write_bytes(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
