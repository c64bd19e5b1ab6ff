"""The windows that a job embeds: of whole recordings, or of the annotations of a manifest."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ecotf.audio.discover import shown_name
from ecotf.datasets.manifest import Manifest
from ecotf.embeddings.windows import LEAST_SHARE
from ecotf.inference.outcome import Waiting


class Wanted(NamedTuple):
    """A recording, and the annotations that are wanted of it; None for the whole."""

    waiting: Waiting
    time_expansion: float | None
    annotations: tuple[tuple[float, float, str], ...] | None


def wanted_recordings(recordings: Sequence[str | Path] | Manifest, time_expansion: float | None) -> Iterator[Wanted]:
    """Yield each file once, with what is wanted of it."""
    if not isinstance(recordings, Manifest):
        seen: set[str] = set()
        for file in recordings:
            one = Waiting.of(str(file))
            if one.path not in seen:
                seen.add(one.path)
                yield Wanted(one, time_expansion, None)
        return
    for name, rows in recordings.table.groupby("recording", sort=False):
        file = str(recordings.path_of(str(name)))
        stated = recordings.time_expansion_of(str(name))
        columns = (rows["start_s"], rows["end_s"], rows["label"])
        annotations = tuple((float(start), float(end), str(label)) for start, end, label in zip(*columns, strict=True))
        waiting = Waiting(file, shown_name(str(name)), shown_name(os.path.realpath(file)))
        yield Wanted(waiting, time_expansion if stated is None else stated, annotations)


def places_of(
    annotations: Iterable[tuple[float, float, str]], duration_s: float, window_s: float, hop_s: float
) -> tuple[list[float], list[tuple[float, float, str, int]]]:
    """Find the windows of annotations.

    An annotation that is shorter than a window has one around its middle; a longer one has as many as it holds, one
    after the other from its start. Windows stay inside the recording where it is long enough.

    Returns
    -------
    The start of each window, seconds; and ``(start_s, end_s, label, number of the window)`` of each annotation.

    Examples
    --------
    >>> places_of([(4.0, 5.0, "owl"), (0.0, 6.0, "rail")], duration_s=10.0, window_s=3.0, hop_s=3.0)[0]
    [3.0, 0.0]
    """
    numbers: dict[float, int] = {}
    places = []
    for start_s, stated_end_s, label in annotations:
        end_s = duration_s if math.isnan(stated_end_s) else min(stated_end_s, duration_s)
        if end_s - start_s <= window_s:
            starts = [(start_s + end_s - window_s) / 2]
        else:
            n = 1 + max(0, math.floor((end_s - start_s - window_s) / hop_s + LEAST_SHARE * window_s / hop_s))
            starts = [start_s + i * hop_s for i in range(n)]
        for wanted_s in starts:
            at = round(max(0.0, min(wanted_s, duration_s - window_s)), 6)
            place = (at, round(min(at + window_s, duration_s), 6), label, numbers.setdefault(at, len(numbers)))
            places.append(place)
    return list(numbers), list(dict.fromkeys(places))
