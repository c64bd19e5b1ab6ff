"""``ecotf tune``: a recipe with a ``tuning:`` block and a manifest in, the best recipe out."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecotf.commands.console import log, make_parser, progress_bar
from ecotf.errors import ConfigError, DataError
from ecotf.quiet import quieten_libraries
from ecotf.tasks.recipe_files import recipe_names

if TYPE_CHECKING:
    from ecotf.commands.tuning_folder import Begun, SearchFolder
    from ecotf.datasets.manifest import Manifest
    from ecotf.tasks.recipes import AnyRecipe
    from ecotf.tuning.config import TuningConfig
    from ecotf.tuning.search import Search, Start
    from ecotf.tuning.searchable import Searchable
    from ecotf.tuning.trial import Objective

PROCESSES = "processes"
EXAMPLES = """\
examples:
  ecotf tune --recipe bats/hybrid_cnn_xgboost --data calls/manifest.csv --budget 2h
  ecotf tune --resume --output tuning/bats/hybrid_cnn_xgboost --budget 8h
  ecotf tune --recipe bats/field --data calls/manifest.csv --trials 50 --jobs 4 stages.0.epochs=10
  ecotf tune --recipe birds/small --data clips/manifest.csv --budget 8h
  ecotf tune --recipe bats/cnn8 --data calls/manifest.csv --start-from published/cnn_params.csv
  ecotf tune --recipe bats/field --data calls/manifest.csv --engine spark://head:7077 --jobs 16

The recipe's block tuning: lists the settings that are searched. The first trial is the recipe as it is. Trials are
compared on the validation recordings alone; test recordings are kept for the training of the best recipe.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--recipe", metavar="NAME", help=f"one of {', '.join(_searchable())}, or a YAML file")
    parser.add_argument(
        "--data", metavar="MANIFEST", type=Path, help="manifest of the annotated recordings, CSV or Parquet"
    )
    parser.add_argument("--output", metavar="FOLDER", type=Path, help="folder of the search (tuning/RECIPE)")
    parser.add_argument(
        "--budget",
        metavar="TIME",
        help="time for the search: 20m, 2h or 1d12h; alone, only this ends it",
    )
    parser.add_argument("--trials", metavar="N", type=int, help="number of trials; alone, only this ends it")
    parser.add_argument("--resume", action="store_true", help="continue the search in --output, if there is one")
    parser.add_argument(
        "--start-from", metavar="FILE", type=Path, action="append", default=[],
        help="published settings to try first: cnn_params.csv, resnet_params.csv, xgboost_params.csv, or their folder",
    )  # fmt: skip
    parser.add_argument("--jobs", metavar="N", type=int, help="trials at a time (1, or as when the search was started)")
    parser.add_argument(
        "--engine", default=PROCESSES, help=f"{PROCESSES} on this machine, or the master of a Spark: spark://HOST:PORT"
    )
    parser.add_argument("--threads", type=int, help="processor cores for each trial (all, divided by --jobs)")
    parser.add_argument(
        "--cache", metavar="FOLDER", type=Path, help="where spectrograms or sounds are kept (in --output)"
    )
    parser.add_argument("--set", dest="more", action="append", default=[], metavar="key=value", help="as key=value")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings of the recipe to change")


def _searchable() -> list[str]:
    return [*recipe_names("calls"), *recipe_names("clips")]


def main(arguments: Sequence[str]) -> int:
    """Search, and write what was found."""
    parser = make_parser("tune", "Search for better settings of a recipe.", EXAMPLES)
    add_arguments(parser)
    options = parser.parse_intermixed_args(arguments)
    for name in ("jobs", "threads", "trials"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ConfigError(f"--{name} {value}: at least 1 is needed")
    return _search(options)


def _search(options: argparse.Namespace) -> int:
    from ecotf.commands.tuning_folder import SearchFolder
    from ecotf.commands.tuning_results import write_results
    from ecotf.parallel.spark import require_spark
    from ecotf.tasks.base import get_task
    from ecotf.tuning.config import seconds_in
    from ecotf.tuning.search import require_metric

    if options.budget is not None:
        seconds_in(options.budget)
    if options.engine != PROCESSES:
        require_spark(options.engine)
    folder, begun = _choose_folder(options)
    with SearchFolder(folder) as place:
        recipe, manifest, starts = _what_to_search(options, place, begun)
        jobs = options.jobs or (begun.jobs if begun else 1)
        threads = options.threads or max(1, (os.cpu_count() or 1) // jobs)
        task = get_task(recipe.task)
        searchable = task.searchable(recipe)
        cache = options.cache or folder / task.cache_name
        data = _read_recordings(searchable, manifest, cache, threads)
        require_metric(_tuning_of(recipe).metric, searchable.known_figures(data))
        search = _open_search(recipe, data.manifest, starts, place, jobs)
        objective = searchable.objective(place.path.resolve(), cache.resolve(), threads, log)
        try:
            _run(search, objective, options.engine, place, None if jobs == 1 and not options.threads else threads)
        except BaseException:
            log(f"to continue: ecotf tune --resume --output {folder}")
            raise
        return write_results(search, recipe, place)


def _choose_folder(options: argparse.Namespace) -> tuple[Path, Begun | None]:
    """Choose the folder of the search, and read the search in it that is to continue."""

    from ecotf.commands.tuning_folder import Begun
    from ecotf.tasks.recipes import load_trainable

    if options.output is None and options.recipe is None:
        raise ConfigError("--recipe and --data are needed (or --resume with --output FOLDER); --help shows examples")
    name = None if options.recipe is None else load_trainable(options.recipe).name
    folder = options.output or Path("tuning", *str(name).split("/"))
    begun = Begun.read(folder)
    if begun is not None and not options.resume:
        raise ConfigError(f"{folder}: there is a search in it; continue it with --resume, or choose another --output")
    if begun is None and (options.recipe is None or options.data is None):
        missing = f"{folder}: there is no search in it to continue; " if options.resume else ""
        raise ConfigError(f"{missing}--recipe and --data are needed; --help shows examples")
    return folder, begun


def _what_to_search(
    options: argparse.Namespace, place: SearchFolder, begun: Begun | None
) -> tuple[AnyRecipe, Manifest, list[Start]]:
    from ecotf.datasets.against_audio import require_files
    from ecotf.datasets.manifest import read_manifest
    from ecotf.tasks.base import get_task
    from ecotf.tasks.recipes import load_trainable
    from ecotf.tuning.keys import check_keys, settings_of, with_settings
    from ecotf.tuning.search import Start

    overrides = [*options.overrides, *options.more]
    if begun is not None and options.recipe is None:
        if overrides or options.start_from:
            raise ConfigError("--resume takes the settings from the search; leave --set and --start-from out")
        recipe = begun.recipe
    else:
        recipe = load_trainable(options.recipe, overrides)
    get_task(recipe.task).check(recipe)
    config = _tuning_of(recipe)
    searchable = get_task(recipe.task).searchable(recipe)
    check_keys(recipe, config.space, searchable.judges)
    known = settings_of(recipe)
    own = {key: known[key] for key in config.space}
    starts = [Start("recipe", own)]
    if options.start_from:
        given = searchable.read_start(options.start_from)
        with_settings(recipe, given)
        starts.append(Start("start", {**own, **given}))
    elif begun is not None:
        starts = begun.starts
    if options.budget is not None or options.trials is not None:
        budget = {"time": options.budget, "trials": options.trials}
        recipe = recipe.model_copy(update={"tuning": config.model_copy(update=budget)})
    data = options.data if options.data is not None else place.path / "manifest.csv"
    manifest = read_manifest(data)
    if not manifest.recordings:
        raise DataError(f"{data}: the manifest names no recording")
    require_files(manifest)
    return recipe, manifest, starts


def _read_recordings(searchable: Searchable, manifest: Manifest, cache: Path, threads: int) -> Any:
    with progress_bar() as bar:
        task = bar.add_task("reading recordings", total=len(manifest.recordings))
        return searchable.read(manifest, cache, threads, log, lambda done, of: bar.update(task, completed=done))


def _tuning_of(recipe: AnyRecipe) -> TuningConfig:
    if recipe.tuning is None:
        raise ConfigError(f"{recipe.name}: the recipe has no tuning: block of settings to search (docs/tuning.md)")
    return recipe.tuning


def _open_search(recipe: AnyRecipe, manifest: Manifest, starts: list[Start], place: SearchFolder, jobs: int) -> Search:
    from ecotf.commands.tuning_folder import Begun, identity_of
    from ecotf.tuning.clock import Clock
    from ecotf.tuning.journal import NAME, Journal
    from ecotf.tuning.search import Search

    config = _tuning_of(recipe)
    begun = Begun(recipe, starts, jobs)
    if not place.is_begun:  # before the journal, which alone would be no search that could continue
        place.begin(begun, manifest)
    journal = Journal.open(place.path / NAME, identity_of(recipe, starts, manifest), log)
    place.begin(begun, manifest)
    search = Search(config, starts, journal, Clock(place.path / "clock.json", config.time_s), jobs, log)
    place.drop_leftovers([trial.number for trial in search.trials])
    return search


def _run(search: Search, objective: Objective, engine: str, place: SearchFolder, threads: int | None) -> None:
    from ecotf.tuning.report import write_table
    from ecotf.tuning.spark import run_with_spark
    from ecotf.tuning.workers import run_with_workers

    config = search.config
    ends = [f"{config.trials} trials"] if config.trials else []
    ends += [f"{config.time} of wall-clock time"] if config.time else []
    sizes = f"{len(config.space)} settings, {search.jobs} at a time; it ends with {' or '.join(ends)}"
    log(f"search folder: {place.path}")
    log(f"{sizes}" + (f"; {len(search.trials)} trials are there already" if search.trials else ""))

    def ended(number: int) -> None:
        place.drop_leftovers([number])
        write_table(search.trials, config.metric, place.path / "trials.csv")

    if engine == PROCESSES:
        run_with_workers(search, objective, log, ended, partial(set_up_worker, threads))
    else:
        run_with_spark(search, objective, engine, log, ended)


def set_up_worker(threads: int | None) -> None:
    """Keep libraries quiet, and several trials from fighting over the same cores."""
    quieten_libraries()
    if threads is not None:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
