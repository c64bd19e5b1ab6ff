"""``--target tflm``: the int8 network alone, tried with tflite-micro's own interpreter. Experimental."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecotf.errors import ConfigError
from ecotf.export.c99.network import read_network
from ecotf.export.prove.runtime import open_interpreter

NETWORK_NAME = "network.tflite"
_MOST_STEPS = 1.01  # of int8: what the roundings of two runtimes may differ by
_PATIENCE_S = 300


@dataclass(frozen=True)
class TflmTrial:
    """What tflite-micro made of a network.

    Attributes
    ----------
    arena_bytes
        Of memory, as tflite-micro counts it.
    steps
        The greatest difference from tflite-runtime's reference kernels, in steps of int8.
    """

    patches: int
    arena_bytes: int
    steps: float
    exact: float


def require_tflm() -> None:
    """Refuse where tflite-micro is not installed; ConfigError."""
    if importlib.util.find_spec("tflite_micro") is None:
        raise ConfigError(
            "--target tflm is tried with tflite-micro's interpreter, which is not installed: pip install tflite-micro "
            "(64-bit Linux on x86), or export with --target c, which needs no runtime"
        )


def try_tflm(network: bytes, patches: NDArray[np.float32], folder: Path) -> TflmTrial:
    """Run a network, as `network_file` cuts it out, in both runtimes.

    Parameters
    ----------
    folder
        An existing folder for what passes between the processes.

    Raises
    ------
    ConfigError
        tflite-micro is not there, does not take the network, or gives other answers.
    """
    from tflite_runtime.interpreter import OpResolverType

    require_tflm()
    read = read_network(network, "network")
    (folder / NETWORK_NAME).write_bytes(network)
    np.save(folder / "patches.npy", patches)
    np.save(folder / "n_outputs.npy", len(read.outputs))
    arena = _run(folder)
    interpreter = open_interpreter(folder / NETWORK_NAME, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    runner = interpreter.get_signature_runner()
    expected = [runner(patch=patch[None]) for patch in patches]
    steps = []
    with np.load(folder / "outputs.npz") as outputs:
        for output, name in zip(read.outputs, outputs.files, strict=True):
            made = next(step.inputs[0] for step in read.steps if output in step.outputs)
            assert made is not None
            wanted = np.concatenate([given[output.name] for given in expected])
            steps.append(np.abs(outputs[name] - wanted).ravel() / made.scale)
    found = np.concatenate(steps)
    if not found.max() <= _MOST_STEPS:
        raise ConfigError(f"tflite-micro's answers are {found.max():.0f} steps of int8 from tflite-runtime's")
    return TflmTrial(len(patches), arena, float(found.max()), float((found == 0).mean()))


def _run(folder: Path) -> int:
    """Run the trial; returns the bytes of memory that it took."""
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])}
    command = [sys.executable, "-m", "ecotf.export.tflm_trial", str(folder)]
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, timeout=_PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(f"tflite-micro did not end within {_PATIENCE_S} s") from None
    said = result.stderr
    if result.returncode:
        lines = [line for line in said.splitlines() if line.strip() and not line.startswith(("Traceback", "  "))]
        raise ConfigError(f"tflite-micro does not run the network: {' '.join(lines[:1] + lines[-1:])[:300]}")
    total = re.search(r"Arena allocation total (\d+) bytes", said)
    if total is None:
        raise ConfigError("tflite-micro did not say what memory it takes; this version is not known")
    return int(total[1])
