"""``ecotf enrol``: a few examples of a species in, a run that finds it in long recordings out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ecotf.commands.console import log, make_parser, progress_bar
from ecotf.errors import ConfigError, DataError

if TYPE_CHECKING:
    from ecotf.tasks.enrolment.enrol import Enrolled
    from ecotf.tasks.enrolment.examples import Example

EXAMPLES = """\
examples:
  ecotf enrol --model BirdNET.tflite --description birdnet_2.4 --name "Nyctibius grandis" clips/*.wav \\
      --background quiet_nights/ --output runs/potoos
  ecotf enrol --model runs/potoos --name "Nyctibius griseus" --manifest calls.csv --label griseus
  ecotf enrol --model runs/potoos --name "Nyctibius griseus" --manifest tables/ --format raven --audio-dir night/
  ecotf enrol --model runs/potoos --list
  ecotf enrol --model runs/potoos --remove "Nyctibius griseus"
  ecotf classify --model runs/potoos season/ --output found/

MODEL is an enrolled run, to which the species is added; or a model that embeds (a run, a .tflite or a SavedModel), and
then a new enrolled run is made at --output. Nothing is trained: a run keeps what its examples sound like.
Examples are whole clips, cut close to the call; or boxes in recordings, and then it also learns from what is around.
With --background, your own recordings without the species, it is known how often it will be wrong.
"""


def main(arguments: Sequence[str]) -> int:
    """Enrol, remove or list species."""
    parser = make_parser("enrol", "Add a species to a model from a few examples, without training.", EXAMPLES)
    parser.add_argument("clips", nargs="*", metavar="CLIP", help="sound files that hold one call each, cut close to it")
    parser.add_argument("--model", metavar="MODEL", type=Path, required=True, help="an enrolled run, or what embeds")
    parser.add_argument("--description", metavar="NAME", help="of MODEL: a .yaml, or one of ecotf, as birdnet_2.4")
    parser.add_argument("--output", metavar="RUN", type=Path, help="where a new enrolled run is made")
    parser.add_argument("--name", metavar="SPECIES", help="the species")
    parser.add_argument("--manifest", metavar="PATH", type=Path, help="a table of boxes in recordings, as examples")
    parser.add_argument("--format", metavar="NAME", help="of that table, if it is none of ecotf: raven, audacity, ...")
    parser.add_argument("--audio-dir", metavar="FOLDER", type=Path, help="where the recordings of that table are")
    parser.add_argument("--label", metavar="LABEL", help="of the rows to take (that of --name)")
    parser.add_argument("--background", metavar="PATH", nargs="+", default=[], help="recordings without any species")
    parser.add_argument(
        "--background-s", metavar="SECONDS", type=float, default=600.0, help="listen to so much of them, evenly (600)"
    )
    parser.add_argument("--window-s", metavar="SECONDS", type=float, help="the length of a call (the examples' median)")
    parser.add_argument("--whole-window", action="store_true", help="hear all of a fixed window, not its middle alone")
    parser.add_argument("--remove", metavar="SPECIES", help="take a species away")
    parser.add_argument("--list", action="store_true", help="say what is enrolled, and what to expect of it")
    options = parser.parse_intermixed_args(arguments)
    _check(options)

    from ecotf.tasks.enrolment import enrol

    if options.list:
        _tell(enrol.listed(options.model), None)
        return 0
    if options.remove is not None:
        made = enrol.remove(options.model, options.remove)
        log(f"removed: {options.remove}")
    else:
        made = _enrol(options)
    _tell(made, options.name)
    log(f"run:  {made.path}")
    log(f"next: ecotf classify --model {made.path} RECORDINGS --output FOLDER")
    return 0


def _check(options: argparse.Namespace) -> None:
    """Raise `ConfigError` for options that cannot go together."""
    tasks = [options.list, options.remove is not None, options.name is not None]
    if sum(tasks) != 1:
        raise ConfigError("say one of --name SPECIES (with its examples), --remove SPECIES and --list")
    if options.name is None and (options.clips or options.manifest or options.background or options.output):
        raise ConfigError("examples, --background and --output go with --name SPECIES")
    if options.clips and options.manifest:
        raise ConfigError("give clips, or --manifest with boxes: one of the two")
    if options.manifest is None and (options.format or options.audio_dir or options.label):
        raise ConfigError("--format, --audio-dir and --label go with --manifest")
    for key in ("background_s", "window_s"):
        seconds = getattr(options, key)
        if seconds is not None and not 0 < seconds < float("inf"):
            raise ConfigError(f"--{key.replace('_', '-')} {seconds:g}: allowed: more than 0")


def _enrol(options: argparse.Namespace) -> Enrolled:
    from ecotf.tasks.enrolment.enrol import NewRun, enrol
    from ecotf.tasks.enrolment.run_writer import is_enrolled

    new, run = None, options.model
    if options.output is not None or not is_enrolled(options.model):
        if options.output is None:
            raise ConfigError(
                f"{options.model}: no enrolled run; to make one with it as the embedder, say --output RUN"
            )
        new = NewRun(options.model, options.description, options.window_s, options.whole_window)
        run = options.output
    elif options.description or options.window_s or options.whole_window:
        raise ConfigError(
            f"{options.model}: an enrolled run has its embedder and window; --description, --window-s and "
            "--whole-window are for a new one, with --output"
        )
    examples, background = _examples(options), _files(options.background, "--background")
    if examples:
        log(f"{options.name}: {len(examples)} example{'s' * (len(examples) != 1)}")
    with progress_bar() as bar:
        task = bar.add_task("listening to the background", total=len(background))
        return enrol(
            run, options.name, examples, background, new, options.background_s,
            lambda done, of: bar.update(task, completed=done, total=of),
        )  # fmt: skip


def _examples(options: argparse.Namespace) -> list[Example]:
    from ecotf.tasks.enrolment.examples import boxes_of, whole_clips

    if options.manifest is None:
        return whole_clips(_files(options.clips, "examples"))
    from ecotf.commands.importer_options import read_options
    from ecotf.datasets.importers import import_annotations
    from ecotf.datasets.manifest import read_manifest

    if options.format is None:
        manifest = read_manifest(options.manifest)
    else:
        manifest = import_annotations(
            options.format, options.manifest, options.audio_dir, **read_options(options.format, [])
        )
    return boxes_of(manifest, options.label or options.name)


def _files(arguments: Sequence[str], what: str) -> list[Path]:
    """Find sound files; raises `DataError` where an argument stands for none."""
    from ecotf.audio.discover import find_recordings, shown_name

    found = find_recordings(arguments)
    for argument, reason in found.problems:
        raise DataError(f"{what}: {shown_name(argument)}: {reason}")
    return [Path(path) for path in found.recordings]


def _tell(made: Enrolled, name: str | None) -> None:
    """Print what is enrolled, and what to expect of it."""
    from ecotf.tasks.enrolment.sentences import sentences_of

    for line in sentences_of(made, name):
        log(line)
