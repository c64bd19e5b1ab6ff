"""``privacy.human_voice``: which clips have a human voice in them, as a class of the model says."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from ecotf_recorder.scoring.held import Detection


@dataclass(frozen=True)
class VoiceSettings:
    """Which detections are voices.

    Attributes
    ----------
    labels
        The classes of the model that stand for voices.
    least_score
        Of a voice; 0 takes what is reported.
    margin_s
        A clip is dropped if a voice is so near to it.
    thresholds
        What a voice needs to be reported, too.
    """

    labels: Collection[str]
    least_score: float
    margin_s: float
    thresholds: Mapping[str, float]

    def lowered(self) -> dict[str, float]:
        """The thresholds with which the model has to be asked."""
        least = self.least_score or inf
        return {label: min(level, least) if label in self.labels else level for label, level in self.thresholds.items()}


class Voices:
    """The voices in the latest sound of one stretch."""

    def __init__(self, settings: VoiceSettings) -> None:
        self.settings = settings
        self._heard: list[tuple[float, float]] = []

    def hear(self, found: Sequence[Detection]) -> list[Detection]:
        """Note the voices among detections; return what is to be reported."""
        labels, least, needed = self.settings.labels, self.settings.least_score, self.settings.thresholds
        self._heard += [(one.start_s, one.end_s) for one in found if one.label in labels and one.score >= least]
        return [one for one in found if one.label not in labels or one.score >= needed.get(one.label, 0.0)]

    def are_in(self, start_s: float, end_s: float) -> bool:
        """Whether there is a voice from ``start_s`` to ``end_s``, or within the margin of it."""
        margin = self.settings.margin_s
        return any(first < end_s + margin and last > start_s - margin for first, last in self._heard)

    def forget(self, before_s: float) -> None:
        """Forget what ended long before."""
        self._heard = [one for one in self._heard if one[1] >= before_s - self.settings.margin_s]
