"""The finder ``change_detection``: events between the changes of a score; a threshold moves none of their edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from ecotf.detection.change_points import ChangeStream, FoundEvent
from ecotf.detection.change_track import Change
from ecotf.detection.finders import FINDERS, FinderConfig, Framing, Numbers
from ecotf.detection.onset_points import OnsetEvent, OnsetStream
from ecotf.detection.view import COLUMNS, in_order

if TYPE_CHECKING:
    import pandas as pd


class ChangeDetectionConfig(FinderConfig):
    """Events begin where the score rises most, and end where it falls most (`ecotf.detection.change_points`).

    For each class one length of the step filter, and one limit of the drop between two events that are one, is chosen
    on the events of the validation recordings; the middle of each list where there are none.

    Attributes
    ----------
    steps_s
        Lengths of the step filter that are tried, seconds, both halves together. It finds calls best that are about as
        long; much shorter ones not at all.
    within
        Of ``steps_s`` those are tried for a class that differ from the median length of its annotated events by no more
        than this factor, or else the nearest one; null: all of them.
    drops, ratios
        What is tried: two events are one where the score between them is neither so much lower than in both, or by
        such a factor.
    floor
        A class whose score is lower is not there; also the lowest score of a candidate.
    shortest_s
        Shorter events are left out.
    longest_s
        A longer event is cut, so that a recorder need not wait for longer.
    outvoted
        A vote of frames, for song in which one animal sings at a time: the score of an event is multiplied by this
        where another class is greater in most of its frames. 0 leaves it out, 1 is no vote.
    """

    fits: ClassVar[bool] = True

    name: Literal["change_detection"] = "change_detection"
    steps_s: tuple[float, ...] = Field((0.32, 0.48, 0.64), min_length=1)
    within: float | None = Field(None, gt=1)
    drops: tuple[float, ...] = (0.15, 0.2, 0.3)
    ratios: tuple[float, ...] = (1.5, 2.0, 3.0)
    floor: float = Field(0.01, gt=0, le=1)
    shortest_s: float = Field(0.0, ge=0)
    longest_s: float = Field(60.0, gt=0, le=60)
    outvoted: float = Field(1.0, ge=0, le=1)

    @model_validator(mode="after")
    def _can_be_fitted(self) -> ChangeDetectionConfig:
        lists = ("steps_s", self.steps_s, 0.0), ("drops", self.drops, 0.0), ("ratios", self.ratios, 1.0)
        for name, values, least in lists:
            wrong = [value for value in values if not least < value < np.inf]
            if wrong:
                raise ValueError(f"{name} = {wrong[0]:g}: every one must be above {least:g}")
        if not self.drops and not self.ratios:
            raise ValueError("drops and ratios are both empty: at least one limit is needed")
        if self.shortest_s >= self.longest_s:
            raise ValueError(f"shortest_s = {self.shortest_s:g} is not below longest_s = {self.longest_s:g}")
        if max(self.steps_s) > self.longest_s:
            raise ValueError(f"steps_s = {max(self.steps_s):g} is above longest_s = {self.longest_s:g}")
        return self

    def candidates(self) -> list[dict[str, Any]]:
        """List every length of the filter with every drop and every ratio, the middle ones first."""
        limits = [{"drop": drop, "ratio": None} for drop in _middle_first(self.drops)]
        limits += [{"drop": None, "ratio": ratio} for ratio in _middle_first(self.ratios)]
        return [{"step_s": step_s, **limit} for step_s in _middle_first(self.steps_s) for limit in limits]

    def suits(self, candidate: dict[str, Any], length_s: float | None) -> bool:
        """Whether the filter is about as long as the events, or the one that is nearest to it."""
        if self.within is None or not length_s:
            return True
        apart = {step_s: max(step_s / length_s, length_s / step_s) for step_s in self.steps_s}
        return bool(apart[candidate["step_s"]] <= max(self.within, min(apart.values())))

    def facts(self, classes: Sequence[str], numbers: Numbers | None) -> dict[str, Any]:
        """Return the settings, and the numbers of each class in the order of ``classes``."""
        kept = {name: getattr(self, name) for name in ("name", "floor", "shortest_s", "longest_s", "outvoted")}
        return {**kept, "changes": [self.of_class(name, numbers) for name in classes]}

    def of_class(self, label: str, numbers: Numbers | None) -> dict[str, Any]:
        """Return the numbers of a class; those that are tried first where it was not fitted."""
        return dict((numbers or {}).get(label) or self.candidates()[0])


@FINDERS.register(ChangeDetectionConfig)
def build_change_detection(config: ChangeDetectionConfig, framing: Framing, numbers: Numbers | None) -> StreamFinder:
    """Find events between changes, by the fitted numbers of each class."""
    changes = [as_change(config.of_class(label, numbers)) for label in framing.classes]
    limits = config.floor, config.shortest_s, config.longest_s, config.outvoted
    return StreamFinder(ChangeStream(changes, framing.frame_s, *limits), framing)


class StreamFinder:
    """A stream of the recorder's own that gives tables; `ecotf.detection.finders.EventFinder` says how it is used."""

    def __init__(self, stream: ChangeStream | OnsetStream, framing: Framing) -> None:
        self._stream, self._framing = stream, framing

    def push(self, probabilities: np.ndarray, times: np.ndarray) -> pd.DataFrame:
        """Take frames ``[frames, columns]`` and their middles; return the events that are settled."""
        return events_table(self._stream.push(probabilities, times), self._framing)

    def finish(self) -> pd.DataFrame:
        """End the recording; return its last events."""
        return events_table(self._stream.finish(), self._framing)

    @property
    def settled_s(self) -> float:
        """Later events begin after this; seconds."""
        return self._stream.settled_s


def events_table(found: Sequence[FoundEvent | OnsetEvent], framing: Framing) -> pd.DataFrame:
    """Return events that anybody asks for as detections."""
    import pandas as pd

    if framing.floors is not None:
        found = [event for event in found if event.score >= framing.floors[event.code]]
    if not found:
        return in_order([])
    start_s, end_s, codes, scores, greatest = zip(*found, strict=True)
    labels = pd.Series([framing.classes[code] for code in codes], dtype=str)
    columns = (start_s, end_s, *framing.band_hz, labels, scores, greatest)
    return in_order([pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))])


def as_change(numbers: dict[str, Any]) -> Change:
    """Return the numbers of a class as `ChangeStream` takes them; raises `KeyError`."""
    drop, ratio = (np.inf if numbers[name] is None else float(numbers[name]) for name in ("drop", "ratio"))
    return Change(float(numbers["step_s"]), drop, ratio)


def _middle_first(values: Sequence[float]) -> list[float]:
    middle = len(values) // 2
    return [*values[middle : middle + 1], *values[:middle], *values[middle + 1 :]]
