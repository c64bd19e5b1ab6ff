"""The one door to the TFLite runtime: tflite-runtime, or its successor ai-edge-litert, whichever is installed."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from ecotf_recorder.errors import ModelError

_RUNTIMES = ("tflite_runtime.interpreter", "ai_edge_litert.interpreter")


def open_interpreter(path: Path, threads: int = 1) -> tuple[Any, str]:
    """Load a flatbuffer; returns the interpreter and the name of its runtime.

    Raises
    ------
    ModelError
        There is no runtime, or the runtime refuses the file; its own words are passed on.
    """
    for name in _RUNTIMES:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        try:
            interpreter = module.Interpreter(model_path=str(path), num_threads=threads)
            # Signatures alone never ask for XNNPACK, with which a network runs some seven times faster; this does.
            interpreter.allocate_tensors()
            return interpreter, name.partition(".")[0]
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{path}: the runtime refuses it: {' '.join(str(error).split())}") from None
    raise ModelError("no TFLite runtime is installed; run: pip install tflite-runtime (or ai-edge-litert)")
