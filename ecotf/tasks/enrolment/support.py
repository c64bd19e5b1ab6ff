"""What an enrolled run knows: the embeddings of all examples and of sound without them, each with where it came from.

Everything else in the run is computed from this, in one order, so that adding and taking away leave no trace.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecotf.files import reading_arrays
from ecotf.tasks.enrolment.examples import Example


@dataclass(frozen=True)
class Taught:
    """An example with its embeddings, float32 ``[windows, numbers]``."""

    label: str
    example: Example
    rows: np.ndarray


@dataclass(frozen=True)
class Absence:
    """Sound from one segment to the next, of which it is known that a species, or all, are not in it.

    Attributes
    ----------
    label
        The species that is not in it, but where its examples are; empty where no species is.
    recording, fingerprint
        The file, as a full path, and its content.
    time_expansion
        As stated by a manifest.
    first
        Number of the first segment, counted from the beginning of the recording.
    rows
        float32 ``[segments, numbers]``
    """

    label: str
    recording: str
    fingerprint: str
    time_expansion: float | None
    first: int
    rows: np.ndarray

    def middles(self, segment_s: float) -> np.ndarray:
        """Return the middle of each segment, seconds from the beginning of the recording."""
        return (self.first + np.arange(len(self.rows)) + 0.5) * segment_s


@dataclass(frozen=True)
class Support:
    """All examples and stretches of a run, in an order that does not depend on when they came.

    Attributes
    ----------
    numbers
        The length of an embedding.
    """

    numbers: int
    taught: tuple[Taught, ...] = ()
    stretches: tuple[Absence, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The species, sorted."""
        return tuple(sorted({one.label for one in self.taught}))

    def of(self, label: str) -> list[Taught]:
        """Return the examples of a species."""
        return [one for one in self.taught if one.label == label]

    def without(self, label: str) -> Support:
        """Return it without a species and what is known of sound around its examples."""
        return Support(
            self.numbers,
            tuple(one for one in self.taught if one.label != label),
            tuple(one for one in self.stretches if one.label != label),
        )

    def with_more(self, taught: Iterable[Taught], stretches: Iterable[Absence]) -> Support:
        """Return it with more of both; a stretch of a recording that is there is not taken twice."""
        every = {(one.label, *one.example.key): one for one in (*self.taught, *taught)}
        longest: dict[tuple[str, str], Absence] = {}
        for one in (*self.stretches, *stretches):
            key = one.label, one.fingerprint
            if key not in longest or len(one.rows) > len(longest[key].rows):
                longest[key] = one
        return Support(
            self.numbers, tuple(every[key] for key in sorted(every)), tuple(longest[key] for key in sorted(longest))
        )

    def save(self, path: Path) -> None:
        """Write it: what the rows are as JSON, and the rows as arrays."""
        about = {
            "examples": [
                {"label": one.label, "example": asdict(one.example), "rows": len(one.rows)} for one in self.taught
            ],
            "stretches": [
                {name: getattr(one, name) for name in _STRETCH} | {"rows": len(one.rows)} for one in self.stretches
            ],
        }
        with path.open("wb") as stream:
            np.savez(
                stream, about=np.array(json.dumps(about)), example_rows=self._stacked(self.taught),
                stretch_rows=self._stacked(self.stretches),
            )  # fmt: skip

    def _stacked(self, parts: Sequence[Taught | Absence]) -> np.ndarray:
        return np.concatenate([np.empty((0, self.numbers), np.float32), *(one.rows for one in parts)])


_STRETCH = ("label", "recording", "fingerprint", "time_expansion", "first")


def load_support(path: Path) -> Support:
    """Read what `Support.save` wrote; raises `ConfigError`."""
    with reading_arrays(path, "the examples of an enrolled run") as kept:
        about = json.loads(str(kept["about"]))
        examples, stretches = about["examples"], about["stretches"]
        own, others = _parted(kept["example_rows"], examples), _parted(kept["stretch_rows"], stretches)
        taught = [
            Taught(one["label"], Example(**one["example"]), rows) for one, rows in zip(examples, own, strict=True)
        ]
        heard = [
            Absence(rows=rows, **{name: one[name] for name in _STRETCH})
            for one, rows in zip(stretches, others, strict=True)
        ]
        return Support(int(kept["example_rows"].shape[1]), tuple(taught), tuple(heard))


def _parted(rows: np.ndarray, about: Sequence[dict[str, Any]]) -> list[np.ndarray]:
    return np.split(rows, np.cumsum([one["rows"] for one in about])[:-1]) if about else []
