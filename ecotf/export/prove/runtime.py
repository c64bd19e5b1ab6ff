"""The runtime that devices have."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def open_interpreter(model: str | Path, **options: Any) -> Any:
    """Open a tflite-runtime interpreter with one thread and its tensors allocated."""
    from tflite_runtime.interpreter import Interpreter

    interpreter = Interpreter(str(model), num_threads=1, **options)
    # The runtime gives its fast kernels to all signatures here, and to none that is run without it.
    interpreter.allocate_tensors()
    return interpreter
