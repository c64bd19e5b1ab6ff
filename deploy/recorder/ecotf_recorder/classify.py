"""``classify``: WAV files in, the desktop's table of detections and a ledger out."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from time import perf_counter
from typing import IO, Any

import numpy as np

from ecotf_recorder.audio.wav import open_wav
from ecotf_recorder.errors import RecorderError, SoundError
from ecotf_recorder.files import PARTIAL_PREFIX, atomic_file, disk_is_full, shown_name
from ecotf_recorder.scoring.held import Detection
from ecotf_recorder.scoring.opening import open_stream
from ecotf_recorder.strangers import as_cell
from ecotf_recorder.times.beginning import Began, iso_time

COLUMNS = ("recording", "start_s", "end_s", "low_hz", "high_hz", "label", "score", "detection_score")
LEDGER_COLUMNS = ("recording", "status", "reason", "duration_s", "n_detections", "seconds_used")
FINE = ("done", "silent")


@dataclass(frozen=True)
class Outcome:
    """The result of one recording."""

    status: str
    reason: str
    duration_s: float
    detections: list[Detection]
    began: Began | None = None


def classify(
    model: Any,
    recordings: Sequence[str],
    output: Path,
    channel: int | None = None,
    time_expansion: float | None = None,
    time_zone: tzinfo | None = None,
    report: Callable[[str, Outcome, float], None] | None = None,
) -> dict[str, int]:
    """Classify WAV files and write ``detections.csv`` and ``ledger.csv`` into ``output``, both whole or not at all.

    Parameters
    ----------
    report
        Told recording, outcome and the seconds it took, as each recording ends.

    Returns
    -------
    How many recordings ended in each status.
    """
    counts: dict[str, int] = {}
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecorderError(f"{output}: cannot be written to ({error.strerror})") from None
    try:
        with _table(output / "detections.csv") as found, _table(output / "ledger.csv") as done:
            table, book = csv.writer(found, lineterminator="\n"), csv.writer(done, lineterminator="\n")
            table.writerow((*COLUMNS, "time"))
            book.writerow(LEDGER_COLUMNS)
            for name in recordings:
                began = perf_counter()
                outcome = classify_one(model, Path(name), channel, time_expansion, time_zone)
                used = perf_counter() - began
                shown = shown_name(name)
                for one in outcome.detections:
                    table.writerow(map(as_cell, [shown, *cells(one), iso_time(outcome.began, one.start_s)]))
                duration = round(outcome.duration_s, 6) if outcome.duration_s else ""
                n = len(outcome.detections)
                book.writerow(map(as_cell, [shown, outcome.status, outcome.reason, duration, n, round(used, 3)]))
                counts[outcome.status] = counts.get(outcome.status, 0) + 1
                if report is not None:
                    report(shown, outcome, used)
    except OSError as error:
        if PARTIAL_PREFIX in os.fsdecode(error.filename or "") or error.filename is None or disk_is_full(error):
            reason = "disk full" if disk_is_full(error) else error.strerror
            raise RecorderError(f"{output}: cannot be written to ({reason})") from None
        raise
    return counts


@contextmanager
def _table(path: Path) -> Iterator[IO[str]]:
    with (
        atomic_file(path) as partial,
        open(partial, "w", newline="", encoding="utf-8") as file,
    ):
        yield file


def classify_one(
    model: Any,
    path: Path,
    channel: int | None = None,
    time_expansion: float | None = None,
    time_zone: tzinfo | None = None,
) -> Outcome:
    """The detections of one WAV file, or the reason why there are none. Memory does not grow with the recording."""
    duration_s = 0.0
    try:
        wav = open_wav(path, time_expansion, time_zone)
        duration_s = wav.duration_s
        check_rate(wav.sample_rate, model.facts.sample_rate_hz)
        if duration_s < model.facts.window_s:
            raise SoundError(f"{duration_s * 1000:.1f} ms long; {model.facts.too_short}", "short")
        stream = open_stream(model)
        found = [one for block in wav.blocks(channel) for one in stream.push(block)] + stream.finish()
    except SoundError as error:
        return Outcome(error.status, str(error), duration_s, [])
    if stream.silent:
        return Outcome("silent", wav.why_silent(channel), duration_s, [])
    reason = "; ".join(filter(None, (wav.note, wav.date_note)))
    return Outcome("done", reason, duration_s, sorted(found, key=lambda one: (one.start_s, one.label)), wav.began)


def check_rate(sample_rate: int, wanted: int) -> None:
    """A model is for one sample rate; another rate is refused, never resampled."""
    if sample_rate != wanted:
        raise SoundError(
            f"recorded at {sample_rate} Hz, the model is for {wanted} Hz; one of calls is exported with --rate "
            f"{sample_rate}, one of clips is trained with sample_rate={sample_rate}",
            "unsupported",
        )


def cells(one: Detection) -> list[object]:
    """A detection as the desktop writes it: microseconds, tenths of a hertz, four decimals of scores."""
    times = [_rounded(one.start_s, 6), _rounded(one.end_s, 6)]
    edges = [_rounded(one.low_hz, 1), _rounded(one.high_hz, 1)]
    return [*times, *edges, one.label, _rounded(one.score, 4), _rounded(one.detection_score, 4)]


def _rounded(number: float, decimals: int) -> float:
    """Numpy's way of rounding what lies half way, which is the desktop's, and not Python's."""
    return float(np.round(number, decimals))
