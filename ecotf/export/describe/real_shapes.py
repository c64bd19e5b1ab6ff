"""The shapes that a model's tensors have when it runs: ``python -m ecotf.export.describe.real_shapes REQUEST.json``.

A file may leave shapes to be worked out by its own operators (BirdNET's does so for half of its tensors) and then
states 1 in their place, so what it costs cannot be read from it. It is run once, on silence, in a process of its own: a
file that somebody else made may end the process that runs it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ecotf.errors import ConfigError
from ecotf.export.module_process import run_module

_KNOWN: dict[str, dict[int, tuple[int, ...]] | None] = {}


def settle_shapes(model: Any, flatbuffer: bytes) -> bool:
    """Put the shapes of a run into a ``ModelT`` that leaves some open; return whether all are known now.

    Only the first graph is run: ecotf writes no others with open shapes.
    """
    if not any(_is_open(tensor) for tensor in model.subgraphs[0].tensors):
        return True
    shapes = _shapes_when_run(flatbuffer)
    if shapes is None:
        return False
    for number, tensor in enumerate(model.subgraphs[0].tensors):
        if number in shapes:
            tensor.shape = list(shapes[number])
    return True


def _is_open(tensor: Any) -> bool:
    signature = tensor.shapeSignature
    return signature is not None and len(signature) > 0 and min(signature) < 0


def _shapes_when_run(flatbuffer: bytes) -> dict[int, tuple[int, ...]] | None:
    """Return the shape of each tensor; None where the file does not run here."""
    digest = hashlib.blake2b(flatbuffer).hexdigest()
    if digest not in _KNOWN:
        with TemporaryDirectory(prefix="ecotf-shapes-") as name:
            folder = Path(name)
            (folder / "model.tflite").write_bytes(flatbuffer)
            request = folder / "request.json"
            request.write_text(json.dumps({"folder": str(folder)}), encoding="utf-8")
            try:
                run_module(__name__, request, "run that looks at shapes")
                _KNOWN[digest] = {
                    int(number): tuple(shape)
                    for number, shape in json.loads((folder / "shapes.json").read_text()).items()
                }
            except (ConfigError, OSError, ValueError):
                _KNOWN[digest] = None
    return _KNOWN[digest]


def main(request_path: Path) -> None:
    """Run the model on silence, and write down the shapes."""
    from tflite_runtime.interpreter import Interpreter

    folder = Path(json.loads(request_path.read_text(encoding="utf-8"))["folder"])
    interpreter = Interpreter(str(folder / "model.tflite"), experimental_preserve_all_tensors=True, num_threads=1)
    interpreter.allocate_tensors()
    for given in interpreter.get_input_details():
        interpreter.set_tensor(given["index"], np.zeros(given["shape"], given["dtype"]))
    interpreter.invoke()
    shapes = {
        details["index"]: [int(size) for size in details["shape"]] for details in interpreter.get_tensor_details()
    }
    (folder / "shapes.json").write_text(json.dumps(shapes), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
