"""``ecotf dataset import``: annotations of another program, and recordings without any, as one manifest."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ecotf.commands.console import log
from ecotf.wording import counted

if TYPE_CHECKING:
    from ecotf.datasets.manifest import Manifest

_EXAMPLES = """\
examples:
  import --format raven tables/ --audio-dir recordings/ --output manifest.csv --group-by folder --fully-annotated
  import --format raven tables/ --audio-dir recordings/ --output manifest.csv --fully-annotated --without recordings/
  import --format audacity labels/ --output manifest.csv time_expansion=10 label=bat
  import --format csv calls.csv --output manifest.csv columns.recording=file columns.label=species time_unit=ms
  import --format bat_npz set.npz --output manifest.csv time_units=expanded time_expansion=10 class_names.1=Pippip
  import --format birdclef birdclef-2023/ --output manifest.csv --group-by recordist --extra birdclef-2022/ --extra xc/

options of each format, given as key=value:
"""

# Formats that annotate single recordings of a folder; in the others it is normal that some are not used.
_OF_SOME_RECORDINGS = (
    "aoef", "audacity", "audiotagger", "batdetect2", "csv", "kaleidoscope", "parquet", "published_csv", "raven"
)  # fmt: skip


def import_examples() -> str:
    """Return what is said below the options."""
    from ecotf.commands.importer_options import describe_options

    return _EXAMPLES + describe_options()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    from ecotf.datasets.importers import IMPORTERS

    parser.add_argument("path", type=Path, help="annotation file, or folder of them")
    parser.add_argument("--format", metavar="NAME", required=True, help=f"one of {', '.join(IMPORTERS)}")
    parser.add_argument("--audio-dir", metavar="FOLDER", type=Path, help="where the recordings are (beside them)")
    parser.add_argument("--output", metavar="MANIFEST", type=Path, required=True, help="a .csv or .parquet file")
    parser.add_argument(
        "--group-by",
        default="recording",
        metavar="WHAT",
        help="kept together by a split: recording, folder, a column as recordist, or a regular expression on the path "
        "(recording)",
    )
    parser.add_argument(
        "--extra",
        action="append",
        metavar="FOLDER",
        help="birdclef: more recordings of its species, of another year or from Xeno-canto; may be given again",
    )
    parser.add_argument(
        "--fully-annotated", action=argparse.BooleanOptionalAction, default=None,
        help="whether every event of these recordings is annotated, so that none is where no annotation is",
    )  # fmt: skip
    parser.add_argument(
        "--without",
        action="append",
        metavar="FOLDER",
        help="recordings in which there is none of the calls; those that are annotated are passed over; may be given "
        "again",
    )
    parser.add_argument("settings", nargs="*", metavar="key=value", help="options of the format; see below")
    parser.set_defaults(run=import_dataset)


def import_dataset(options: argparse.Namespace) -> int:
    """Import annotations, write the manifest, and say what it holds and what it does not."""
    from ecotf.commands.check_dataset import print_summary
    from ecotf.commands.importer_options import read_options
    from ecotf.datasets.importers import import_annotations
    from ecotf.datasets.manifest import write_manifest

    settings = [*options.settings, *([f"extra={','.join(options.extra)}"] if options.extra else [])]
    chosen = read_options(options.format, settings)
    manifest = import_annotations(
        options.format, options.path, options.audio_dir, group_by=options.group_by,
        fully_annotated=options.fully_annotated, without=options.without or (), **chosen,
    )  # fmt: skip
    write_manifest(manifest, options.output)
    print_summary(manifest, {})
    for note in manifest.notes:
        log(note)
    if options.fully_annotated is None and manifest.annotations["end_s"].notna().any():
        log(
            "nothing says whether time without an annotation is without an event: --fully-annotated, if every event is "
            "annotated, lets recipes of events learn from it; --no-fully-annotated, if not"
        )
    _say_left_out(manifest, options)
    missing = manifest.missing_files()
    if missing:
        log(
            f"{len(missing)} of {len(manifest.recordings)} recordings are not there, the first is "
            f"{str(manifest.path_of(missing[0]))!r}; give their folder with --audio-dir"
        )
    log(f"manifest: {options.output}")
    return 1 if missing else 0


def _say_left_out(manifest: Manifest, options: argparse.Namespace) -> None:
    """Say how many recordings of the folder are in no annotation file: they may hold nothing, or nobody has looked."""
    from ecotf.datasets.importers.without_calls import left_out

    if options.format not in _OF_SOME_RECORDINGS or not (options.audio_dir or options.path.is_dir()):
        return
    folder = options.audio_dir or options.path
    unknown = left_out(manifest, folder)
    if unknown:
        number = counted(len(unknown), "recording")
        log(
            f"no annotation names {number} in {str(folder)!r}, left out; the first is {unknown[0].name!r}. "
            f"If you know that no call is there, add --without {shlex.quote(str(folder))}"
        )
