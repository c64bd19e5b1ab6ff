"""``ecotf export``: a trained run in, a bundle for a recorder out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ecotf.commands.console import complaints, log, make_parser, plain
from ecotf.errors import ConfigError
from ecotf.export import TARGETS
from ecotf.export.describe.boards import Board, board_named, boards, misfits
from ecotf.export.stages.stage import PRECISIONS

if TYPE_CHECKING:
    from ecotf.export.exportable import Exportable

_RATES = (384_000, 256_000, 48_000)  # what an AudioMoth and most other recorders offer, the best first

EXAMPLES = """\
examples:
  ecotf export runs/bats/field/2026-06-21_22-15-00 --output bundles/field
  ecotf export RUN --output bundles/field_int8 --precision int8 --board pi-zero-2w
  ecotf export RUN --output bundles/field_250k --rate 250000 --licence "CC BY 4.0, Bat Group North"
  ecotf export RUN --output firmware/field --precision int8 --target c
  ecotf export --inspect bundles/field/model.tflite

The bundle holds one model.tflite, which runs in any TFLite runtime, and bundle.json, which ecotf flash
reads. The file is tried in a process without TensorFlow and compared with the run before it is written.
exit status: 0 written, 1 the file is too far from the run and was not written, 2 nothing could be done
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""

    parser.add_argument("run", nargs="?", type=Path, metavar="RUN", help="run folder of a training")
    parser.add_argument("--output", metavar="FOLDER", type=Path, help="the bundle folder to write")
    parser.add_argument("--precision", choices=PRECISIONS, default="f32", help="of the networks (f32)")
    parser.add_argument(
        "--target", choices=TARGETS, default="pi", help="what it will run on; c (source code) is experimental (pi)"
    )
    parser.add_argument(
        "--rate",
        type=int,
        metavar="HZ",
        help="sample rate of the recorder (clips: the recipe's; else the rate of most training recordings)",
    )
    parser.add_argument("--input", choices=("int16", "float32"), help="type of the samples (int16; float32 for host)")
    parser.add_argument("--embedding", action="store_true", help="output the network's embedding, too")
    parser.add_argument("--board", metavar="NAME", help=f"refuse what is too large for it: {', '.join(boards())}")
    parser.add_argument("--profile", choices=("ecotf", "birdnet-go"), default="ecotf", help="who will run it (ecotf)")
    parser.add_argument("--data", metavar="MANIFEST", type=Path, help="compare on these recordings, not on the run's")
    parser.add_argument("--recordings", metavar="FOLDER", type=Path, help="where the recordings are now")
    parser.add_argument("--seconds", type=float, help="of sound to compare on, at most (60; 300 for clips)")
    parser.add_argument("--licence", metavar="TEXT", help="licence note of the model, or a .txt or .md file with it")
    parser.add_argument("--inspect", metavar="FILE", type=Path, help="describe a model file, and end")


def main(arguments: Sequence[str]) -> int:
    """Export a run, or show a model file."""
    parser = make_parser("export", "Make one file for a recorder from a run, and compare both.", EXAMPLES)
    add_arguments(parser)
    options = parser.parse_args(arguments)
    if options.inspect is not None:
        if options.run is not None or options.output is not None:
            raise ConfigError("--inspect shows a file and exports nothing; leave RUN and --output out")
        from ecotf.commands.model_tables import show_model
        from ecotf.export.describe.container import read_model_file

        show_model(read_model_file(options.inspect))
        return 0
    if options.run is None or options.output is None:
        raise ConfigError("RUN and --output FOLDER are needed (or --inspect FILE); --help shows examples")
    if options.seconds is not None and not options.seconds > 0:
        raise ConfigError(f"--seconds {options.seconds:g}: must be above 0")
    if options.rate is not None and options.rate < 1:
        raise ConfigError(f"--rate {options.rate}: a sample rate in hertz is above 0, as 384000")
    board = None if options.board is None else board_named(options.board)
    if options.target == "c" and options.input is not None:
        raise ConfigError("--input: --target c takes no sound; the board must make the spectrogram itself")
    return _export(options, board)


def _export(options: argparse.Namespace, board: Board | None) -> int:
    from ecotf.commands.model_tables import show_parity
    from ecotf.export.export import ExportJob, ParityError, export_run
    from ecotf.export.settings import ExportSettings
    from ecotf.export.stages.birdnet_go import LABELS_NAME

    run = load_exportable(options.run)
    settings = ExportSettings(
        precision=options.precision,
        rate=usual_rate(run, options.recordings) if options.rate is None else options.rate,
        sound=options.input or _usual_sound(options.target, options.profile),
        embedding=options.embedding,
        profile=options.profile,
    )
    job = ExportJob(options.target, board, options.data, options.recordings, options.seconds, options.licence)
    try:
        exported = export_run(run, options.output, settings, job, log)
    except ParityError as error:
        complaints.print(plain(f"error: {error}"))
        return 1
    show_parity(exported.parity)
    if options.target == "c":
        for line in (options.output / "REPORT.txt").read_text(encoding="utf-8").splitlines():
            log(line)
        log(f"C99:     {options.output} (experimental); start with main_example.c")
        return 0
    model = options.output / "model.tflite"
    log(f"bundle:  {options.output} ({len(exported.model) / 1e6:.2f} MB, {settings.rate} Hz, {settings.sound})")
    for reason in misfits(exported.values):
        log(f"warning: {reason}")
    log(f"inspect: ecotf export --inspect {model}")
    if options.profile == "birdnet-go":
        log(f"next:    in BirdNET-Go's settings, birdnet.modelpath: {model}")
        log(f"         and birdnet.labelpath: {options.output / LABELS_NAME}")
        return 0
    log(f"next:    ecotf flash {options.output} --device pi@recorder01.local")
    return 0


def load_exportable(path: Path) -> Exportable:
    """Read the run folder at ``path``, whatever its task; raises `ConfigError`."""

    from ecotf.runs import RunFolder
    from ecotf.tasks.base import get_task
    from ecotf.tasks.recipes import read_run_recipe

    folder = RunFolder.open(path).path
    task = get_task(read_run_recipe(folder).task)
    exportable: Exportable = task.exportable(task.load(folder))
    return exportable


def _usual_sound(target: str, profile: str) -> str:
    return "int16" if target == "pi" and profile == "ecotf" else "float32"


def usual_rate(run: Exportable, elsewhere: Path | None) -> int:
    """Choose the rate in Hz: the run's own, else of most training recordings, else a usual one that fits the band."""

    from ecotf.export.prove.recordings import RunRecordings

    if run.sample_rate is not None:
        return run.sample_rate
    found = RunRecordings(run, elsewhere=elsewhere).usual_rate()
    if found is not None:
        return found
    carrying = [rate for rate in _RATES if rate >= 2 * run.high_hz]
    if not carrying:
        raise ConfigError("the training recordings are not there, so their rate is not known; give --rate HZ")
    # an audible band is recorded at an audible rate
    return carrying[0] if run.high_hz > _RATES[-1] / 2 else carrying[-1]
