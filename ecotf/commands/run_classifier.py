"""``run_classifier.py``: a trained run and recordings in, detections and a ledger out."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from rich.table import Table

from ecotf.audio.discover import find_recordings
from ecotf.audio.recording import ChannelChoice
from ecotf.commands.console import complaints, console, log, progress_bar
from ecotf.detection.scoring import Stopwatch
from ecotf.errors import ConfigError
from ecotf.inference.job import ClassifierOptions, classify
from ecotf.inference.ledger import exit_status
from ecotf.inference.submission import NAME as SUBMISSION
from ecotf.inference.writers import WRITERS, check_formats
from ecotf.tasks.calls.run import LoadedRun, load_classifier

EXAMPLES = """\
examples:
  python scripts/run_classifier.py --model runs/bats/field/2026-06-21_22-15-00 recordings/ --output detections/
  python scripts/run_classifier.py --model RUN 'site_*/**/*.wav' --output detections/ --formats csv,raven
  python scripts/run_classifier.py --model RUN slowed/ --output detections/ --time-expansion 10
  python scripts/run_classifier.py --model RUN season/ --output detections/ --gate
  python scripts/run_classifier.py --model SED_RUN --model CNN_RUN soundscapes/ --output out/ --formats csv,submission

Every file that is given ends up in OUTPUT/ledger.csv as done, short, silent, corrupt, unsupported or failed, with the
reason. All times are real seconds and all frequencies real hertz, also where a recording is time-expanded.
exit status: 0 all done, 1 some files could not be used, 2 nothing could be done
"""


def main(arguments: Sequence[str]) -> int:
    """Classify recordings."""
    parser = argparse.ArgumentParser(
        prog="run_classifier.py",
        description="Find and name calls, or rows of some seconds, in recordings.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recordings", nargs="+", help="files, folders or patterns")
    parser.add_argument(
        "--model",
        metavar="RUN",
        type=Path,
        required=True,
        action="append",
        help="run folder of a training; given several times, runs of task clips answer together",
    )
    parser.add_argument("--ensemble", metavar="NAME", help="an ensemble's recipe that weighs them, birds/2023_ensemble")
    parser.add_argument("--fit-weights", action="store_true", help="weigh them by their common validation rows")
    parser.add_argument("--output", metavar="FOLDER", type=Path, required=True, help="where detections are written")
    parser.add_argument(
        "--formats", default="csv", help=f"comma-separated; of {', '.join(WRITERS)}, {SUBMISSION} (csv)"
    )
    parser.add_argument("--time-expansion", type=float, metavar="FACTOR", help="if the recordings' metadata do not say")
    parser.add_argument("--channel", default="mix", help="mix, each, or a number from 1 (mix)")
    parser.add_argument("--threshold", type=float, help="one score from 0 to 1 instead of the run's own thresholds")
    parser.add_argument("--named-only", action="store_true", help="leave out calls that no species is named for")
    parser.add_argument("--gate", action="store_true", help="skip patches in which nothing reaches the run's gate")
    parser.add_argument("--no-recursive", action="store_true", help="do not look into folders inside folders")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted job into the same folder")
    options = parser.parse_intermixed_args(arguments)

    formats = tuple(name.strip() for name in options.formats.split(",") if name.strip())
    check_formats([name for name in formats if name != SUBMISSION] or ("csv",) if formats else ())
    chosen = ClassifierOptions(
        formats,
        _expansion(options.time_expansion),
        _channel(options.channel),
        _score(options.threshold),
        not options.named_only,
        options.gate,
    )
    found = find_recordings(options.recordings, recursive=not options.no_recursive)
    recordings, unmatched = found.recordings, found.problems
    for argument, reason in unmatched:
        complaints.print(f"{argument}: {reason}", markup=False)
    if found.passed_over:
        complaints.print(found.passed_over_text, markup=False)
    if not recordings:
        raise ConfigError("no recording to classify")
    run = load_classifier(options.model, options.ensemble, options.fit_weights)
    if not isinstance(run, LoadedRun) and len(run.runs) > 1:
        shares = np.array(run.weights) / sum(run.weights)
        log(
            "ensemble: "
            + ", ".join(f"{one.recipe.name} {share:.2f}" for one, share in zip(run.runs, shares, strict=True))
        )
    stopwatch = Stopwatch()
    with progress_bar() as bar:
        task = bar.add_task("classifying", total=len(recordings))

        def report(recording: str, status: str, reason: str, detections: int) -> None:
            bar.advance(task)
            if reason:
                bar.console.print(f"{recording}: {status}: {reason}", markup=False)

        counts = classify(run, recordings, options.output, chosen, options.resume, report, stopwatch)
    _summarise(counts, options.output, formats)
    if isinstance(run, LoadedRun) and run.gate is not None and options.gate:
        log(gate_text(run.gate.threshold_db, stopwatch))
    status = exit_status(counts)  # type: ignore[arg-type]
    return max(status, 1) if unmatched else status


def _summarise(counts: dict[str, int], output: Path, formats: Sequence[str]) -> None:
    from ecotf.inference.summary import species_counts

    found = species_counts(output)
    if found is not None and len(found):
        table = Table("species", "detections", "recordings", "highest score", title="detections")
        for row in found.itertuples():
            table.add_row(str(row.label), str(row.detections), str(row.recordings), f"{row.highest:.3f}")
        console.print(table)
    elif found is not None:
        log("no detections")
    log("recordings: " + ", ".join(f"{number} {status}" for status, number in counts.items() if number))
    log(f"detections: {output} ({', '.join(formats)})")
    log(f"ledger:     {output / 'ledger.csv'}")


def gate_text(threshold_db: float, spent: Stopwatch) -> str:
    """One line: what the gate spared."""
    passed = spent.passed_s / spent.sound_s if spent.sound_s else 0.0
    return (
        f"gate at {threshold_db:.2f} dB: {passed:.0%} of the sound passed over; in the rest {spent.patches} patches "
        f"scored, {spent.skipped} skipped"
    )


def _channel(text: str) -> ChannelChoice | Literal["each"]:
    if text == "mix":
        return "mix"
    if text == "each":
        return "each"
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"--channel {text!r}: allowed are mix, each, or a channel's number, counted from 1")
    return int(text)


def _expansion(factor: float | None) -> float | None:
    if factor is not None and not 0 < factor < math.inf:
        raise ConfigError(f"--time-expansion {factor:g}: it is a factor above 0; 10 for recordings slowed ten times")
    return factor


def _score(threshold: float | None) -> float | None:
    if threshold is not None and not 0 <= threshold <= 1:
        raise ConfigError(f"--threshold {threshold:g}: a score is from 0 to 1")
    return threshold
