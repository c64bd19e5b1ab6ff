"""The trial of ``--target tflm``, ``python -m ecotf.export.tflm_trial FOLDER``: a network as a microcontroller runs it.

It reads ``network.tflite`` and ``patches.npy`` and writes ``outputs.npz``; what tflite-micro says of its memory goes to
the error output, where only it can write it.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np

_ARENA = 16 << 20  # far more than a microcontroller has; how much of it was used is said afterwards


def main(folder: Path) -> None:
    """Run the network on each patch."""
    runtime = importlib.import_module("tflite_micro").runtime  # it ships no types
    content = (folder / "network.tflite").read_bytes()
    patches = np.load(folder / "patches.npy")
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=_ARENA)
    n_outputs = int(np.load(folder / "n_outputs.npy"))
    outputs: list[list[np.ndarray]] = [[] for _ in range(n_outputs)]
    for patch in patches:
        interpreter.set_input(patch[None], 0)
        interpreter.invoke()
        for index in range(n_outputs):
            outputs[index].append(interpreter.get_output(index).copy())
    interpreter.print_allocations()
    np.savez(folder / "outputs.npz", *[np.concatenate(values) for values in outputs])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
