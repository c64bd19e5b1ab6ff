"""An export from start to end: convert, chain, try, compare, describe, and only then write."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.errors import ConfigError, EcotfError
from ecotf.export import Target
from ecotf.export.c99.folder import c_files, require_c
from ecotf.export.convert.calibration import Calibration
from ecotf.export.convert.chain import chain_stages
from ecotf.export.convert.converter import convert_stages, refuse_recurrent
from ecotf.export.describe.boards import Board, require_fit
from ecotf.export.describe.bundle import refuse_foreign, write_bundle, write_files
from ecotf.export.describe.container import MODEL_JSON, json_text, with_members
from ecotf.export.describe.costs import multiply_adds_of
from ecotf.export.describe.description import Subject, describe, labels_of, licence_of, require_name, with_rehearsal
from ecotf.export.exportable import Exportable, plan_of
from ecotf.export.prove.golden import SECONDS, golden_bytes
from ecotf.export.prove.recordings import Heard, RunRecordings, simulated
from ecotf.export.prove.rehearsal import check_loads, try_file
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.birdnet_go import LABELS_NAME
from ecotf.export.stages.stage import Precision, Stage

Convert = Callable[[Sequence[Stage], Precision, Path, Mapping[str, np.ndarray] | None], dict[str, bytes]]


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
        Of sound that is compared on; by default as many as suit the run.
    licence
        The note, or a text file with it.
    """

    target: Target = "pi"
    board: Board | None = None
    data: Path | None = None
    recordings: Path | None = None
    seconds: float | None = None
    licence: str | None = None


@dataclass(frozen=True)
class Exported:
    """A model file's bytes, with its ``model.json`` and its parity report."""

    model: bytes
    values: dict[str, Any]
    parity: dict[str, Any]


def export_run(
    run: Exportable, output: Path, settings: ExportSettings, job: ExportJob, log: Callable[[str], None]
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
    if job.target == "c":
        require_c(run, settings, None if job.board is None else job.board.title)
    exported = make_model(run, settings, job, log)
    if job.target == "c":
        log("the front end is not translated: the board makes the spectrogram itself, model.h says how")
        write_files(output, c_files(run, exported.model, exported.values, exported.parity, settings))
        return exported
    beside = {LABELS_NAME: labels_of(exported.values).encode()} if settings.profile == "birdnet-go" else {}
    write_bundle(output, exported.model, exported.values, beside)
    return exported


def make_model(
    run: Exportable,
    settings: ExportSettings,
    job: ExportJob,
    log: Callable[[str], None],
    convert: Convert = convert_stages,
) -> Exported:
    """Make and prove a model file in memory; ``convert`` makes flatbuffers of stages, in a process of its own."""
    require_name(run.name)
    run.check(settings)
    licence = licence_of(job.licence)
    subject = Subject(run, settings, plan_of(run, settings))
    for note in subject.plan.notes:
        log(note)
    refuse_recurrent(subject.plan.stages, settings.precision)
    calibration = None
    if settings.precision == "int8":
        calibration = run.calibrate(RunRecordings(run, elsewhere=job.recordings, log=log))
    heard = _sound_to_compare(run, settings, job, log)
    with tempfile.TemporaryDirectory() as name:
        making = _Making(subject, heard, Path(name), log)
        stages = making.convert(calibration, convert)
        flatbuffer = chain_stages(stages, subject.plan.signatures)
        values = {
            **describe(subject, flatbuffer, calibration), "stage_multiply_adds": multiply_adds_of(stages),
            "target": job.target, "licence": licence,
        }  # fmt: skip
        values, parity = making.prove(flatbuffer, values)
        if job.board is not None:
            require_fit(values, job.board)
        members: dict[str, str | bytes] = {
            MODEL_JSON: json_text(values),
            LABELS_NAME: labels_of(values),
            "recipe.yaml": (run.path / "recipe.yaml").read_bytes(),
            "LICENCE.txt": licence,
            "parity.json": json_text(parity),
            "golden.npz": making.golden(flatbuffer, values),
        }
        model = with_members(flatbuffer, members)
        check_loads(model, Path(name))
    return Exported(model, values, parity)


def _sound_to_compare(run: Exportable, settings: ExportSettings, job: ExportJob, log: Callable[[str], None]) -> Heard:
    seconds = run.compare_s if job.seconds is None else job.seconds
    heard = RunRecordings(run, job.data, job.recordings, log).to_compare(settings.rate, seconds, run.learned)
    if heard is None and job.data is not None:
        raise ConfigError(f"--data {job.data}: none of its recordings can be compared on at {settings.rate} Hz")
    if heard is None:
        heard = simulated(settings.rate, seconds=min(4.0, seconds / 6))
        log(f"no test or validation recording at {settings.rate} Hz is there; compared on {heard.source} instead")
    return heard


@dataclass(frozen=True)
class _Making:
    """The steps of one export that share a folder for what passes between processes."""

    subject: Subject
    heard: Heard
    folder: Path
    log: Callable[[str], None]

    def convert(self, calibration: Calibration | None, convert: Convert) -> dict[str, bytes]:
        plan, examples = self.subject.plan, None if calibration is None else calibration.inputs
        self.log(f"converting {', '.join(stage.name for stage in plan.stages)}")
        return convert(plan.stages, self.subject.settings.precision, self.folder, examples)

    def prove(self, flatbuffer: bytes, values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Try the file; return ``model.json`` with the measurements, and the parity report. Raises `ParityError`."""
        precision = self.subject.settings.precision
        heard = self.heard
        self.log(f"trying the file on {heard.seconds:.0f} s of {heard.source}")
        examples = self.subject.run.examples(self.subject.settings, heard)
        if not all(map(len, examples.inputs.values())):
            raise ConfigError(
                f"{heard.source}: nothing in them that the model is asked about; compare on more of them (--seconds) "
                "or on others (--data)"
            )
        rehearsal = try_file(flatbuffer, values, heard, examples, self.folder)
        parity = self.subject.run.compare(precision, heard, examples, rehearsal)
        parity["runtime"] = rehearsal.facts["runtime"]
        parity["tensorflow_loaded"] = bool(rehearsal.facts["loaded"])
        if parity["failures"]:
            raise ParityError(f"nothing is written, {precision} is too far from the run: {parity['failures'][0]}")
        return with_rehearsal(values, flatbuffer, examples, rehearsal.facts), parity

    def golden(self, flatbuffer: bytes, values: dict[str, Any]) -> bytes:
        """Compute the golden outputs on a simulated sound, which a device may keep and pass on."""
        heard = simulated(self.subject.settings.rate, n=1, seconds=SECONDS, seed=7)
        examples = self.subject.run.examples(self.subject.settings, heard)
        rehearsal = try_file(flatbuffer, values, heard, examples, self.folder)
        found = self.subject.run.found(heard, examples, rehearsal)
        inputs = {name: array for name, array in examples.inputs.items() if name.split(".")[0] in values["signatures"]}
        outputs = {name: array for name, array in rehearsal.outputs.items() if not name.startswith("between.")}
        return golden_bytes(heard.sounds[0], inputs, outputs, found)
