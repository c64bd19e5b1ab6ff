"""Compiling what was written, running it on this computer, and holding it against the runtime and XGBoost."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecotf.errors import ConfigError
from ecotf.export.c99.source import Source
from ecotf.export.prove.parity import reference_margins
from ecotf.export.prove.runtime import open_interpreter
from ecotf.models.heads.trees import Trees

FLAGS = ("-std=c99", "-O2")
CROSS = "arm-none-eabi-gcc"


@dataclass(frozen=True)
class Given:
    """The outputs of the C code: float32 ``[n, answers]``, ``[n, margins]`` and ``[n, scores]``."""

    answers: NDArray[np.float32]
    margins: NDArray[np.float32]
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class Comparison:
    """The differences between the C code and the reference.

    Attributes
    ----------
    steps
        The greatest difference of an answer of the network, in steps of int8.
    exact_answers, exact_margins
        Shares that are equal to the bit.
    scores
        The greatest difference of a score.
    """

    patches: int
    steps: float
    exact_answers: float
    exact_margins: float | None
    scores: float


def compiler() -> str:
    """Find the C compiler of this computer; ConfigError where there is none."""
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        if name and shutil.which(name):
            return name
    raise ConfigError(
        "--target c tries what it writes before it keeps it, and there is no C compiler here; install gcc or clang"
    )


def program(name: str) -> str:
    """Read a C program that comes with ecotf."""
    return (resources.files("ecotf") / "export" / "c99" / "programs" / f"{name}.c").read_text(encoding="utf-8")


def write_vectors(folder: Path, patches: NDArray[np.float32], measures: NDArray[np.float32] | None) -> None:
    """Write ``vectors.bin`` and the program that reads it."""
    rows = patches.reshape(len(patches), -1)
    rows = rows if measures is None else np.hstack([rows, measures])
    (folder / "vectors.bin").write_bytes(np.ascontiguousarray(rows, np.float32).tobytes())
    (folder / "check.c").write_text(program("check"), encoding="utf-8")


def read_answers(folder: Path, source: Source) -> Given:
    """Read ``answers.bin``."""
    answers = sum(size for _, size, _ in source.answers)
    width = answers + source.n_margins + source.n_scores
    rows = np.fromfile(folder / "answers.bin", np.float32).reshape(-1, width)
    return Given(*np.split(rows, [answers, answers + source.n_margins], axis=1))


def run_here(folder: Path, source: Source, patches: NDArray[np.float32], measures: NDArray[np.float32] | None) -> Given:
    """Compile ``model.c`` in ``folder`` and run it.

    Raises
    ------
    ConfigError
        The compiler refuses it, or it ends badly.
    """
    write_vectors(folder, patches, measures)
    _run([compiler(), *FLAGS, "check.c", "model.c", "-lm", "-o", "check"], folder)
    _run([str(folder / "check")], folder)
    return read_answers(folder, source)


def reference_answers(network: Path, source: Source, patches: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the same answers with tflite-runtime's reference kernels."""
    from tflite_runtime.interpreter import OpResolverType

    interpreter = open_interpreter(network, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    runner = interpreter.get_signature_runner()
    rows = []
    for patch in patches:
        given = runner(patch=patch[None])
        rows.append(np.concatenate([given[name].ravel() for name, _, _ in source.answers]))
    return np.array(rows, np.float32)


def compared(
    given: Given,
    expected: NDArray[np.float32],
    source: Source,
    trees: Trees | None,
    measures: NDArray[np.float32] | None,
) -> Comparison:
    """Hold answers against the runtime's, and margins and scores against XGBoost's for those answers."""
    resolution = np.concatenate([np.full(size, step) for _, size, step in source.answers])
    steps = np.abs(given.answers - expected) / resolution
    exact, scores = None, np.abs(given.scores - given.answers[:, : source.n_scores]).max() if trees is None else 0.0
    if trees is not None:
        seen = given.answers if measures is None else np.hstack([given.answers, measures])
        scores = np.abs(given.scores - trees.predict(seen)).max()
        if source.n_margins:
            exact = float((given.margins == reference_margins(trees, seen)).mean())
    return Comparison(len(expected), float(steps.max()), float((steps == 0).mean()), exact, float(scores))


def require_equal(found: Comparison) -> None:
    """Refuse a translation that is further than a rounding from its model; ConfigError."""
    if not found.steps <= 1.01:
        raise ConfigError(f"nothing is written: the C code is {found.steps:.0f} steps of int8 from tflite-runtime")
    if found.exact_margins not in (None, 1.0):
        raise ConfigError(f"nothing is written: {100 * found.exact_margins:.2f} % of the trees' margins are XGBoost's")
    if not found.scores <= 1e-6:
        raise ConfigError(f"nothing is written: a score of the C code is {found.scores:.1e} from what it should be")


def code_bytes(folder: Path, core: str = "cortex-m4") -> int | None:
    """Measure the bytes of ``model.c`` on a microcontroller, without its constants; None without a compiler for it."""
    if not shutil.which(CROSS):
        return None
    try:
        _run([CROSS, f"-mcpu={core}", "-mthumb", "-std=c99", "-O2", "-c", "model.c", "-o", "model_arm.o"], folder)
        said = _run([CROSS.replace("gcc", "size"), "-A", "model_arm.o"], folder)
    except ConfigError:
        return None
    return sum(int(size) for size in re.findall(r"^\.text\S*\s+(\d+)", said, re.MULTILINE))


def _run(command: list[str], folder: Path) -> str:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        said = " ".join((result.stderr or result.stdout).split())[:300]
        raise ConfigError(
            f"the C code does not run here: {Path(command[0]).name} ended with {result.returncode} ({said})"
        )
    return result.stdout
