"""Listen to one recording with a run: every chosen channel, block by block; every error is noted."""

from __future__ import annotations

import errno
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from time import perf_counter
from typing import NamedTuple

import numpy as np
import pandas as pd

from ecotf.audio.beginning import iso_time, time_zone_of
from ecotf.audio.channels import ChannelChoice, channels_to_read
from ecotf.audio.provenance import read_provenance
from ecotf.audio.recording import Recording, open_recording
from ecotf.detection.scoring import Stopwatch
from ecotf.errors import ConfigError, DiskFullError, RecordingError, RecordingStatus
from ecotf.inference.formats import calls_of
from ecotf.inference.outcome import Outcome, Waiting, said
from ecotf.inference.pieces import Answer, Part, Piece, Span
from ecotf.inference.question import ClassifierOptions
from ecotf.tasks.base import Run, StreamOptions
from ecotf.tasks.parts import detections_of_part

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
    longest_s
        A recording that takes longer is ``failed``; None for no limit.
    part_s
        Recordings of twice that length are heard in parts of about it, where they may be; seconds.

    Raises
    ------
    ConfigError
        The run cannot do what is asked.
    """

    def __init__(self, run: Run, options: ClassifierOptions, keep_segments: bool = False) -> None:
        self._run, self._options = run, options
        self.keep_segments = keep_segments
        self.spent = Stopwatch()
        self.longest_s: float | None = None
        self.part_s = math.inf
        self._asked = StreamOptions(options.threshold, options.unnamed, options.gate)
        self._zone = None if options.time_zone is None else time_zone_of(options.time_zone)
        run.check(self._asked)

    def listen(self, name: str) -> Outcome:
        """Find what is in the recording called ``name``; never raises for a fault of the recording."""
        return self.answer(Piece(Waiting.of(name))).outcome

    def answer(self, piece: Piece) -> Answer:
        """Find what is in a recording or in a part of one, or say where to cut it; never raises for its faults."""
        began = perf_counter()
        self._end = math.inf if self.longest_s is None else began + self.longest_s
        self._more: Answer = Answer(Outcome("failed"))
        salvage = self._options.salvage and piece.part is None
        outcome = attempt(lambda salvage: self._listen(piece, salvage), piece.one.file, salvage)
        if not self._more.starts:
            origin = read_provenance(piece.one.file, self._zone)
            outcome = outcome._replace(began=origin.time, recorder=origin.recorder)
        return self._more._replace(outcome=outcome._replace(seconds_used=perf_counter() - began))

    def _listen(self, piece: Piece, salvage: bool) -> Outcome:
        duration_s = math.nan
        try:
            recording = open_recording(
                piece.one.file,
                time_expansion=self._options.time_expansion,
                time_zone=self._options.time_zone,
                salvage=salvage,
            )
            duration_s = recording.duration_s
            return self._hear(recording, piece)
        except RecordingError as error:
            return Outcome(error.status, str(error), duration_s)

    def _hear(self, recording: Recording, piece: Piece) -> Outcome:
        try:
            rate = self._run.stream_rate(recording.sample_rate)
        except ConfigError as error:
            raise RecordingError(str(error), "unsupported") from None
        if recording.duration_s < self._run.shortest_s:
            least_ms = self._run.shortest_s * 1000
            raise RecordingError(
                f"{recording.duration_s * 1000:.1f} ms long; at least {least_ms:.1f} ms are needed", "short"
            )
        channels = channels_to_read(recording.n_channels, self._options.channel)
        starts = self._starts(recording, rate) if piece.may_be_cut else ()
        self._more = self._more._replace(starts=starts)
        if starts:
            return Outcome("done")  # heard in parts
        heard = [self._hear_channel(recording, rate, channel, piece.part) for channel in channels]
        self._more = self._more._replace(spans=tuple(one.span for one in heard))
        table = pd.concat([one.table for one in heard]).sort_values(["start_s", "label"], ignore_index=True)
        table = table.astype(dict.fromkeys(_DECIMALS, float)).round(_DECIMALS)
        table["time"] = [iso_time(recording.began, start) for start in table["start_s"]]
        segments = np.max([one.segments for one in heard], axis=0).tolist() if self.keep_segments else None
        notes = [recording.note, recording.date_note]
        status: RecordingStatus = "done"
        if piece.part is None and all(one.silent for one in heard):
            status = "silent"
            notes.insert(0, why_silent(recording, self._options.channel))
        if recording.salvaged:
            status = "salvaged"
        return Outcome(
            status, "; ".join(filter(None, notes)), recording.duration_s, 0.0, recording.sample_rate, calls_of(table),
            segments,
        )  # fmt: skip

    def _starts(self, recording: Recording, rate: int) -> tuple[int, ...]:
        """Where a long recording may be cut into parts; nothing where it is heard as one."""
        if self.keep_segments or recording.duration_s < 2 * self.part_s or not recording.can_begin_anywhere:
            return ()
        cuts = self._run.cuts(rate, self._asked)
        starts = [] if cuts is None else cuts.starts(round(recording.duration_s * rate), round(self.part_s * rate))
        return tuple(starts) if len(starts) > 1 else ()

    def _in_time(self, blocks: Iterator[np.ndarray], span: list[float]) -> Iterator[np.ndarray]:
        """Pass blocks on, with the least and the greatest sample so far; refuse to go on when the time is over."""
        for block in blocks:
            if perf_counter() > self._end:
                raise RecordingError(f"took longer than --timeout {self.longest_s:g} s", "failed")
            if len(block):
                span[:] = min(span[0], float(block.min())), max(span[1], float(block.max()))
            yield block

    def _hear_part(self, recording: Recording, rate: int, channel: ChannelChoice, part: Part) -> _Heard:
        cuts, span = self._run.cuts(rate, self._asked), [math.inf, -math.inf]
        if cuts is None:
            raise ConfigError(f"{self._run.title} cannot hear a recording in parts")
        first, block = cuts.first_sample(part.start), round(_BLOCK_S * rate)
        blocks = recording.blocks(block, channel=channel, sample_rate=rate, first=first)
        stream = cuts.open(part.start)
        stop_s = None if part.stop is None else part.stop / rate
        table = detections_of_part(stream, self._in_time(blocks, span), part.start / rate, stop_s)
        self.spent.add(stream.spent)
        table["channel"] = None if channel == "mix" else channel
        return _Heard(table, False, np.empty((0, 0)), Span(None if channel == "mix" else channel, *span))

    def _hear_channel(
        self, recording: Recording, rate: int, channel: ChannelChoice, part: Part | None = None
    ) -> _Heard:
        if part is not None:
            return self._hear_part(recording, rate, channel, part)
        span = [math.inf, -math.inf]
        stream = self._run.open_stream(rate, replace(self._asked, segments=self.keep_segments))
        tables, segments = [], []
        blocks = recording.blocks(round(_BLOCK_S * rate), channel=channel, sample_rate=rate)
        for block in self._in_time(blocks, span):
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
    span: Span = Span(None, math.inf, -math.inf)


def why_silent(recording: Recording, channel: ChannelChoice | str) -> str:
    """Return why there is no sound to analyse: a silent channel, or channels that cancel each other when mixed."""
    if channel == "mix" and recording.n_channels > 1:
        lowest, highest = np.inf, -np.inf
        for block in recording.blocks(1 << 16, channel=1):
            lowest, highest = min(lowest, float(block.min())), max(highest, float(block.max()))
            if lowest < highest:
                return "the channels cancel each other; try --channel 1"
    return "every sample is the same; a broken microphone or an empty channel"
