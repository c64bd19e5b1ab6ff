"""Run a trained model over recordings: stream each, find its calls, write them down, and account for every file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Literal

import numpy as np

from ecotf.audio.recording import ChannelChoice, Recording, channels_to_read, open_recording
from ecotf.detection.candidates import DetectionConfig, find_candidates, margin_s
from ecotf.detection.gate import FittedGate
from ecotf.detection.naming import name_calls
from ecotf.detection.scoring import Stopwatch
from ecotf.errors import ConfigError, RecordingError, RecordingStatus
from ecotf.features.gated import GatedStream, Stretch
from ecotf.features.spectrogram import BandSpectrogram, Spectrogram
from ecotf.inference.ledger import Ledger, done_recordings
from ecotf.inference.submission import NAME as SUBMISSION
from ecotf.inference.submission import SubmissionWriter, check_stems
from ecotf.inference.writers import DetectionWriter, common_folder
from ecotf.tasks.calls.run import LoadedRun
from ecotf.tasks.clips.run import ClipEnsemble, check_length

if TYPE_CHECKING:
    import pandas as pd

_BLOCK_S = 1.0
# Finer than a sample and a band; what lies behind would only seem to be known.
_DECIMALS = {"start_s": 6, "end_s": 6, "low_hz": 1, "high_hz": 1, "score": 4}

Report = Callable[[str, str, str, int], None]
"""Told recording, status, reason and number of detections as each recording ends."""


@dataclass(frozen=True)
class ClassifierOptions:
    """What a user may ask of a classification.

    Attributes
    ----------
    time_expansion
        Stated by the user; None takes what the recording's metadata say, or real time.
    channel
        ``mix``, ``each`` or a channel's number, counted from 1.
    threshold
        One threshold for everything instead of the run's own.
    unnamed
        Keep calls that no species is named for, as ``bat``.
    gate
        Pass over what does not reach the run's gate.
    """

    formats: tuple[str, ...] = ("csv",)
    time_expansion: float | None = None
    channel: ChannelChoice | Literal["each"] = "mix"
    threshold: float | None = None
    unnamed: bool = True
    gate: bool = False


def classify(
    run: LoadedRun | ClipEnsemble,
    recordings: Sequence[Path],
    output: Path,
    options: ClassifierOptions,
    resume: bool = False,
    report: Report | None = None,
    stopwatch: Stopwatch | None = None,
) -> dict[str, int]:
    """Classify ``recordings`` and write detections and the ledger into ``output``.

    A recording that cannot be used is noted in the ledger with the reason; the others go on.

    Parameters
    ----------
    resume
        Skip what an earlier, interrupted job into the same folder has settled.
    stopwatch
        Adds up what detection takes, and what the gate skips.

    Returns
    -------
    How many recordings ended in each status.

    Raises
    ------
    ConfigError
        The gate is asked for and the run has none.
    """
    tables = tuple(name for name in options.formats if name != SUBMISSION) or ("csv",)
    if isinstance(run, LoadedRun):
        if options.gate:
            _require_gate(run)
        if SUBMISSION in options.formats:
            raise ConfigError("format submission: it holds rows of five seconds; only runs of task clips give them")
    elif options.gate:
        raise ConfigError("--gate: a run of task clips has no gate; leave --gate out")
    watch = stopwatch or Stopwatch()
    names = [str(path) for path in recordings]
    if SUBMISSION in options.formats:
        check_stems(names)
    settled = done_recordings(output / "ledger.csv") & set(names) if resume else set()
    with (
        Ledger(output / "ledger.csv", resume) as ledger,
        DetectionWriter(output, tables, common_folder(names), names, settled or None) as writer,
    ):
        submission = None
        if SUBMISSION in options.formats and not isinstance(run, LoadedRun):
            submission = SubmissionWriter(output, run.classes, settled or None)
        for name in names:
            if name in settled:
                continue
            began = perf_counter()
            status: RecordingStatus
            detections, duration_s = _nothing(), float("nan")
            try:
                recording = open_recording(name, time_expansion=options.time_expansion)
                duration_s = recording.duration_s
                if isinstance(run, LoadedRun):
                    status, reason, detections = _classify_one(run, recording, options, watch)
                else:
                    status, reason, detections = _classify_segments(run, recording, options, submission)
                writer.add(name, detections, recording.sample_rate)
            except RecordingError as error:
                status, reason = error.status, str(error)
            ledger.add(name, status, reason, duration_s, len(detections), perf_counter() - began)
            if report is not None:
                report(name, status, reason, len(detections))
        if submission is not None:
            submission.close()
        return {str(status): number for status, number in ledger.summary().items()}


def _classify_segments(
    run: ClipEnsemble, recording: Recording, options: ClassifierOptions, submission: SubmissionWriter | None
) -> tuple[Literal["done", "silent"], str, pd.DataFrame]:
    """The same with runs of task clips; of several channels a submission has each row's greatest score."""

    import pandas as pd

    check_length(recording)
    tables, silent, scores = [], [], []
    for channel in channels_to_read(recording, options.channel):
        rows, is_silent = run.score(recording, channel)
        found = run.detections(rows, recording.duration_s, options.threshold)
        tables.append(found.iloc[:0] if is_silent else found)
        silent.append(is_silent)
        scores.append(rows.probabilities)
    if submission is not None:
        submission.add(str(recording.path), np.max(scores, axis=0), run.segment_s)
    detections = pd.concat(tables).sort_values(["start_s", "label"], ignore_index=True).round(_DECIMALS)
    if all(silent):
        return "silent", "every sample is the same; a broken microphone or an empty channel", detections
    return "done", "", detections


def _classify_one(
    run: LoadedRun, recording: Recording, options: ClassifierOptions, stopwatch: Stopwatch
) -> tuple[Literal["done", "silent", "short"], str, pd.DataFrame]:
    import pandas as pd

    try:
        spectrogram = BandSpectrogram(run.recipe.front_end, recording.sample_rate)
    except ConfigError as error:
        raise RecordingError(str(error), "unsupported") from None
    shortest = run.recipe.patches.width_s
    if recording.duration_s < shortest:
        raise RecordingError(
            f"{recording.duration_s * 1000:.1f} ms long; one window of the model is {shortest * 1000:.1f} ms", "short"
        )
    tables, silent = [], []
    for channel in channels_to_read(recording, options.channel):
        table, is_silent = detect(run, recording, spectrogram, channel, options.gate, stopwatch)
        tables.append(name_calls(table, _thresholds(run, options.threshold), options.unnamed))
        silent.append(is_silent)
    detections = pd.concat(tables).sort_values(["start_s", "label"], ignore_index=True).round(_DECIMALS)
    if all(silent):
        return "silent", "every sample is the same; a broken microphone or an empty channel", detections
    return "done", "", detections


def detect(
    run: LoadedRun,
    recording: Recording,
    spectrogram: BandSpectrogram,
    channel: ChannelChoice,
    gate: bool = False,
    stopwatch: Stopwatch | None = None,
) -> tuple[pd.DataFrame, bool]:
    """Candidates of one channel, and whether the channel is silent. Memory does not grow with the recording."""

    import pandas as pd

    config: DetectionConfig = run.recipe.detection
    watch = stopwatch or Stopwatch()
    lowest, highest = np.inf, -np.inf

    def sound() -> Iterator[np.ndarray]:
        nonlocal lowest, highest
        for block in recording.blocks(round(_BLOCK_S * recording.sample_rate), channel=channel):
            lowest, highest = min(lowest, float(block.min())), max(highest, float(block.max()))
            yield block

    pieces = gated_pieces(run, spectrogram, sound(), watch) if gate else plain_pieces(spectrogram, sound())
    found = list(
        find_candidates(
            pieces,
            run.detector,
            config,
            run.recipe.peaks,
            spectrogram.hop_s,
            spectrogram.offset_s,
            spectrogram.frequencies_hz,
            stopwatch=watch,
        )
    )
    silent = not lowest < highest
    table = pd.concat(found, ignore_index=True)
    return (table.iloc[:0] if silent else table), silent


def plain_pieces(spectrogram: Spectrogram, sound: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The spectrogram of sound that comes in blocks, piece by piece."""
    stream = spectrogram.stream()
    for block in sound:
        yield stream.push(block)
    yield stream.finish()


def gated_pieces(
    run: LoadedRun, spectrogram: BandSpectrogram, sound: Iterable[np.ndarray], stopwatch: Stopwatch
) -> Iterator[Stretch]:
    """The stretches of it that the run's gate lets through, wide enough for all that they are needed for."""
    gate = _require_gate(run)
    config: DetectionConfig = run.recipe.detection
    margin = round(margin_s(run.recipe.patches, config, run.recipe.peaks) / spectrogram.hop_s)
    stream = GatedStream(spectrogram, config.gate, gate.threshold_db, margin)
    for block in sound:
        yield from stream.push(block)
    yield from stream.finish()
    stopwatch.sound_s += stream.frames * spectrogram.hop_s
    stopwatch.passed_s += stream.frames_passed * spectrogram.hop_s


def _require_gate(run: LoadedRun) -> FittedGate:
    if run.gate is None:
        raise ConfigError(f"{run.path}: the run has no fitted gate; leave --gate out, or train anew")
    return run.gate


def _thresholds(run: LoadedRun, stated: float | None) -> dict[str, float]:
    return run.thresholds if stated is None else dict.fromkeys(run.thresholds, stated)


def _nothing() -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns=["start_s", "end_s", "low_hz", "high_hz", "label", "score"])
