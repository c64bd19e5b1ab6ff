"""The hit rule: a label is reported where there are n detections of it within some seconds."""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import inf
from operator import attrgetter

from ecotf_recorder.scoring.held import Detection
from ecotf_recorder.store.clips import Origin


@dataclass(eq=False)
class Hit:
    """A detection that the rule looks at.

    Attributes
    ----------
    when
        When it begins, in seconds that go on from stretch to stretch.
    stretch
        Its stretch in the notebook.
    origin
        Of its stretch, as known when it was heard.
    is_confirmed
        Whether there are enough of its label around it.
    number, noted
        In the database's table of what waits, and whether it stands there as confirmed; None if it is not there.
    """

    when: float
    stretch: int
    origin: Origin
    one: Detection
    is_confirmed: bool = False
    number: int | None = None
    noted: bool | None = None

    @property
    def order(self) -> tuple[float, str]:
        """By time, and at one time by label."""
        return self.when, self.one.label


class HitRule:
    """Takes detections, and gives them back in order of time once it is known whether they have company enough.

    A detection is confirmed if it is one of ``hits`` of its label whose beginnings lie within ``within_s`` seconds. So
    it does not matter which came first, nor how the sound was cut into pieces.

    Parameters
    ----------
    labels
        The rule is for these; empty for all. Others are confirmed.
    """

    def __init__(self, hits: int, within_s: float, labels: Collection[str] = ()) -> None:
        self._hits, self._within_s, self._labels = hits, within_s, labels
        self.waiting: list[Hit] = []  # in order
        self._company: dict[str, list[Hit]] = {}  # of each label, in order, as far back as it matters

    def push(self, found: Iterable[Hit], settled: float) -> list[Hit]:
        """Take detections, none of which will later come from before ``settled``; return those that are decided."""
        for hit in found:
            bisect.insort(self.waiting, hit, key=attrgetter("order"))
            self.remember(hit)
        n = 0
        while n < len(self.waiting) and self._is_decided(self.waiting[n], settled):
            n += 1
        decided, self.waiting = self.waiting[:n], self.waiting[n:]
        self._forget(settled)
        return decided

    def remember(self, hit: Hit) -> None:
        """Let a detection be company for others; one from before a restart is decided already."""
        if self._hits < 2 or (self._labels and hit.one.label not in self._labels):
            hit.is_confirmed = True
            return
        near = self._company.setdefault(hit.one.label, [])
        at = bisect.bisect_right(near, hit.when, key=attrgetter("when"))
        near.insert(at, hit)
        for first in range(max(0, at - self._hits + 1), min(at, len(near) - self._hits) + 1):
            group = near[first : first + self._hits]
            if group[-1].when - group[0].when <= self._within_s:
                for one in group:
                    one.is_confirmed = True

    @property
    def reaches_back_to(self) -> float:
        """The first detection that comes next does not begin before this."""
        return self.waiting[0].when if self.waiting else inf

    def _is_decided(self, hit: Hit, settled: float) -> bool:
        return hit.when <= settled if hit.is_confirmed else hit.when + self._within_s < settled

    def _forget(self, settled: float) -> None:
        for label, near in list(self._company.items()):
            n = bisect.bisect_left(near, settled - self._within_s, key=attrgetter("when"))
            del near[:n]
            if not near:
                del self._company[label]
