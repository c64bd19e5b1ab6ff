"""Sources that a test scripts, and what comes from sources."""

from __future__ import annotations

import time

import numpy as np
from ecotf_recorder.sources.events import Exhausted, Sound


class Scripted:
    """A live source that tells what a test wrote down, and stops being asked when the script ends."""

    live = True

    def __init__(self, *events, problem: str = "") -> None:
        self.events, self.problem = list(events), problem
        self.backlog_s, self.lost_s = 0.0, 0.0
        self.on = self.starts = 0

    def start(self) -> None:
        self.on, self.starts = True, self.starts + 1

    def stop(self) -> None:
        self.on = False

    def next(self, timeout_s: float):
        event = self.events.pop(0) if self.events else Exhausted()
        return event() if callable(event) else event


def in_pieces(sound: np.ndarray, n: int = 30_000) -> list[Sound]:
    return [Sound(sound[at : at + n]) for at in range(0, len(sound), n)]


def collect(source, until, timeout_s: float = 10):
    """Events until ``until(events)``, with pieces of sound joined."""
    events, ends = [], time.monotonic() + timeout_s
    while not until(events):
        assert time.monotonic() < ends, f"nothing more came; problem: {source.problem!r}, events: {events}"
        event = source.next(0.1)
        if isinstance(event, Sound) and events and isinstance(events[-1], np.ndarray):
            events[-1] = np.concatenate([events[-1], event.samples])
        elif event is not None:
            events.append(event.samples if isinstance(event, Sound) else event)
    return events


def n_samples(events) -> int:
    return sum(len(event) for event in events if isinstance(event, np.ndarray))
