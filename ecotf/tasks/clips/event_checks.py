"""What people should know of events before a network learns from them, and what it cannot learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ecotf.datasets.coverage import FULLY_ANNOTATED
from ecotf.errors import DataError
from ecotf.pipelines.event_rows import EventRows, Kind

if TYPE_CHECKING:
    import pandas as pd

_TINY_S = 1e-6


def describe_validation(valid: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """Say which classes have their validation events in fewer than two recordings; ``valid`` are its annotations.

    Nothing is said where there is no validation: the training says so itself.
    """
    if not len(valid):
        return []
    boxes = valid[valid["end_s"].notna()]
    counts = boxes.groupby("label")["recording"].nunique()
    said = []
    for name in classes:
        n = int(counts.get(name, 0))
        if n < 2:
            which = "one recording" if n == 1 else "no recording"
            said.append(f"{name} has its validation events in {which}: what is chosen by them is chosen by chance")
    return said


def require_steps(rows: EventRows, frame_s: float, title: str, classes: Sequence[str]) -> None:
    """Refuse frames that are longer than an event: nothing but a part of a frame would be its target.

    Raises
    ------
    DataError
        With both numbers.
    """
    at = rows.events
    lengths = rows.end_s[at] - rows.start_s[at]
    short = lengths < frame_s - _TINY_S
    if short.any():
        first = at[int(np.argmin(lengths))]
        raise DataError(
            f"stage {title!r}: a frame is {1000 * frame_s:g} ms, the shortest event {1000 * lengths.min():.3g} ms "
            f"({classes[rows.code[first]]} at {rows.start_s[first]:.3f} s in {rows.recordings[rows.recording[first]]}; "
            f"{int(short.sum())} of {len(at)} are shorter than a frame); use a finer step (network.backbone.halvings, "
            "or recipe songs/dense), or correct these boxes"
        )


def require_negatives(rows: EventRows, title: str, classes: Sequence[str]) -> None:
    """Refuse events of which nothing says where they are not: the network would learn that they are everywhere.

    Raises
    ------
    DataError
        With what to do.
    """
    if not len(rows.events) or rows.full.any() or (rows.kind == Kind.NOTHING).any():
        return
    raise DataError(
        f"stage {title!r}: {len(rows.events)} events of {', '.join(list(classes)[:3])}, and nothing says where they "
        f"are not: write yes in the manifest's column {FULLY_ANNOTATED} for recordings whose events are all annotated "
        "(ecotf dataset import --fully-annotated), or annotate stretches without any as nocall"
    )


def describe_events(rows: EventRows, seconds: float, classes: Sequence[str]) -> list[str]:
    """Say what is unusual in the events that are learned from, one sentence each."""
    at, said = rows.events, []
    counts = np.bincount(rows.code[at], minlength=len(classes))
    for code in np.flatnonzero(counts == 1):
        said.append(f"{classes[code]} has one event to learn from: what is learned is that event, not the class")
    for code in np.flatnonzero(counts == 0):
        weak = int(((rows.kind == Kind.WEAK) & (rows.code == code)).sum())
        if len(at) and weak:
            said.append(f"{classes[code]} has no event with a start and an end: only its {weak} weak labels teach it")
    longer = int((rows.end_s[at] - rows.start_s[at] > seconds).sum())
    if longer:
        are = "1 event is" if longer == 1 else f"{longer} events are"
        said.append(f"{are} longer than a clip of {seconds:g} s: clips lie inside of them, and hear a part")
    with_events = np.unique(rows.recording[at])
    partly = [int(i) for i in with_events if not rows.full[i]]
    if partly:
        said.append(
            f"{len(partly)} of {len(with_events)} recordings with events are not said to be fully annotated "
            f"({rows.recordings[partly[0]]}{', ...' if len(partly) > 1 else ''}): their time without a label teaches "
            f"nothing; column {FULLY_ANNOTATED} says which are"
        )
    held = rows.kind == Kind.WEAK
    unused = int((held & np.isin(rows.recording, with_events) & (rows.end_s - rows.start_s > seconds)).sum())
    if unused:
        said.append(
            f"{unused} weak labels are longer than a clip, in recordings with events: they only say where nothing is "
            "known"
        )
    return said
