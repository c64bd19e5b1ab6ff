"""``ecotf train``: a recipe and a manifest in, a run folder out."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ecotf.commands.console import console, log, make_parser, progress_bar
from ecotf.errors import ConfigError
from ecotf.tasks.recipe_files import recipe_names

EXAMPLES = """\
examples:
  ecotf train bats/field --data calls/manifest.csv
  ecotf train --recipe birds/events --data boxes/manifest.csv
  ecotf train --recipe bats/hybrid_cnn_xgboost --data calls/manifest.csv mining.rounds=1 seed=7
  ecotf train --resume runs/bats/field/2026-06-21_22-15-00

The manifest is a table with one row for each annotated call: recording, start_s, end_s, label and, if known, low_hz,
high_hz, group (site or night; a split never cuts one) and split (train, valid, test). ecotf dataset makes
one from Raven, Audacity, batdetect2 and other annotations. Recordings without a call are one row with an empty label.

Any key of the recipe can be set as key=value; the run folder's recipe.yaml shows them all.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--recipe", metavar="NAME", help=f"one of {', '.join(recipe_names())}, or a YAML file")
    parser.add_argument(
        "--data", metavar="MANIFEST", type=Path, help="manifest of the annotated recordings, CSV or Parquet"
    )
    parser.add_argument(
        "--output", metavar="FOLDER", type=Path, default=Path("runs"), help="the folder of all runs (runs)"
    )
    parser.add_argument("--resume", metavar="RUN", type=Path, help="continue a training that was interrupted")
    parser.add_argument(
        "--start-from", metavar="RUN", type=Path,
        help="begin with the network of a run of tagging, events or few-shot: its front end, backbone and weights",
    )  # fmt: skip
    parser.add_argument(
        "--cache", metavar="FOLDER", type=Path, help="where spectrograms or sounds are kept between runs (in OUTPUT)"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="processor cores to use (all)")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value",
        help="settings of the recipe to change; the first may be the recipe itself, in place of --recipe",
    )  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Train, evaluate and write the run folder."""
    parser = make_parser(
        "train", "Train a model on annotated recordings: a detector of calls, or a tagger of clips.", EXAMPLES
    )
    add_arguments(parser)
    options = parser.parse_intermixed_args(arguments)
    if options.recipe is None and options.overrides and "=" not in options.overrides[0]:
        options.recipe = options.overrides.pop(0)
    if options.threads < 1:
        raise ConfigError(f"--threads {options.threads}: at least 1 is needed")
    if options.resume is not None:
        if options.recipe or options.data or options.overrides or options.start_from:
            raise ConfigError(
                "--resume takes the recipe and the data from the run; leave --recipe, --data, --start-from and "
                "key=value out"
            )
    elif not options.recipe or options.data is None:
        raise ConfigError("--recipe and --data are needed (or --resume RUN); --help shows examples")
    run = _resume(options) if options.resume is not None else _train(options)
    _summarise(run)
    return 0


def _train(options: argparse.Namespace) -> Path:
    from ecotf.tasks.recipes import load_trainable

    recipe = load_trainable(options.recipe, options.overrides)  # before TensorFlow loads
    if options.start_from is not None:
        from ecotf.tasks.start import begun_from, refuse_changes

        refuse_changes(options.overrides)
        recipe = begun_from(recipe, options.start_from)
    from ecotf.datasets.manifest import read_manifest
    from ecotf.tasks.training_run import train_run

    manifest = read_manifest(options.data)
    with _reading_bar() as progress:
        return train_run(
            recipe, manifest, options.output, cache=options.cache, threads=options.threads, log=log, progress=progress
        )


def _resume(options: argparse.Namespace) -> Path:
    from ecotf.tasks.training_run import resume_run

    with _reading_bar() as progress:
        return resume_run(options.resume, cache=options.cache, threads=options.threads, log=log, progress=progress)


@contextmanager
def _reading_bar() -> Iterator[Callable[[int, int], None]]:
    """Show a bar while recordings are read, and none before and after."""
    bar = progress_bar()

    def update(done: int, of: int) -> None:
        if not bar.tasks:
            bar.start()
            bar.add_task("reading recordings", total=of)
        bar.update(bar.tasks[0].id, completed=done)
        if done == of:
            bar.stop()

    try:
        yield update
    finally:
        bar.stop()


def _summarise(run: Path) -> None:
    console.print()
    for line in (run / "report.txt").read_text(encoding="utf-8").splitlines():
        log(line)
    log(f"run:       {run}")
    if (run / "plots").is_dir():
        log(f"pictures:  {run / 'plots'}")
    log(f"next:      ecotf classify --model {run} RECORDINGS --output detections/")
    left_out = len((run / "problems.csv").read_text(encoding="utf-8").splitlines()) - 1
    if left_out:
        log(f"{left_out} recordings could not be used; see {run / 'problems.csv'}")
