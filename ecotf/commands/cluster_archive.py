"""``ecotf cluster INPUT``: an unlabelled archive in, a folder of clusters out."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecotf.commands.console import complaints, log, make_parser, plain, progress_bar
from ecotf.commands.jobs import channel_of, check_job, log_counts, status_of, stopped, tell_outcome
from ecotf.errors import ConfigError

if TYPE_CHECKING:
    from ecotf.discovery.job import ClusterResult

EXAMPLES = """\
examples:
  ecotf cluster archive/ --model runs/fewshot/small/2026-06-21_22-15-00 --output clusters/
  ecotf cluster archive/ --model birdnet_2.4 --model-file BirdNET.tflite --output clusters/
  ecotf cluster archive/ --regions --model yamnet --model-file yamnet.tflite --output clusters/
  ecotf cluster embeddings/ --output clusters/ iterations=0 clustering.min_sizes=[10,20]
  ecotf cluster manifest.csv --model runs/owls --recipe clustering/darksound_v1 --output clusters/
  ecotf cluster show clusters/
  ecotf cluster export clusters/ --output manifest.csv

INPUT is recordings, whose clips are the windows of the model, or with --regions what stands out of the background; a
manifest, whose annotations are the clips (its labels are looked at in the report alone, which then says how good the
clusters are); or a folder that ecotf embed has written. Clips that sound alike get one number. The model learns from
the clusters, listens again, and clusters again; no label is looked at for that.
OUTPUT holds clips.parquet, iterations.csv, report.txt and what ecotf cluster show needs. Any key of the recipe can be
set as key=value.

exit status: 0 all done, 1 some files could not be used, 2 nothing could be done
"""


def cluster(arguments: Sequence[str]) -> int:
    """Cluster an archive."""
    parser = make_parser("cluster", "Find out which sounds an unlabelled archive holds, and name them.", EXAMPLES)
    parser.add_argument("input", nargs="+", metavar="INPUT", help="recordings, one manifest, or a folder of embeddings")
    parser.add_argument("--output", metavar="FOLDER", type=Path, required=True, help="where clusters are written")
    parser.add_argument("--model", metavar="MODEL", help="what embeds: a run, or as for ecotf embed")
    parser.add_argument("--model-file", metavar="PATH", type=Path, help="your own file of the model that is described")
    parser.add_argument("--hop-s", type=float, metavar="SECONDS", help="from one window to the next (as described)")
    parser.add_argument("--recipe", default="clustering/archive", metavar="NAME", help="(clustering/archive)")
    parser.add_argument(
        "--regions", nargs="?", const="", metavar="SETTINGS", help="cluster regions of interest; with settings of rois"
    )
    parser.add_argument("--channel", default="mix", help="mix, or a number from 1 (mix)")
    parser.add_argument("--time-expansion", type=float, metavar="FACTOR", help="if the recordings' metadata do not say")
    parser.add_argument("--salvage", action="store_true", help="use the beginning of recordings that are cut off")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), metavar="N", help="processor cores to use (all)")
    parser.add_argument("--resume", action="store_true", help="continue the job in the output folder")
    parser.add_argument("--overwrite", action="store_true", help="replace the job in the output folder")
    options = parser.parse_intermixed_args(arguments)
    _check(options)
    try:
        result, problems = _run(options)
    except KeyboardInterrupt:
        return stopped(arguments, "cluster")
    if result.counts:
        log_counts(result.counts)
    for line in result.lines:
        log(line)
    log(f"clusters: {options.output}")
    log(f"next:     ecotf cluster show {options.output}")
    return status_of(result.counts, problems) if result.counts else int(problems)


def _check(options: argparse.Namespace) -> None:
    """Raise `ConfigError` for options that cannot go together; tell settings from input."""
    options.overrides = [text for text in options.input if "=" in text and not os.path.exists(text)]
    options.input = [text for text in options.input if text not in options.overrides]
    if options.regions and "=" in options.regions and not os.path.exists(options.regions):
        options.overrides.append(options.regions)  # --regions without settings, and a key of the recipe behind it
        options.regions = ""
    if not options.input:
        raise ConfigError("no input: give recordings, a manifest, or a folder of embeddings")
    if options.threads < 1:
        raise ConfigError(f"--threads {options.threads}: allowed: 1 or more")
    check_job(options, "clips are of one channel")


def _run(options: argparse.Namespace) -> tuple[ClusterResult, bool]:
    """Run the job; the second value is whether an argument stands for no recording."""
    from ecotf.discovery.options import ClusterOptions
    from ecotf.regions.config import read_roi_config
    from ecotf.tasks.recipes import load_cluster_recipe

    recipe = load_cluster_recipe(options.recipe, options.overrides)
    regions = None if options.regions is None else read_roi_config(options.regions or None)
    chosen = ClusterOptions(
        channel_of(options.channel), options.time_expansion, options.salvage, regions, options.threads,  # type: ignore[arg-type]
    )  # fmt: skip
    what, problems = _input(options)
    from ecotf.discovery.job import cluster_archive
    from ecotf.embeddings.store import Embeddings

    embedder = None
    if not isinstance(what, Embeddings):
        from ecotf.tasks.run_embedder import open_embedder

        if options.model is None:
            raise ConfigError("--model is needed: what embeds, a run or a model of anybody (ecotf embed --help)")
        embedder = open_embedder(options.model, options.model_file, options.hop_s)
        embedder.threads = options.threads
        log(f"{embedder.title}: {embedder.numbers} numbers for each {embedder.samples / embedder.sample_rate:g} s")
    elif any(one is not None for one in (options.model, options.model_file, options.hop_s)):
        raise ConfigError(
            f"{options.input[0]}: embeddings have their model; --model, --model-file and --hop-s are for recordings"
        )
    total = len(what.recordings) if hasattr(what, "recordings") else len(what)
    with progress_bar() as bar:
        task = bar.add_task("embedding", total=total)
        told = tell_outcome(bar, task)
        result = cluster_archive(
            what, options.output, recipe, embedder, chosen, options.resume, options.overwrite, log, told
        )
    return result, problems


def _input(options: argparse.Namespace) -> tuple[Any, bool]:
    """Open what is clustered; see `ecotf.discovery.inputs.open_input`."""
    from ecotf.discovery.inputs import open_input

    found = open_input(options.input)
    for line in found.problems:
        complaints.print(plain(line))
    if found.passed_over:
        complaints.print(plain(found.passed_over))
    return found.what, bool(found.problems)
