"""The files of ``--target c``: ``model.h``, ``model.c``, ``main_example.c``, ``REPORT.txt``."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.errors import ConfigError
from ecotf.export.c99.compiled import (
    code_bytes,
    compared,
    compiler,
    program,
    reference_answers,
    require_equal,
    run_here,
)
from ecotf.export.c99.constants import array
from ecotf.export.c99.header import header
from ecotf.export.c99.report import report
from ecotf.export.c99.source import c_source
from ecotf.export.convert.network_file import network_file
from ecotf.export.exportable import Exportable
from ecotf.export.prove.golden import SECONDS
from ecotf.export.prove.recordings import simulated
from ecotf.export.settings import ExportSettings

_PATCHES = 64


def require_c(run: Exportable, settings: ExportSettings, board: str | None) -> None:
    """Refuse, before any work, what a microcontroller cannot have.

    Raises
    ------
    ConfigError
        Says what to change.
    """
    run.network_part(settings)
    if settings.precision != "int8":
        raise ConfigError(f"--target c is int8 arithmetic, not {settings.precision}; add --precision int8")
    if settings.profile != "ecotf":
        raise ConfigError(f"--target c does not go with --profile {settings.profile}, which takes sound")
    if board is not None:
        raise ConfigError(f"--board {board}: not a microcontroller; what --target c needs is in its report")
    compiler()


def c_files(
    run: Exportable, model: bytes, values: Mapping[str, Any], parity: Mapping[str, Any], settings: ExportSettings
) -> dict[str, bytes]:
    """Translate the network of a model file and the trees of its run, and try that on patches of a simulated sound.

    Raises
    ------
    ConfigError
        Something in it has no form in C, or the C code does not compute what the model does.
    """
    part = run.network_part(settings)
    network = network_file(model, values["name"], part.outputs)
    source = c_source(network, part.trees, part.measured, f"{values['name']}, run {values['run']}")
    files = {"model.h": header(source, values, part.front_end), "model.c": source.text}
    patches, measures = _example_patches(run, settings)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "network.tflite").write_bytes(network)
        for file, text in files.items():
            (folder / file).write_text(text, encoding="utf-8")
        given = run_here(folder, source, patches, measures)
        expected = reference_answers(folder / "network.tflite", source, patches)
        found = compared(given, expected, source, part.trees, measures)
        require_equal(found)
        files["REPORT.txt"] = report(source, values, found, code_bytes(folder), parity)
    loudest = int(given.scores[:, 1:].max(axis=1).argmax())
    row = None if measures is None else measures[loudest]
    files["main_example.c"] = _example(patches[loudest], row, given.scores[loudest])
    return {name: text.encode() for name, text in files.items()}


def _example_patches(run: Exportable, settings: ExportSettings) -> tuple[np.ndarray, np.ndarray | None]:
    """Patches of a simulated sound, and the measures of their peaks where the trees look at them."""
    inputs = run.examples(settings, simulated(settings.rate, n=1, seconds=SECONDS, seed=7)).inputs
    patches, measures = inputs["score.patch"][:_PATCHES], inputs.get("score.measures")
    return patches, None if measures is None else measures[:_PATCHES]


def _example(patch: np.ndarray, measures: np.ndarray | None, scores: np.ndarray) -> str:
    arrays = {"patch": patch, "measures": measures, "expected": scores}
    text = "\n".join(
        array(f"static const float {name}", values) for name, values in arrays.items() if values is not None
    )
    whole = program("main_example").replace("@ARRAYS@", text)
    return whole.replace("@MEASURES@", "" if measures is None else ", measures")
