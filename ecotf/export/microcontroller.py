"""``--target c`` and ``--target tflm``: what is refused before any work, and the files that are written."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ecotf.errors import ConfigError
from ecotf.export.c99.compiled import compiler
from ecotf.export.c99.folder import c_files, example_windows
from ecotf.export.convert.network_file import network_file, network_outputs
from ecotf.export.settings import ExportSettings
from ecotf.export.tflm import NETWORK_NAME, require_tflm, try_tflm
from ecotf.tasks.calls.run import LoadedRun
from ecotf.tasks.clips.run import ClipRun

MICROCONTROLLERS = ("c", "tflm")


def require_target(target: str, run: LoadedRun | ClipRun, settings: ExportSettings, board: str | None) -> None:
    """Refuse settings that a microcontroller cannot have.

    Raises
    ------
    ConfigError
        Says what to change.
    """
    if target not in MICROCONTROLLERS:
        return
    if isinstance(run, ClipRun):
        raise ConfigError(
            f"--target {target}: a run of task clips has no form on a microcontroller yet; export it with --target pi"
        )
    if settings.precision != "int8":
        raise ConfigError(f"--target {target} is int8 arithmetic, not {settings.precision}; add --precision int8")
    if settings.profile != "ecotf":
        raise ConfigError(f"--target {target} does not go with --profile {settings.profile}, which takes sound")
    if board is not None:
        raise ConfigError(f"--board {board}: not a microcontroller; what --target {target} needs is in its report")
    compiler() if target == "c" else require_tflm()


def target_files(
    target: str, run: LoadedRun | ClipRun, flatbuffer: bytes, values: Mapping[str, Any], parity: Mapping[str, Any],
    settings: ExportSettings, log: Callable[[str], None],
) -> dict[str, bytes]:  # fmt: skip
    """Files by name: all of the folder of C; what lies beside the model in a bundle for tflite-micro; else none.

    Raises
    ------
    ConfigError
        The network has no form there, or computes something else.
    """
    if target not in MICROCONTROLLERS or isinstance(run, ClipRun):
        return {}
    network = network_file(flatbuffer, values["name"], network_outputs(run.detector, settings.embedding))
    patches, measures = example_windows(run, settings)
    if target == "c":
        log("the front end is not translated: the board makes the spectrogram itself, model.h says how")
        return c_files(run, network, values, parity, patches, measures)
    with tempfile.TemporaryDirectory() as name:
        found = try_tflm(network, patches, Path(name))
    trees = "" if run.detector.trees is None else "; the trees are not in it, --target c writes them"
    log(
        f"tflite-micro runs {NETWORK_NAME} ({len(network):,} bytes) in {found.arena_bytes:,} bytes of memory; on "
        f"{found.patches} patches it is within {found.steps:.2g} steps of int8 of tflite-runtime, "
        f"{100 * found.exact:.4g} % equal{trees}"
    )
    return {NETWORK_NAME: network}
