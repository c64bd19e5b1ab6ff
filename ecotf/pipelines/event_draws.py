"""Which clips an epoch of learning from events is made of: around events, weak labels, false alarms, and anywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from pydantic import Field, model_validator

from ecotf.config import Config
from ecotf.errors import DataError
from ecotf.pipelines.class_weights import power_class_weights
from ecotf.pipelines.event_rows import EventRows, Kind

_KINDS = ("events", "weak", "anywhere", "mined", "planted")


class EventDrawsConfig(Config):
    """The shares of an epoch, and so of each batch; a kind of clip that the data do not have gives its share to others.

    Attributes
    ----------
    events
        Clips around an event with a start and an end. Rare classes come more often (``power``), event by event.
    weak
        Clips of recordings, or around stretches, with a label that is somewhere in them.
    anywhere
        Clips at any place where it is known what is there: of recordings that are fully annotated, and around stretches
        annotated as none of the classes.
    mined
        Clips around false alarms in training recordings (the stage's ``mining``).
    planted
        Clips as those of ``anywhere``, with an event of another recording planted in them (the stage's ``planting``).
    power
        A class with n of N events is drawn with the weight (n / N) ** power for each event; -1 draws all classes alike.
    clips
        How many clips an epoch draws; by default as many as there are events, weak labels and false alarms, and clips
        in what is annotated otherwise.
    clips_each
        How many for each class, ``clips`` at most: several classes take longer to learn.
    """

    events: float = Field(0.5, ge=0)
    weak: float = Field(0.2, ge=0)
    anywhere: float = Field(0.3, ge=0)
    mined: float = Field(0.0, ge=0)
    planted: float = Field(0.0, ge=0)
    power: float = Field(-0.5, ge=-1, le=0)
    clips: int | None = Field(None, ge=1)
    clips_each: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _something(self) -> EventDrawsConfig:
        if not any(getattr(self, name) for name in _KINDS):
            raise ValueError(f"shares are all 0; allowed: one of {', '.join(_KINDS)} above 0")
        return self


@dataclass(frozen=True)
class Places:
    """Where clips may lie: each must touch its stretch ``[n]``; NaN leaves the place in the recording to the reader."""

    recording: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray
    chance: np.ndarray

    def __len__(self) -> int:
        return len(self.recording)


NO_PLACES = Places(np.empty(0, int), np.empty(0), np.empty(0), np.empty(0))


@dataclass(frozen=True)
class EventDraws:
    """Draws the clips of an epoch.

    Attributes
    ----------
    rows
        What the annotations say.
    seconds
        Length of a clip.
    mined
        False alarms in the recordings.
    """

    rows: EventRows
    config: EventDrawsConfig
    seconds: float
    mined: Places = NO_PLACES
    _places: dict[str, Places] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        made = {"events": self._events(), "weak": self._weak(), "anywhere": self._anywhere(), "mined": self.mined}
        if len(made["events"]):
            made["planted"] = made["anywhere"]
        self._places.update({name: places for name, places in made.items() if len(places)})

    @property
    def shares(self) -> dict[str, float]:
        """The share of each kind that there is; together 1.

        Raises
        ------
        DataError
            The data have none of what is to be drawn.
        """
        there = {name: getattr(self.config, name) for name in _KINDS if name in self._places}
        total = sum(there.values())
        if not total:
            raise DataError(
                f"nothing to learn from: the data have {' and '.join(self._places) or 'no event and no weak label'}, "
                "and the shares of the recipe (draws) want something else"
            )
        return {name: share / total for name, share in there.items() if share}

    @property
    def clips(self) -> int:
        """How many clips an epoch has."""
        wanted, each = self.config.clips, self.config.clips_each
        if each is not None:
            each *= max(1, self.rows.n_classes)
            return each if wanted is None else min(wanted, each)
        if wanted is not None:
            return wanted
        counted = sum(len(self._places[name]) for name in self._places if name not in ("anywhere", "planted"))
        anywhere = self._places.get("anywhere", NO_PLACES)
        return max(1, counted + int(np.ceil((anywhere.end_s - anywhere.start_s).sum() / self.seconds)))

    def draw(self, seed: int, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw recordings, starts in seconds, and what is planted, ``[clips]``: an event of the rows, or -1.

        Kinds are mixed so that each batch has its shares.

        The same seed and epoch give the same clips.
        """
        rng = np.random.default_rng([seed, epoch, 3])
        n, shares = self.clips, self.shares
        kinds = _in_shares(np.array(list(shares.values())), n, rng)
        recording, start_s, event = np.empty(n, int), np.empty(n), np.full(n, -1)
        for number, name in enumerate(shares):
            at, places = np.flatnonzero(kinds == number), self._places[name]
            chosen = rng.choice(len(places), len(at), p=places.chance / places.chance.sum())
            recording[at] = places.recording[chosen]
            start_s[at] = self._start_s(places, chosen, rng)
            if name == "planted":
                event[at] = self._planted(recording[at], rng)
        return recording, start_s, event

    def _planted(self, recording: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw an event for each clip, of another recording where there is one; as rare classes are drawn, and then
        each recording with the class as often as any other: one with many calls would be known by its background."""
        places, rows = self._places["events"], self.rows
        code = rows.code[rows.events]
        chances = places.chance / np.array(
            [
                np.sum((code == one) & (places.recording == where))
                for one, where in zip(code, places.recording, strict=True)
            ]
        )
        drawn = np.empty(len(recording), int)
        for i, own in enumerate(recording):
            other = np.where(places.recording == own, 0.0, chances)
            chance = other if other.any() else chances
            drawn[i] = rng.choice(len(places), p=chance / chance.sum())
        return rows.events[drawn]

    def _start_s(self, places: Places, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw starts so that a clip holds its stretch whole, or lies in it where it is longer."""
        begins, ends = places.start_s[chosen], places.end_s[chosen]
        spare = np.maximum(0.0, self.rows.durations[places.recording[chosen]] - self.seconds)
        one, other = np.clip(ends - self.seconds, 0.0, spare), np.clip(begins, 0.0, spare)
        low, high = np.minimum(one, other), np.maximum(one, other)
        return np.asarray(low + rng.random(len(chosen)) * (high - low))

    def _events(self) -> Places:
        rows, at = self.rows, self.rows.events
        counts = np.bincount(rows.code[at], minlength=rows.n_classes)
        weights = power_class_weights(counts, max(1, len(at)), self.config.power).astype(np.float64)
        return Places(rows.recording[at], rows.start_s[at], rows.end_s[at], weights[rows.code[at]])

    def _weak(self) -> Places:
        """Recordings without a single event are cropped as the recipe says; in others a crop goes around the label."""
        rows = self.rows
        with_events = set(rows.recording[rows.events].tolist())
        found: dict[tuple[int, float, float], None] = {}
        for i in np.flatnonzero(rows.kind == Kind.WEAK):
            recording = int(rows.recording[i])
            whole = rows.start_s[i] <= 0 and rows.end_s[i] >= rows.durations[recording]
            if whole and recording not in with_events:
                found[recording, float("nan"), float("nan")] = None
            elif rows.end_s[i] - rows.start_s[i] <= self.seconds:
                found[recording, float(rows.start_s[i]), float(rows.end_s[i])] = None
        return _places(list(dict.fromkeys(found)), lambda length: 1.0)

    def _anywhere(self) -> Places:
        rows = self.rows
        found = [(int(i), 0.0, float(rows.durations[i])) for i in np.flatnonzero(rows.full)]
        for i in np.flatnonzero(rows.kind == Kind.NOTHING):
            if not rows.full[rows.recording[i]]:
                found.append((int(rows.recording[i]), float(rows.start_s[i]), float(rows.end_s[i])))
        return _places(found, lambda length: max(length, self.seconds))


def quiet_places(rows: EventRows, least_s: float) -> Places:
    """Return the stretches of at least ``least_s`` in which it is known that none of the classes is."""
    found: list[tuple[int, float, float]] = []
    for recording in range(len(rows.recordings)):
        own = rows.of(recording)
        start, end, kind = rows.start_s[own], rows.end_s[own], rows.kind[own]
        known = [(0.0, float(rows.durations[recording]))] if rows.full[recording] else []
        known = known or [(float(a), float(b)) for a, b in zip(start, end, strict=True)]
        if not rows.full[recording]:
            known = [span for span, one in zip(known, kind, strict=True) if one == Kind.NOTHING]
        others = kind != Kind.NOTHING
        for low, high in known:
            at = low
            for a, b in zip(start[others], end[others], strict=True):  # by their starts
                if b <= at or a >= high:
                    continue
                if a - at >= least_s:
                    found.append((recording, at, float(a)))
                at = max(at, float(b))
            if high - at >= least_s:
                found.append((recording, at, high))
    return _places(found, lambda length: length)


def _places(found: list[tuple[int, float, float]], chance: Callable[[float], float]) -> Places:
    if not found:
        return NO_PLACES
    recording, start, end = (np.array(column) for column in zip(*found, strict=True))
    chances = np.array([chance(length) for length in np.nan_to_num(end - start)], float)
    return Places(recording.astype(int), start.astype(float), end.astype(float), chances)


def _in_shares(shares: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Kinds in shares, int ``[n]``: any stretch of them has each kind in its share, to one clip or two."""
    # Each kind has its clips at even distances, and all begin somewhere else.
    at = [(np.arange(round(share * n) + 1) + rng.random()) / share for share in shares]
    kind = np.concatenate([np.full(len(times), i) for i, times in enumerate(at)])
    return np.asarray(kind[np.argsort(np.concatenate(at), kind="stable")][:n])
