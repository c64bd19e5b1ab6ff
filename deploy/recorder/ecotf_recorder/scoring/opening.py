"""The stream of detections that a model's kind needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecotf_recorder.facts import SegmentFacts
from ecotf_recorder.scoring.segments import SegmentStream
from ecotf_recorder.scoring.stream import DetectionStream

Stream = DetectionStream | SegmentStream

LONGEST_LIVE_S = 60.0
_LONGEST_S = 600.0
_PEAKS_S = 3.0  # chunk, margin, one and a half blocks


def open_stream(
    model: Any,
    thresholds: Mapping[str, float] | None = None,
    unnamed: bool | None = None,
    chunk_s: float = 1.0,
    live: bool = False,
) -> Stream:
    """A stream for one stretch of sound; parameters as of `DetectionStream`.

    ``live`` sound is kept for clips until its detections are out, so there an event is cut that a recording would keep.
    """
    if isinstance(model.facts, SegmentFacts):
        return SegmentStream(model, model.facts, thresholds, LONGEST_LIVE_S if live else _LONGEST_S)
    return DetectionStream(model, thresholds, unnamed, chunk_s)


def latency_s(facts: Any) -> float:
    """From a sample until its detections are settled, at the most."""
    if not isinstance(facts, SegmentFacts):
        return _PEAKS_S
    around_s = 0.0 if facts.boxes is None else facts.boxes.settings.around_s
    return facts.samples / facts.sample_rate_hz + (LONGEST_LIVE_S + around_s if facts.reports_events else 0.0)
