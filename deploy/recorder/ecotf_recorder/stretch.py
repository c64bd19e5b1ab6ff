"""One stretch of sound on its way: scored, written down, and its clips cut."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from ecotf_recorder.scoring.held import Detection
from ecotf_recorder.scoring.opening import open_stream
from ecotf_recorder.sources.events import Began
from ecotf_recorder.store.clips import ClipKeeper, Origin
from ecotf_recorder.store.journal import Journal
from ecotf_recorder.store.spans import RecentSound, SpanPlanner, SpanSettings
from ecotf_recorder.times.clock import Clock
from ecotf_recorder.times.trust import NOT_KNOWN, RECORDING

_SEGMENT_S = 1.0


@dataclass(frozen=True)
class Wishes:
    """Settings of the owner for scoring and clips.

    Attributes
    ----------
    thresholds, unnamed
        Instead of the model's own; None keeps them.
    least_score, labels
        Which detections get a clip; no labels stand for all.
    """

    thresholds: Mapping[str, float] | None
    unnamed: bool | None
    spans: SpanSettings
    least_score: float
    labels: Collection[str]


class Stretch:
    """A stretch of sound without gaps.

    Parameters
    ----------
    clips
        None keeps none.
    recent
        The room for its latest sound, used again from stretch to stretch.

    Attributes
    ----------
    number
        In the journal.
    found
        Detections so far.
    """

    def __init__(
        self, began: Began, model: Any, wishes: Wishes, journal: Journal, clips: ClipKeeper | None,
        recent: RecentSound, clock: Clock, release: str,
    ) -> None:  # fmt: skip
        self.began, self._clock, self._journal, self._clips, self._wishes = began, clock, journal, clips, wishes
        self._rate = model.facts.sample_rate_hz
        wall = began.wall if began.steady is None else clock.at(began.steady)
        name = began.name or clock.name(began.steady or 0.0)
        known = RECORDING if wall is not None else NOT_KNOWN
        self.origin = Origin(name, wall, began.steady, known if began.steady is None else clock.said)
        live = began.key is None and not began.name
        self._stream = open_stream(model, wishes.thresholds, wishes.unnamed, _SEGMENT_S, live)
        self._planner = SpanPlanner(wishes.spans, self._rate)
        self._recent = recent
        recent.end = 0
        self.number = journal.begin(name, wall, began.steady, release)
        self.found = 0

    def push(self, samples: NDArray[Any]) -> None:
        """Take the next samples."""
        if self._clips is not None:
            self._recent.push(samples)
        self._keep(self._stream.push(samples), self._stream.settled_s)

    def finish(self, ended: str = "") -> None:
        """The stretch is over."""
        self._keep(self._stream.finish(), None)
        self._journal.reached(self.number, self.seconds, ended)

    def redate(self) -> None:
        """The clock has been set, or has jumped: later detections go by the new one."""
        if self.began.steady is not None:
            wall = self._clock.at(self.began.steady)
            name = self.origin.recording if self.origin.wall is not None else self._clock.name(self.began.steady)
            self.origin = replace(self.origin, wall=wall, recording=name, quality=self._clock.said)

    @property
    def seconds(self) -> float:
        """Length so far."""
        return self._stream.samples / self._rate

    @property
    def end_steady(self) -> float | None:
        """When its latest sample came, by the steady clock."""
        return None if self.began.steady is None else self.began.steady + self.seconds

    @property
    def silent(self) -> bool:
        """True if all samples have one value."""
        return self._stream.silent

    def _keep(self, detections: list[Detection], settled_s: float | None) -> None:
        self.found += len(detections)
        origin = self.origin
        self._journal.add(self.number, origin.recording, origin.wall, detections, origin.quality)
        if self._clips is None:
            return
        for one in detections:
            if one.score >= self._wishes.least_score and (not self._wishes.labels or one.label in self._wishes.labels):
                self._planner.add(one)
        for span in self._planner.ready(settled_s, self._stream.samples):
            start, samples = self._recent.cut(span.start, span.end)
            if len(samples):
                self._clips.write(self.origin, span, start, samples)


def room_for(wishes: Wishes, sample_rate: int, latency_s: float) -> RecentSound:
    """As much of the latest sound as clips can ask for."""
    spans = wishes.spans
    return RecentSound(
        round((spans.longest_s + spans.before_s + spans.merge_s + spans.after_s + latency_s) * sample_rate)
    )
