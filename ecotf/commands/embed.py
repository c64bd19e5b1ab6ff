"""``ecotf embed``: a model of anybody and recordings in, a folder of embeddings and a ledger out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ecotf.commands.console import complaints, log, make_parser, plain, progress_bar
from ecotf.commands.jobs import channel_of, check_job, log_counts, status_of, stopped, tell_outcome
from ecotf.errors import ConfigError

if TYPE_CHECKING:
    from ecotf.datasets.manifest import Manifest
    from ecotf.inference.embed_job import EmbedResult

EXAMPLES = """\
examples:
  ecotf embed birdnet_2.4 --model-file BirdNET_GLOBAL_6K_V2.4_Model_FP32.tflite recordings/ --output embeddings/
  ecotf embed runs/tagging/small/2026-06-21_22-15-00 recordings/ --output embeddings/ --hop-s 1
  ecotf embed perch --model-file perch/ --manifest calls/manifest.csv --output embeddings/
  ecotf embed own_model.yaml second_season/ --output embeddings/ --resume

MODEL is a run folder; a SavedModel folder or a .tflite with a description beside it; a description (.yaml); or the name
of a description that comes with ecotf, with the model's own file as --model-file. ecotf brings no such model.
With --manifest, each annotation is embedded, and keeps its label.
Every file ends up in OUTPUT/ledger.csv as done, salvaged, short, silent, corrupt, unsupported or failed, with the
reason.
OUTPUT holds one job: --resume continues it, also with other recordings. Equal sound is embedded once.
exit status: 0 all done, 1 some files could not be used, 2 nothing could be done
"""


def main(arguments: Sequence[str]) -> int:
    """Embed recordings."""
    parser = make_parser("embed", "Turn windows of sound into rows of numbers, with a trained model.", EXAMPLES)
    parser.add_argument("model", metavar="MODEL", help="run, SavedModel, .tflite, description, or a description's name")
    parser.add_argument("recordings", nargs="*", help="files, folders or patterns")
    parser.add_argument("--output", metavar="FOLDER", type=Path, required=True, help="where embeddings are written")
    parser.add_argument("--model-file", metavar="PATH", type=Path, help="your own file of the model that is described")
    parser.add_argument("--manifest", metavar="FILE", type=Path, help="embed its annotations, instead of recordings")
    parser.add_argument("--hop-s", type=float, metavar="SECONDS", help="from one window to the next (as described)")
    parser.add_argument("--workers", type=int, metavar="N", help="processor cores that a .tflite uses (all)")
    parser.add_argument("--time-expansion", type=float, metavar="FACTOR", help="if the recordings' metadata do not say")
    parser.add_argument("--channel", default="mix", help="mix, or a number from 1 (mix)")
    parser.add_argument("--no-recursive", action="store_true", help="do not look into folders inside folders")
    parser.add_argument("--salvage", action="store_true", help="use the beginning of recordings that are cut off")
    parser.add_argument("--resume", action="store_true", help="continue the job in the output folder")
    parser.add_argument("--overwrite", action="store_true", help="replace the job in the output folder")
    options = parser.parse_intermixed_args(arguments)
    _check(options)
    try:
        result, problems = _embed(options)
    except KeyboardInterrupt:
        return stopped(arguments, "embed")
    from ecotf.inference.ledger import NAME

    log_counts(result.counts)
    if result.repeated:
        log(f"{result.repeated} of them hold sound that was there already; it was not embedded again")
    log(f"embeddings: {options.output} ({result.rows} rows)")
    log(f"ledger:     {options.output / NAME}")
    return status_of(result.counts, problems)


def _check(options: argparse.Namespace) -> None:
    """Raise `ConfigError` for options that cannot go together."""
    if bool(options.recordings) == (options.manifest is not None):
        raise ConfigError("give recordings, or --manifest for its annotations: one of the two")
    if options.workers is not None and options.workers < 1:
        raise ConfigError(f"--workers {options.workers}: allowed: 1 or more")
    check_job(options, "a folder of embeddings holds one channel")


def _embed(options: argparse.Namespace) -> tuple[EmbedResult, bool]:
    """Run the job; the second value is whether an argument stands for no recording."""
    # Here and not above: help and a typing mistake need none of these.
    from ecotf.inference.embed_job import EmbedOptions, embed_recordings
    from ecotf.tasks.run_embedder import open_embedder

    recordings, total, problems = _recordings(options)
    embedder = open_embedder(options.model, options.model_file, options.hop_s)
    if options.workers is not None:
        embedder.threads = options.workers
    log(f"{embedder.title}: {embedder.numbers} numbers for each {embedder.samples / embedder.sample_rate:g} s")
    if embedder.licence:
        log(f"licence: {embedder.licence}")
    asked = EmbedOptions(options.time_expansion, channel_of(options.channel), options.salvage)  # type: ignore[arg-type]
    with progress_bar() as bar:
        task = bar.add_task("embedding", total=total)
        told = tell_outcome(bar, task)
        result = embed_recordings(embedder, recordings, options.output, asked, options.resume, options.overwrite, told)
    return result, problems


def _recordings(options: argparse.Namespace) -> tuple[list[Path] | Manifest, int, bool]:
    from ecotf.audio.discover import find_recordings, shown_name
    from ecotf.datasets.manifest import read_manifest

    if options.manifest is not None:
        manifest = read_manifest(options.manifest)
        return manifest, len(manifest.recordings), False
    found = find_recordings(options.recordings, recursive=not options.no_recursive)
    for argument, reason in found.problems:
        complaints.print(plain(f"{shown_name(argument)}: {reason}"))
    if found.passed_over:
        complaints.print(plain(found.passed_over_text))
    if not found.recordings:
        raise ConfigError("no recording to embed")
    return found.recordings, len(found.recordings), bool(found.problems)
