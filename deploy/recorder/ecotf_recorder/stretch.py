"""One stretch of sound on its way: scored, written down, and its clips cut."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from numpy.typing import NDArray

from ecotf_recorder.rules.judge import Judge
from ecotf_recorder.rules.voices import Voices, VoiceSettings
from ecotf_recorder.scoring.held import Detection
from ecotf_recorder.scoring.opening import open_stream
from ecotf_recorder.sources.events import Began
from ecotf_recorder.store.clips import ClipKeeper, Origin
from ecotf_recorder.store.notebook import Notebook
from ecotf_recorder.store.spans import RecentSound, Span, SpanPlanner, SpanSettings
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
    voices
        Sound with these gets none; None for no such wish.
    """

    thresholds: Mapping[str, float] | None
    unnamed: bool | None
    spans: SpanSettings
    least_score: float
    labels: Collection[str]
    voices: VoiceSettings | None = None


class Stretch:
    """A stretch of sound without gaps.

    Parameters
    ----------
    clips
        None keeps none.
    recent
        The room for its latest sound, used again from stretch to stretch.
    judge
        Says what is reported, and writes it into the notebook.

    Attributes
    ----------
    number
        In the notebook.
    found
        Reported detections so far.
    """

    def __init__(
        self, began: Began, model: Any, wishes: Wishes, notebook: Notebook, clips: ClipKeeper | None,
        recent: RecentSound, clock: Clock, judge: Judge,
    ) -> None:  # fmt: skip
        self._judge, self._voices = judge, None if wishes.voices is None else Voices(wishes.voices)
        self._uncut: list[Span] = []
        self.began, self._clock, self._notebook, self._clips, self._wishes = began, clock, notebook, clips, wishes
        self._rate = model.facts.sample_rate_hz
        wall = began.wall if began.steady is None else clock.at(began.steady)
        name = began.name or clock.name(began.steady or 0.0)
        known = RECORDING if wall is not None else NOT_KNOWN
        self.origin = Origin(name, wall, began.steady, known if began.steady is None else clock.said)
        thresholds = wishes.thresholds if wishes.voices is None else wishes.voices.lowered()
        self._stream = open_stream(model, thresholds, wishes.unnamed, _SEGMENT_S, began.is_live)
        self._planner = SpanPlanner(wishes.spans, self._rate)
        self._recent = recent
        recent.end = 0
        self.number = notebook.begin(name, wall, began.steady, model.id)
        self.found = 0

    def push(self, samples: NDArray[Any]) -> None:
        """Take the next samples."""
        if self._clips is not None:
            self._recent.push(samples)
        self._keep(self._stream.push(samples), self._stream.settled_s)

    def finish(self, ended: str = "") -> None:
        """The stretch is over."""
        self._keep(self._stream.finish(), None)
        self._notebook.reached(self.number, self.seconds, ended)

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
    def settled_s(self) -> float:
        """Up to when all detections are out: what came later would be lost if the recorder were killed now."""
        return min(self._stream.settled_s, self.seconds)

    @property
    def end_steady(self) -> float | None:
        """When its latest sample came, by the steady clock."""
        return None if self.began.steady is None else self.began.steady + self.seconds

    @property
    def silent(self) -> bool:
        """True if all samples have one value."""
        return self._stream.silent

    def _keep(self, heard: list[Detection], settled_s: float | None) -> None:
        """Take detections; ``settled_s`` is None at the end of the stretch."""
        found = heard if self._voices is None else self._voices.hear(heard)
        end_s = self.seconds if self.began.is_live else inf  # live ones may still get company from the next stretch
        until = end_s if settled_s is None else settled_s
        reported = self._judge.push(self.number, self.origin, found, until)
        self.found += len(reported)
        if self._clips is None:
            return
        # The sound of what is not decided at the end is kept: it is not there any more when that is decided.
        undecided = self._judge.waiting(self.number) if settled_s is None else []
        for one in (*reported, *undecided):
            if one.score >= self._wishes.least_score and (not self._wishes.labels or one.label in self._wishes.labels):
                self._planner.add(one)
        decided_s = None if settled_s is None else self._judge.decided_s(self.origin, settled_s)
        self._uncut += self._planner.ready(decided_s, self._stream.samples)
        self._cut(self._clips, inf if settled_s is None else settled_s)

    def _cut(self, clips: ClipKeeper, settled_s: float) -> None:
        """Write the clips of spans; where voices are listened for, once all of them near the span are known."""
        waiting, voices = [], self._voices
        for span in self._uncut:
            if voices is not None and settled_s < span.end / self._rate + voices.settings.margin_s:
                waiting.append(span)
            elif voices is not None and voices.are_in(span.start / self._rate, span.end / self._rate):
                clips.with_voices += 1
            else:
                start, samples = self._recent.cut(span.start, span.end)
                if len(samples):
                    clips.write(self.origin, span, start, samples)
        self._uncut = waiting
        if voices is not None:
            voices.forget(self.seconds - self._recent.length / self._rate)


def room_for(wishes: Wishes, sample_rate: int, latency_s: float) -> RecentSound:
    """As much of the latest sound as clips can ask for."""
    spans = wishes.spans
    return RecentSound(
        round((spans.longest_s + spans.before_s + spans.merge_s + spans.after_s + latency_s) * sample_rate)
    )
