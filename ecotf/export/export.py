"""An export from start to end: convert, chain, try, compare, describe, and only then write."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ecotf.errors import ConfigError, EcotfError
from ecotf.export.convert.chain import chain_stages
from ecotf.export.convert.converter import convert_run, refuse_recurrent
from ecotf.export.describe.boards import Board, require_fit
from ecotf.export.describe.bundle import refuse_foreign, write_bundle, write_files
from ecotf.export.describe.container import MODEL_JSON, json_text, with_members
from ecotf.export.describe.description import describe, labels_of, licence_of, with_trial
from ecotf.export.microcontroller import require_target, target_files
from ecotf.export.plans import make_plan
from ecotf.export.prove.golden import SECONDS, golden_bytes
from ecotf.export.prove.recordings import RunRecordings, simulated
from ecotf.export.prove.trials import check_loads, try_file
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.birdnet_go import LABELS_NAME
from ecotf.tasks.calls.export import AnyRun, Kind, kind_of

Target = Literal["pi", "host", "c", "tflm"]
TARGETS: tuple[Target, ...] = get_args(Target)
"""``pi``: a recorder. ``host``: any computer with a TFLite runtime. ``c``, ``tflm``: `ecotf.export.microcontroller`."""


class ParityError(EcotfError):
    """The file is further from its run than its precision allows."""


@dataclass(frozen=True)
class ExportJob:
    """Everything about an export besides the model's own settings.

    Attributes
    ----------
    board
        Refuse a model that is too large for it.
    data, recordings
        Another manifest, and another folder to look for its recordings in.
    seconds
        Of sound that is compared on.
    licence
        The note, or a text file with it.
    """

    target: Target = "pi"
    board: Board | None = None
    data: Path | None = None
    recordings: Path | None = None
    seconds: float = 60.0
    licence: str | None = None


@dataclass(frozen=True)
class Exported:
    """A model file's bytes, with its ``model.json`` and its parity report."""

    model: bytes
    values: dict[str, Any]
    parity: dict[str, Any]


def export_run(
    run: AnyRun, output: Path, settings: ExportSettings, job: ExportJob, log: Callable[[str], None]
) -> Exported:
    """Write the bundle ``output`` for ``run``; nothing is written unless the file proved itself.

    Raises
    ------
    ConfigError
        The run, the settings or the board do not allow it, or the converter failed.
    ParityError
        The file is too far from the run.
    """
    refuse_foreign(output)
    require_target(job.target, run, settings, None if job.board is None else job.board.title)
    exported = make_model(run, settings, job, log)
    files = target_files(job.target, run, exported.model, exported.values, exported.parity, settings, log)
    if job.target == "c":
        write_files(output, files)
        return exported
    if settings.profile == "birdnet-go":
        files = {**files, LABELS_NAME: labels_of(exported.values).encode()}
    write_bundle(output, exported.model, exported.values, files)
    return exported


def make_model(run: AnyRun, settings: ExportSettings, job: ExportJob, log: Callable[[str], None]) -> Exported:
    """Make and prove a model file in memory."""
    kind = kind_of(run)
    kind.check(settings)
    licence = licence_of(job.licence)
    plan = make_plan(kind.model, run.recipe, settings)
    refuse_recurrent(plan.stages, settings.precision)
    calibration = None
    if settings.precision == "int8":
        calibration = kind.calibrate(RunRecordings(run.path, run.recipe, elsewhere=job.recordings))
    recordings = RunRecordings(run.path, run.recipe, job.data, job.recordings)
    heard = recordings.to_compare(settings.rate, job.seconds)
    if heard is None and job.data is not None:
        raise ConfigError(f"--data {job.data}: none of its recordings can be compared on at {settings.rate} Hz")
    if heard is None:
        heard = simulated(settings.rate, seconds=min(4.0, job.seconds / 6))
        log(f"no test or validation recording at {settings.rate} Hz is there; compared on {heard.source} instead")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log(f"converting {', '.join(stage.name for stage in plan.stages)}")
        converted = convert_run(run.path, plan, settings, folder, None if calibration is None else calibration.inputs)
        flatbuffer = chain_stages(converted, plan.signatures)
        values = describe(run, kind.facts(), plan, settings, job.target, licence, flatbuffer, calibration)
        log(f"trying the file on {heard.seconds:.0f} s of {heard.source}")
        examples = kind.examples(settings, heard)
        if not all(map(len, examples.inputs.values())):
            raise ConfigError(
                f"{heard.source}: nothing in them that the model is asked about; compare on more of them (--seconds) "
                "or on others (--data)"
            )
        trial = try_file(kind.trial_values(), flatbuffer, values, settings, heard, examples, folder)
        parity = kind.compare(settings.precision, heard, examples, trial)
        values = with_trial(values, flatbuffer, plan, trial.facts, examples.peaks)
        parity["runtime"] = trial.facts["runtime"]
        parity["tensorflow_loaded"] = bool(trial.facts["loaded"])
        if parity["failures"]:
            raise ParityError(
                f"nothing is written, {settings.precision} is too far from the run: {parity['failures'][0]}"
            )
        if job.board is not None:
            require_fit(values, job.board)
        golden = _golden(kind, flatbuffer, values, settings, folder)
        members: dict[str, str | bytes] = {
            MODEL_JSON: json_text(values),
            LABELS_NAME: labels_of(values),
            "recipe.yaml": (run.path / "recipe.yaml").read_bytes(),
            "LICENCE.txt": licence,
            "parity.json": json_text(parity),
            "golden.npz": golden,
        }
        model = with_members(flatbuffer, members)
        check_loads(model, folder)
    return Exported(model, values, parity)


def _golden(kind: Kind, flatbuffer: bytes, values: dict[str, Any], settings: ExportSettings, folder: Path) -> bytes:
    """The golden outputs on a simulated sound; a device may keep that and pass it on."""
    heard = simulated(settings.rate, n=1, seconds=SECONDS, seed=7)
    examples = kind.examples(settings, heard)
    trial = try_file(kind.trial_values(), flatbuffer, values, settings, heard, examples, folder)
    inputs = {name: array for name, array in examples.inputs.items() if name.partition(".")[0] in values["signatures"]}
    outputs = {name: array for name, array in trial.outputs.items() if not name.startswith("between.")}
    return golden_bytes(heard.sounds[0], inputs, outputs, kind.found(heard, examples, trial))
