"""The finder ``onsets``: events from where they begin and how long they are; calls may overlap, or have no pause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from ecotf.detection.change_events import StreamFinder
from ecotf.detection.finders import FINDERS, FinderConfig, Framing, Numbers
from ecotf.detection.onset_points import Lengths, Onset, OnsetLimits, OnsetStream
from ecotf.pipelines.onset_truth import LEAST_S, OCTAVES


class OnsetEventsConfig(FinderConfig):
    """Each onset that the network says is an event, as long as it says (`ecotf.detection.onset_points`).

    It needs a head that answers for onsets (``network.head.onsets``). For each class one least distance of onsets, and
    one pull of the length on the end, is chosen on the events of the validation recordings; the first of each list
    where there are none.

    Attributes
    ----------
    gaps_s
        Least distances of two onsets that are tried, seconds.
    pulls
        What is tried: an event ends where the network says that one does and where the class's score falls, which
        together score up to 1.5; an octave away from the length that the network says, it must be so much more. Null:
        the length alone.
    floor
        The lowest score of an onset, and of an event.
    frames
        How much the mean score of its frames counts in the score of an event, from 0 to 1; its onset counts the rest (a
        geometric mean).
    overlap
        Of two events of a class that share more than this part of what they cover, the one with the higher score
        counts.
    lowered
        An event that shares a part of its time with a better one of its class loses ``lowered`` times that part of its
        score. It may be a note within that call ("Soft-NMS", Bodla et al. 2017).
    outvoted
        As of `ChangeDetectionConfig`: what the score is multiplied by where another class has most of the frames.
    step_s
        Length of the step filter that measures a fall, seconds, both halves together.
    shortest_s, longest_s
        An event is made so long, at least and at most. A recorder waits for twice the longest.
    """

    fits: ClassVar[bool] = True

    name: Literal["onsets"] = "onsets"
    gaps_s: tuple[float, ...] = Field((0.12, 0.3), min_length=1)
    pulls: tuple[float | None, ...] = Field((0.4, 0.6, 0.3), min_length=1)
    floor: float = Field(0.02, gt=0, le=1)
    frames: float = Field(0.5, ge=0, le=1)
    overlap: float = Field(0.5, gt=0, le=1)
    lowered: float = Field(0.0, ge=0, le=1)
    outvoted: float = Field(1.0, ge=0, le=1)
    step_s: float = Field(0.48, gt=0)
    shortest_s: float = Field(0.0, ge=0)
    longest_s: float = Field(10.0, gt=0, le=30)

    @model_validator(mode="after")
    def _can_be_fitted(self) -> OnsetEventsConfig:
        for name, values in (("gaps_s", self.gaps_s), ("pulls", self.pulls)):
            wrong = [value for value in values if value is not None and not 0 < value < np.inf]
            if wrong:
                raise ValueError(f"{name} = {wrong[0]:g}: every one must be above 0")
        if self.shortest_s >= self.longest_s:
            raise ValueError(f"shortest_s = {self.shortest_s:g} is not below longest_s = {self.longest_s:g}")
        for name, value in (("step_s", self.step_s), ("gaps_s", max(self.gaps_s))):
            if value > self.longest_s:
                raise ValueError(f"{name} = {value:g} is above longest_s = {self.longest_s:g}")
        return self

    @property
    def reads_onsets(self) -> bool:
        """It does."""
        return True

    def candidates(self) -> list[dict[str, Any]]:
        """List every distance with every pull."""
        return [{"gap_s": gap_s, "pull": pull} for gap_s in self.gaps_s for pull in self.pulls]

    def facts(self, classes: Sequence[str], numbers: Numbers | None) -> dict[str, Any]:
        """Return the settings, what lengths mean, and the numbers of each class in the order of ``classes``."""
        kept = {name: getattr(self, name) for name in ("name", *OnsetLimits._fields)}
        lengths = {"least_s": LEAST_S, "octaves": OCTAVES}
        return {**kept, "lengths": lengths, "onsets": [self.of_class(name, numbers) for name in classes]}

    def of_class(self, label: str, numbers: Numbers | None) -> dict[str, Any]:
        """Return the numbers of a class; those that are tried first where it was not fitted."""
        return dict((numbers or {}).get(label) or self.candidates()[0])


@FINDERS.register(OnsetEventsConfig)
def build_onsets(config: OnsetEventsConfig, framing: Framing, numbers: Numbers | None) -> StreamFinder:
    """Find events from onsets and lengths, by the fitted numbers of each class."""
    onsets = [as_onset(config.of_class(label, numbers)) for label in framing.classes]
    limits = OnsetLimits(*(getattr(config, name) for name in OnsetLimits._fields))
    return StreamFinder(OnsetStream(onsets, framing.frame_s, Lengths(LEAST_S, OCTAVES), limits), framing)


def as_onset(numbers: dict[str, Any]) -> Onset:
    """Return the numbers of a class as `OnsetStream` takes them; raises `KeyError`."""
    return Onset(float(numbers["gap_s"]), np.inf if numbers["pull"] is None else float(numbers["pull"]))
