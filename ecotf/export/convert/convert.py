"""The converter's process: ``python -m ecotf.export.convert.convert REQUEST.json`` makes flatbuffers of stages.

TensorFlow's converter ends the whole process when it meets what it does not know, so it has one of its own.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.export.settings import ExportSettings
from ecotf.export.stages.stage import Precision, Stage


def convert_stage(stage: Stage, precision: Precision, patches: dict[str, np.ndarray] | None = None) -> bytes:
    """Convert one stage, with batches of 1.

    Parameters
    ----------
    patches
        Examples of the stage's inputs, ``[n, ...]`` each, that int8 is calibrated with.
    """
    import keras
    import tensorflow as tf

    archive = keras.export.ExportArchive()
    for model in stage.models:
        archive.track(model)
    inputs = [tf.TensorSpec(kind.shape, kind.dtype, name=name) for name, kind in stage.inputs.items()]
    archive.add_endpoint("serving_default", stage.function, input_signature=inputs)
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if stage.quantised and precision != "f32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if stage.quantised and precision == "f16":
            converter.target_spec.supported_types = [tf.float16]
        if stage.quantised and precision == "int8":
            assert patches is not None
            converter.representative_dataset = lambda: _examples(stage, patches)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        return bytes(converter.convert())


def _examples(stage: Stage, patches: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    for index in range(len(next(iter(patches.values())))):
        yield {name: patches[name][index : index + 1] for name in stage.inputs}


def main(request_path: Path) -> None:
    """Convert what the request names; one flatbuffer for each stage."""
    request = json.loads(request_path.read_text(encoding="utf-8"))
    settings = ExportSettings(**request["settings"])

    import tensorflow as tf

    from ecotf.export.plans import make_plan
    from ecotf.tasks.calls.export import kind_of, load_exportable

    tf.config.set_visible_devices([], "GPU")
    folder = Path(request["folder"])
    run = load_exportable(request["run"])
    examples = None
    if request["calibration"] is not None:
        with np.load(request["calibration"]) as arrays:
            examples = {name: arrays[name] for name in arrays.files}
    for stage in make_plan(kind_of(run).model, run.recipe, settings).stages:
        # The last of these lines says what the converter died of.
        print(stage.name, flush=True)
        (folder / f"{stage.name}.tflite").write_bytes(convert_stage(stage, settings.precision, examples))


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main(Path(sys.argv[1]))
