"""``ecotf dataset``: recordings and annotations of any kind in, a manifest to train on out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from ecotf.commands.console import log, make_parser, progress_bar
from ecotf.config import apply_overrides, validate
from ecotf.errors import ConfigError, DataError, RecordingError

EXAMPLES = """\
examples:
  ecotf dataset simulate --output demo/training --recordings 40
  ecotf dataset voices --output voices/ --voices 400
  ecotf dataset import --format raven tables/ --audio-dir recordings/ --output manifest.csv
  ecotf dataset check manifest.csv
  ecotf dataset split manifest.csv --output split.csv
  ecotf dataset COMMAND --help

A manifest is a table with one row for each annotated call: recording, start_s, end_s, low_hz, high_hz, label, weight,
group, split. Seconds and hertz are always real ones, also where a recording is time-expanded.
"""

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(arguments: Sequence[str]) -> int:
    """Simulate, import, split, check or export a data set."""
    parser = make_parser("dataset", "Make, check and split a manifest of annotated recordings.", EXAMPLES)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_simulate(commands)
    _add_voices(commands)
    _add_fetch(commands)
    _add_import(commands)
    _add_split(commands)
    _add_check(commands)
    _add_rois(commands)
    _add_pack(commands)
    _add_export_npz(commands)
    # argparse gives up on key=value that stand behind an option; they come back as left over.
    options, left = parser.parse_known_args(arguments)
    strangers = [argument for argument in left if "=" not in argument or argument.startswith("-")]
    if strangers or (left and "settings" not in options):
        parser.error(f"unrecognized arguments: {' '.join(strangers or left)}")
    if left:
        options.settings = [*options.settings, *left]
    return options.run(options)


def _simulate(options: argparse.Namespace) -> int:
    from ecotf.audio.simulate import SimulationConfig, simulate_dataset
    from ecotf.commands.check_dataset import print_summary
    from ecotf.datasets.manifest import read_manifest

    values = {
        "n_recordings": options.recordings,
        "duration_s": options.duration,
        "sample_rate_hz": options.sample_rate,
        "seed": options.seed,
    }
    values = {key: value for key, value in values.items() if value is not None}
    if options.species is not None:
        values["species"] = [name.strip() for name in options.species.split(",") if name.strip()]
    config = validate(SimulationConfig, apply_overrides(values, options.settings), "simulate")
    with progress_bar() as bar:
        task = bar.add_task("simulating", total=config.n_recordings)
        simulate_dataset(options.output, config, lambda done, _: bar.update(task, completed=done))
    manifest = read_manifest(options.output / "manifest.csv")
    print_summary(manifest, dict.fromkeys(manifest.recordings, config.duration_s))
    log(f"manifest: {options.output / 'manifest.csv'}")
    return 0


def _voices(options: argparse.Namespace) -> int:
    from ecotf.audio.voice_dataset import VoicesConfig, simulate_voices

    names = {"voices": "voices", "recordings": "recordings", "duration": "duration_s", "sample_rate": "sample_rate_hz",
             "seed": "seed"}  # fmt: skip
    given = {key: getattr(options, name) for name, key in names.items() if getattr(options, name) is not None}
    config = validate(VoicesConfig, given, "voices")
    with progress_bar() as bar:
        task = bar.add_task("simulating", total=config.voices * config.recordings)
        simulate_voices(options.output, config, lambda done, _: bar.update(task, completed=done))
    log(f"{config.voices} voices, {config.recordings} recordings of each; manifest: {options.output / 'manifest.csv'}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from ecotf.commands.check_dataset import check_dataset
    from ecotf.datasets.manifest import read_manifest

    return check_dataset(read_manifest(options.manifest))


def _export_npz(options: argparse.Namespace) -> int:
    from ecotf.audio.recording import open_recording
    from ecotf.datasets.export_npz import export_npz
    from ecotf.datasets.manifest import read_manifest

    manifest = read_manifest(options.manifest)
    lengths = {}
    for recording in set(manifest.recordings).difference(manifest.missing_files()):
        try:
            expansion = manifest.time_expansion_of(recording)
            lengths[recording] = open_recording(manifest.path_of(recording), time_expansion=expansion).duration_s
        except RecordingError as error:
            raise DataError(f"{manifest.path_of(recording)}: {error}") from None
    classes = export_npz(
        manifest,
        options.output,
        time_expansion=options.time_expansion,
        durations=lengths,
        valid_path=options.valid_output,
    )
    for number, label in classes.items():
        log(f"class {number}: {label}")
    log(f"written: {options.output}" + (f" and {options.valid_output}" if options.valid_output else ""))
    return 0


def _pack(options: argparse.Namespace) -> int:
    from ecotf.commands.pack_clips import Packing, pack_clips
    from ecotf.datasets.manifest import read_manifest

    if options.rate < 1 or options.seconds <= 0 or options.workers < 1:
        raise ConfigError("--rate, --seconds and --workers must be above 0")
    packing = Packing(options.rate, options.seconds)
    with progress_bar() as bar:
        task = bar.add_task("packing", total=None)
        left_out = pack_clips(
            read_manifest(options.manifest), options.output, packing, options.workers, log,
            lambda done, of: bar.update(task, completed=done, total=of),
        )  # fmt: skip
    log(f"manifest: {options.output.with_suffix('.csv')}")
    return 1 if left_out else 0


def _command(commands: Commands, name: str, about: str, epilog: str | None = None) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=about,
        description=f"{about[0].upper()}{about[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_simulate(commands: Commands) -> None:
    from ecotf.audio.simulate import SimulationConfig
    from ecotf.audio.species import SPECIES

    settings = ", ".join(SimulationConfig.model_fields)
    parser = _command(
        commands,
        "simulate",
        "make recordings of bats that never lived, annotated to the sample",
        f"species: {', '.join(SPECIES)}\n\nsettings (key=value): {settings}",
    )
    parser.add_argument("--output", metavar="FOLDER", type=Path, required=True, help="where recordings are written")
    parser.add_argument("--recordings", type=int, metavar="N", help="how many (40)")
    parser.add_argument("--duration", type=float, metavar="SECONDS", help="length of each (3)")
    parser.add_argument("--sample-rate", type=int, metavar="HERTZ", help="(256000)")
    parser.add_argument("--species", metavar="NAMES", help="comma-separated; see below (all)")
    parser.add_argument("--seed", type=int, help="the same seed gives the same recordings (0)")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="settings to change; see below")
    parser.set_defaults(run=_simulate)


def _add_voices(commands: Commands) -> None:
    about = "make recordings of species that never were, for a network that learns to tell voices apart"
    more = "For few-shot learning (recipe fewshot/small): put the rows of its manifest, with their role, behind yours."
    parser = _command(commands, "voices", about, more)
    parser.add_argument("--output", metavar="FOLDER", type=Path, required=True, help="where recordings are written")
    parser.add_argument("--voices", type=int, metavar="N", help="how many (400)")
    parser.add_argument("--recordings", type=int, metavar="N", help="of each voice (6)")
    parser.add_argument("--duration", type=float, metavar="SECONDS", help="length of each (1.2)")
    parser.add_argument("--sample-rate", type=int, metavar="HERTZ", help="(32000)")
    parser.add_argument("--seed", type=int, help="the same seed gives the same voices (0)")
    parser.set_defaults(run=_voices)


def _add_fetch(commands: Commands) -> None:
    from ecotf.commands.fetch_dataset import FETCH_EXAMPLES, add_arguments

    add_arguments(_command(commands, "fetch", "download a published data set and unpack it", FETCH_EXAMPLES))


def _add_import(commands: Commands) -> None:
    from ecotf.commands.import_dataset import add_arguments, import_examples

    add_arguments(
        _command(commands, "import", "turn annotations of another program into a manifest", import_examples())
    )


def _add_split(commands: Commands) -> None:
    from ecotf.commands.split_dataset import SPLIT_EXAMPLES, add_arguments

    add_arguments(
        _command(commands, "split", "deal the recordings into train, valid and test, or folds", SPLIT_EXAMPLES)
    )


def _add_check(commands: Commands) -> None:
    parser = _command(commands, "check", "open every recording of a manifest and list the problems")
    parser.add_argument("manifest", type=Path)
    parser.set_defaults(run=_check)


def _add_pack(commands: Commands) -> None:
    parser = _command(
        commands, "pack", "pack clips into one HDF5 file, as published for PANNs; a killed packing goes on where it was"
    )
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--output", metavar="HDF5", type=Path, required=True, help="a .h5 file; its manifest: .csv")
    parser.add_argument("--rate", type=int, default=32000, metavar="HERTZ", help="(32000)")
    parser.add_argument("--seconds", type=float, default=10.0, metavar="SECONDS", help="length of each clip (10)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes that read (2)")
    parser.set_defaults(run=_pack)


def _add_rois(commands: Commands) -> None:
    from ecotf.commands.rois import ABOUT, EXAMPLES, add_arguments

    add_arguments(_command(commands, "rois", ABOUT, EXAMPLES))


def _add_export_npz(commands: Commands) -> None:
    parser = _command(commands, "export-npz", "write a split manifest in the published bat system's format")
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--output", metavar="NPZ", type=Path, required=True, help="for the train and test recordings")
    parser.add_argument("--valid-output", metavar="NPZ", type=Path, help="for the validation recordings, if any")
    parser.add_argument(
        "--time-expansion", type=float, metavar="FACTOR", required=True, help="10 as published, 1 for real seconds"
    )
    parser.set_defaults(run=_export_npz)
