"""``ecotf classify``: a trained run and recordings in, detections and a ledger out."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ecotf.commands.console import complaints, console, log, make_parser, plain, progress_bar
from ecotf.commands.jobs import channel_of, expansion_of, log_counts, status_of, stopped
from ecotf.errors import ConfigError
from ecotf.inference import FORMATS

if TYPE_CHECKING:
    from ecotf.audio.discover import Recordings
    from ecotf.inference.job import JobResult, Report
    from ecotf.inference.outcome import Outcome
    from ecotf.inference.question import ClassifierOptions

_STILL_S = 60.0  # a recording that was written to more lately may not be whole yet
_SAY_EVERY_S = 60.0

EXAMPLES = """\
examples:
  ecotf classify --model runs/bats/field/2026-06-21_22-15-00 recordings/ --output detections/
  ecotf classify --model RUN 'site_*/**/*.wav' --output detections/ --formats csv,raven
  ecotf classify --model RUN slowed/ --output detections/ --time-expansion 10
  ecotf classify --model RUN season/ --output detections/ --gate
  ecotf classify --model SED_RUN --model CNN_RUN soundscapes/ --output out/ --formats csv,submission
  ecotf classify --model RUN season/ --output detections/ --workers 8 --timeout 600
  ecotf classify --model RUN /mnt/recorders --output detections/ --formats dataset --watch 3600
  ecotf classify --model RUN second_season/ --output detections/ --formats csv,raven --resume

Every file that is given ends up in OUTPUT/ledger.csv as done, salvaged, short, silent, corrupt, unsupported or failed,
with the reason. OUTPUT holds one job: --resume continues it, also with other recordings and more formats.
All times are real seconds and all frequencies real hertz, also where a recording is time-expanded.
exit status: 0 all done, 1 some files could not be used, 2 nothing could be done
"""


def main(arguments: Sequence[str]) -> int:
    """Classify recordings."""
    parser = make_parser("classify", "Find and name calls, or score segments of some seconds, in recordings.", EXAMPLES)
    parser.add_argument("recordings", nargs="+", help="files, folders or patterns")
    parser.add_argument(
        "--model",
        metavar="RUN",
        type=Path,
        required=True,
        action="append",
        help="run folder of a training; given several times, runs of task clips answer together",
    )
    parser.add_argument("--ensemble", metavar="NAME", help="recipe with their weights, as birds/2023_ensemble")
    parser.add_argument("--fit-weights", action="store_true", help="fit their weights on common validation segments")
    parser.add_argument("--output", metavar="FOLDER", type=Path, required=True, help="where detections are written")
    parser.add_argument("--formats", default="csv", help=f"comma-separated, from {', '.join(FORMATS)} (csv)")
    parser.add_argument("--time-expansion", type=float, metavar="FACTOR", help="if the recordings' metadata do not say")
    parser.add_argument("--channel", default="mix", help="mix, each, or a number from 1 (mix)")
    parser.add_argument("--threshold", type=float, help="one score from 0 to 1 instead of the run's own thresholds")
    parser.add_argument("--named-only", action="store_true", help="leave out calls that no species is named for")
    parser.add_argument("--gate", action="store_true", help="skip patches in which nothing reaches the run's gate")
    parser.add_argument("--no-recursive", action="store_true", help="do not look into folders inside folders")
    parser.add_argument("--time-zone", metavar="ZONE", help="of times without one: Europe/Brussels or +02:00")
    parser.add_argument("--salvage", action="store_true", help="use the beginning of recordings that are cut off")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="processes that listen (0: this one)")
    parser.add_argument("--engine", default="processes", help="processes, or a Spark: spark://HOST:PORT (processes)")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="a file that takes longer is failed")
    parser.add_argument("--watch", type=float, metavar="SECONDS", help="look for new recordings so often, until Ctrl-C")
    parser.add_argument("--resume", action="store_true", help="continue the job in the output folder")
    parser.add_argument("--overwrite", action="store_true", help="replace the job in the output folder")
    options = parser.parse_intermixed_args(arguments)

    # Here and not above: help and a typing mistake need none of these, and pandas alone takes half a second.
    from ecotf.audio.discover import Recordings, shown_name

    chosen = _options(options)
    still_s = 0.0 if options.watch is None else min(_STILL_S, options.watch)
    found = Recordings(options.recordings, not options.no_recursive, still_s)
    none = not len(found)
    for argument, reason in found.problems:
        complaints.print(plain(f"{shown_name(argument)}: {reason}"))
    if found.passed_over:
        complaints.print(plain(found.passed_over_text))
    if none and options.watch is None:
        raise ConfigError("no recording to classify")
    try:
        result = _classify(options, chosen, found)
    except KeyboardInterrupt:
        return stopped(arguments, "classify")
    _summarise(result, options.output)
    return status_of(result.counts, bool(found.problems))


def _options(options: argparse.Namespace) -> ClassifierOptions:
    """Read the options of the command line; raises `ConfigError` for options that cannot go together."""
    from ecotf.audio.beginning import time_zone_of
    from ecotf.inference.job import check_options
    from ecotf.inference.question import ClassifierOptions

    chosen = ClassifierOptions(
        tuple(name.strip() for name in options.formats.split(",") if name.strip()),
        expansion_of(options.time_expansion),
        channel_of(options.channel),
        options.threshold,
        not options.named_only,
        options.gate,
        options.time_zone,
        options.salvage,
    )
    check_options(chosen, options.resume, options.overwrite)
    if options.watch is not None and not options.watch > 0:
        raise ConfigError(f"--watch {options.watch:g}: it is in seconds, above 0")
    if options.time_zone is not None:
        time_zone_of(options.time_zone)
    return chosen


def _classify(options: argparse.Namespace, chosen: ClassifierOptions, found: Recordings) -> JobResult:
    from ecotf.inference.disks import Disks
    from ecotf.inference.engine import EngineOptions
    from ecotf.inference.job import classify
    from ecotf.inference.run_source import RunSource

    engine = EngineOptions(options.workers, options.engine, options.timeout)
    source = RunSource(tuple(map(str, options.model)), options.ensemble, options.fit_weights)
    run = source.load()
    if len(options.model) > 1:
        log(f"ensemble: {run.title}")
    disks = Disks(options.recordings, log)

    def once(resume: bool, overwrite: bool) -> JobResult:
        def run_job(report: Report, passed: Callable[[int], object]) -> JobResult:
            return classify(
                run, found, options.output, chosen, resume, overwrite, report, engine, source, disks, passed
            )

        return _one_round(run_job, len(found))

    if options.watch is None:
        return once(options.resume, options.overwrite)
    resume, overwrite, seen = options.resume, options.overwrite, 0
    while True:  # until Ctrl-C
        now = found.fingerprint()
        if now != seen:
            _summarise(once(resume, overwrite), options.output)
            resume, overwrite, seen = True, False, now
        if found.too_new:
            log(f"{found.too_new} recordings are left for the next round: they may not be written to their ends")
        time.sleep(options.watch)
        disks.waited()


def _one_round(classify: Callable[[Report, Callable[[int], object]], JobResult], files: int) -> JobResult:
    """Classify once, with a bar on a terminal and a line a minute without one."""
    from ecotf.inference.progress import Progress

    progress = Progress(files)
    with progress_bar() as bar:
        task = bar.add_task("classifying", total=files)
        said_s = time.monotonic()

        def report(recording: str, outcome: Outcome) -> None:
            nonlocal said_s
            progress.take(outcome)
            bar.advance(task)
            if outcome.status != "done":
                bar.console.print(plain(f"{recording}: {outcome.status}: {outcome.reason}"))
            if time.monotonic() - said_s > (1 if console.is_terminal else _SAY_EVERY_S):
                said_s = time.monotonic()
                if console.is_terminal:
                    bar.update(task, description=progress.line())
                else:
                    log(progress.line())

        def passed(files: int) -> None:
            bar.update(task, total=progress.pass_by(files))

        return classify(report, passed)


def _summarise(result: JobResult, output: Path) -> None:
    from rich.table import Table

    from ecotf.audio.discover import shown_name
    from ecotf.inference.ledger import NAME as LEDGER

    if result.species:
        table = Table("species", "detections", "recordings", "highest score", title="detections")
        for one in result.species:
            table.add_row(plain(one.label), str(one.detections), str(one.recordings), f"{one.highest:.3f}")
        console.print(table)
    else:
        log("no detections")
    log_counts(result.counts)
    log(f"detections: {shown_name(output)} ({', '.join(result.formats)})")
    log(f"ledger:     {shown_name(output / LEDGER)}")
    spent = result.spent
    if spent.sound_s:
        log(
            f"gate: {spent.passed_s / spent.sound_s:.0%} of the sound passed over; in the rest {spent.patches} patches "
            f"scored, {spent.skipped} skipped"
        )
