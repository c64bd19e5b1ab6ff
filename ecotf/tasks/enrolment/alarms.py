"""What to expect of an enrolled run: false alarms an hour, and the share of calls that it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ecotf.detection.finders import FinderConfig, find_events
from ecotf.tasks.enrolment.fitting import fit_head
from ecotf.tasks.enrolment.support import Absence, Support

LEVEL = 0.5
"""The threshold of every species; its level is in the head."""


@dataclass(frozen=True)
class Alarms:
    """False alarms in sound without any species, of heads that had not seen it.

    Attributes
    ----------
    hours
        Of that sound; 0 where there is none.
    counts
        Of each class.
    """

    hours: float
    counts: dict[str, int]


def count_alarms(support: Support, segment_s: float, events: FinderConfig, heldout: np.ndarray | None = None) -> Alarms:
    """Count false alarms in the background: each half of it is searched with a head that knows only the other half.

    Halves of recordings; of one recording alone, its two halves.
    """
    background = [one for one in support.stretches if not one.label and one.recording]
    pieces = halves(background)
    hours = sum(len(one.rows) for piece in pieces for one in piece) * segment_s / 3600
    counts = dict.fromkeys(support.classes, 0)
    others = tuple(one for one in support.stretches if one.label or not one.recording)
    for number, piece in enumerate(pieces):
        known = replace(support, stretches=(*others, *pieces[1 - number]))
        fitted = fit_head(known, segment_s, heldout)
        for stretch in piece:
            found = find_events(
                fitted.head.predict(stretch.rows),
                stretch.middles(segment_s),
                segment_s,
                fitted.classes,
                (0.0, 0.0),
                events,
            )
            for label, n in found.loc[found["score"] >= LEVEL, "label"].value_counts().items():
                counts[str(label)] += int(n)
    return Alarms(hours, counts)


def halves(background: Sequence[Absence]) -> list[list[Absence]]:
    """Deal stretches into two halves; one stretch alone is cut in its middle. Empty where there is nothing."""
    if not background:
        return []
    if len(background) > 1:
        return [list(background[::2]), list(background[1::2])]
    (one,) = background
    half = len(one.rows) // 2
    return [[replace(one, rows=one.rows[:half])], [replace(one, first=one.first + half, rows=one.rows[half:])]]
