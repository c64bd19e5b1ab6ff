"""Which species a region is of: what the annotations, the manifest, or the folders of recordings say."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple


class Annotation(NamedTuple):
    """One annotation of a recording; NaN where an edge is not known."""

    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    label: str


def label_of(box: tuple[float, float, float, float], annotations: Sequence[Annotation], otherwise: str) -> str:
    """Return the label of the annotation that shares most with a region, or ``otherwise`` where none shares anything.

    Examples
    --------
    >>> there = [Annotation(0, 2, 500, 900, "frog"), Annotation(1, 3, 2000, 4000, "bird")]
    >>> label_of((1.0, 2.0, 1900.0, 3000.0), there, ""), label_of((5.0, 6.0, 1900.0, 3000.0), there, "?")
    ('bird', '?')
    """
    shared = [(_shared(box, one), one.label) for one in annotations]
    best, label = max(shared, key=lambda pair: pair[0], default=(0.0, ""))
    return label if best > 0 else otherwise


def _shared(box: tuple[float, float, float, float], one: Annotation) -> float:
    """The common area, as a share of the region's own."""
    start_s, end_s, low_hz, high_hz = box
    last_s = math.inf if math.isnan(one.end_s) else one.end_s
    low, high = (
        (low_hz if math.isnan(one.low_hz) else one.low_hz),
        (high_hz if math.isnan(one.high_hz) else one.high_hz),
    )
    time = max(0.0, min(end_s, last_s) - max(start_s, one.start_s)) / (end_s - start_s)
    band = max(0.0, min(high_hz, high) - max(low_hz, low)) / (high_hz - low_hz)
    return time * band


def folder_labels(arguments: Iterable[str | Path], recordings: Iterable[Path]) -> dict[Path, str]:
    """Name each recording after its folder: the first one below a folder that was given, or else its own.

    Examples
    --------
    >>> folder_labels(["birds"], [Path("birds/Junco/x/a.wav"), Path("birds/b.wav"), Path("other/c.wav")])
    {PosixPath('birds/Junco/x/a.wav'): 'Junco', PosixPath('birds/b.wav'): 'birds', PosixPath('other/c.wav'): 'other'}
    """
    roots = [Path(os.path.abspath(argument)) for argument in arguments]
    return {recording: _folder_label(Path(os.path.abspath(recording)), roots) for recording in recordings}


def _folder_label(recording: Path, roots: Sequence[Path]) -> str:
    root = next((root for root in roots if root in recording.parents), None)
    below = recording.relative_to(root).parts if root is not None else ()
    return below[0] if len(below) > 1 else recording.parent.name
