"""Listen to one recording with a run: every chosen channel, block by block; every error is noted."""

from __future__ import annotations

import errno
import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from ecotf.audio.beginning import iso_time, time_zone_of
from ecotf.audio.provenance import read_provenance
from ecotf.audio.recording import ChannelChoice, Recording, channels_to_read, open_recording
from ecotf.detection.scoring import Stopwatch
from ecotf.errors import ConfigError, DiskFullError, RecordingError, RecordingStatus
from ecotf.inference.formats import calls_of
from ecotf.inference.output import Outcome, said
from ecotf.inference.question import ClassifierOptions
from ecotf.tasks.base import Run, StreamOptions

_BLOCK_S = 1.0
# Finer than a sample and a band; further digits would only seem to be known.
_DECIMALS = {"start_s": 6, "end_s": 6, "low_hz": 1, "high_hz": 1, "score": 4, "detection_score": 4}
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Listener:
    """Listens to recordings, one after the other, with one run.

    Attributes
    ----------
    keep_segments
        Whether the score of every segment is wanted too.
    spent
        What listening has cost so far, and what the gate has spared.

    Raises
    ------
    ConfigError
        The run cannot do what is asked.
    """

    def __init__(self, run: Run, options: ClassifierOptions) -> None:
        self._run, self._options = run, options
        self.keep_segments = False
        self.spent = Stopwatch()
        self._asked = StreamOptions(options.threshold, options.unnamed, options.gate)
        self._zone = None if options.time_zone is None else time_zone_of(options.time_zone)
        run.check(self._asked)

    def listen(self, name: str) -> Outcome:
        """Find what is in the recording called ``name``; never raises for a fault of the recording."""
        outcome = attempt(lambda salvage: self._listen(name, salvage), name, self._options.salvage)
        origin = read_provenance(name, self._zone)
        return outcome._replace(began=origin.time, recorder=origin.recorder)

    def _listen(self, name: str, salvage: bool) -> Outcome:
        duration_s = math.nan
        try:
            recording = open_recording(
                name,
                time_expansion=self._options.time_expansion,
                time_zone=self._options.time_zone,
                salvage=salvage,
            )
            duration_s = recording.duration_s
            return self._hear(recording)
        except RecordingError as error:
            return Outcome(error.status, str(error), duration_s)

    def _hear(self, recording: Recording) -> Outcome:
        try:
            rate = self._run.stream_rate(recording.sample_rate)
        except ConfigError as error:
            raise RecordingError(str(error), "unsupported") from None
        if recording.duration_s < self._run.shortest_s:
            least_ms = self._run.shortest_s * 1000
            raise RecordingError(
                f"{recording.duration_s * 1000:.1f} ms long; at least {least_ms:.1f} ms are needed", "short"
            )
        heard = [
            self._hear_channel(recording, rate, channel)
            for channel in channels_to_read(recording, self._options.channel)
        ]
        table = pd.concat([one.table for one in heard]).sort_values(["start_s", "label"], ignore_index=True)
        table = table.astype(dict.fromkeys(_DECIMALS, float)).round(_DECIMALS)
        table["time"] = [iso_time(recording.began, start) for start in table["start_s"]]
        segments = np.max([one.segments for one in heard], axis=0).tolist() if self.keep_segments else None
        notes = [recording.note, recording.date_note]
        status: RecordingStatus = "done"
        if all(one.silent for one in heard):
            status = "silent"
            notes.insert(0, why_silent(recording, self._options.channel))
        if recording.salvaged:
            status = "salvaged"
        return Outcome(
            status, "; ".join(filter(None, notes)), recording.duration_s, 0.0, recording.sample_rate, calls_of(table),
            segments,
        )  # fmt: skip

    def _hear_channel(self, recording: Recording, rate: int, channel: ChannelChoice) -> _Heard:
        stream = self._run.open_stream(rate, replace(self._asked, segments=self.keep_segments))
        tables, segments = [], []
        for block in recording.blocks(round(_BLOCK_S * rate), channel=channel, sample_rate=rate):
            tables.append(stream.push(block))
            if self.keep_segments:
                segments.append(stream.take_segments())
        tables.append(stream.finish())
        if self.keep_segments:
            segments.append(stream.take_segments())
        self.spent.add(stream.spent)
        table = pd.concat([table for table in tables if len(table)] or tables[-1:], ignore_index=True)
        table["channel"] = None if channel == "mix" else channel
        return _Heard(table, stream.silent, np.concatenate(segments) if segments else np.empty((0, 0)))


def attempt(listen: Callable[[bool], Outcome], name: str, salvage: bool) -> Outcome:
    """Return what ``listen`` finds in the recording called ``name``, or the reason why it finds nothing.

    ``listen`` takes whether it should make do with the readable part of a damaged recording; it is asked for that
    where ``salvage`` allows it and the whole is corrupt. Only a full disk is raised (`DiskFullError`).
    """
    try:
        outcome = _reasoned(listen, False)
        if outcome.status == "corrupt" and salvage:
            salvaged = _reasoned(listen, True)
            outcome = salvaged if salvaged.status == "salvaged" else outcome
        return outcome
    except DiskFullError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFullError(f"disk full while reading {name}") from error
        return Outcome("failed", said(error))
    except Exception as error:
        return Outcome("failed", said(error))


def _reasoned(listen: Callable[[bool], Outcome], salvage: bool) -> Outcome:
    try:
        return listen(salvage)
    except RecordingError as error:
        return Outcome(error.status, str(error))


class _Heard(NamedTuple):
    """The detections of one channel."""

    table: pd.DataFrame
    silent: bool
    segments: np.ndarray


def why_silent(recording: Recording, channel: ChannelChoice | str) -> str:
    """Return why there is no sound to analyse: a silent channel, or channels that cancel each other when mixed."""
    if channel == "mix" and recording.n_channels > 1:
        lowest, highest = np.inf, -np.inf
        for block in recording.blocks(1 << 16, channel=1):
            lowest, highest = min(lowest, float(block.min())), max(highest, float(block.max()))
            if lowest < highest:
                return "the channels cancel each other; try --channel 1"
    return "every sample is the same; a broken microphone or an empty channel"
