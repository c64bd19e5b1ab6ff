"""A teacher's predictions for clips: one ``.npz`` of plain arrays, written by ``ecotf teach``, read by ``distil``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ecotf.errors import ConfigError
from ecotf.files import atomic_file, reading_arrays

What = Literal["scores", "embeddings"]

_FORMAT = "ecotf teacher 1"
_WHAT_IT_IS = "the predictions of a teacher, as ecotf teach writes them; make it again"
_HALF = 0.5


@dataclass(frozen=True)
class Predictions:
    """The predictions of a teacher for segments of recordings.

    Attributes
    ----------
    what
        ``scores``: probabilities of classes. ``embeddings``: numbers without a name.
    title, digest
        Of the teacher: one line for people, and what identifies its weights.
    classes
        Of scores, in the order of ``values``; empty for embeddings.
    recordings, digests
        The recordings as the manifest calls them, and what identifies the content of each file.
    recording
        int ``[n]``: of each segment, the index of its recording. Segments of a recording stand together.
    start_s, end_s
        float64 ``[n]``, seconds.
    values
        float32 ``[n, numbers]``.
    """

    what: What
    title: str
    digest: str
    classes: tuple[str, ...]
    recordings: list[str]
    digests: list[str]
    recording: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray
    values: np.ndarray

    def over(self, recording: int, start_s: float, seconds: float) -> np.ndarray:
        """Return the prediction for a stretch of a recording, float32 ``[numbers]``.

        Scores are, class by class, the greatest of the segments that share with the stretch at least half of the
        shorter of the two: what is in one of them is in the stretch. Embeddings are averaged by the time that is
        shared. Where nothing is shared (the stretch is filled up), the nearest segment counts.
        """
        first, last = self._rows[recording], self._rows[recording + 1]
        begins, ends = self.start_s[first:last], self.end_s[first:last]
        shared = np.minimum(ends, start_s + seconds) - np.maximum(begins, start_s)
        if shared.max() <= 0:
            return np.asarray(self.values[first + int(shared.argmax())])
        if self.what == "embeddings":
            weight = np.maximum(shared, 0.0)
            return np.asarray((weight / weight.sum()) @ self.values[first:last], np.float32)
        enough = shared >= _HALF * np.minimum(ends - begins, seconds)
        enough[shared.argmax()] = True
        return np.asarray(self.values[first:last][enough].max(axis=0))

    @cached_property
    def _rows(self) -> np.ndarray:
        """The first row of each recording, and the end of the last."""
        return np.searchsorted(self.recording, np.arange(len(self.recordings) + 1))


def joined(parts: Sequence[Predictions]) -> Predictions:
    """Join the predictions of one teacher for several sets of recordings, in their order."""
    shifts = np.cumsum([0, *(len(part.recordings) for part in parts)])
    rows = [part.recording + shift for part, shift in zip(parts, shifts, strict=False)]
    first = parts[0]
    return Predictions(
        first.what, first.title, first.digest, first.classes,
        [name for part in parts for name in part.recordings], [mark for part in parts for mark in part.digests],
        np.concatenate(rows), *(np.concatenate([getattr(part, name) for part in parts])
                                for name in ("start_s", "end_s", "values")),
    )  # fmt: skip


def write_predictions(path: Path, predictions: Predictions, **facts: Any) -> None:
    """Write predictions, whole or not at all; ``facts`` are kept beside them as JSON."""
    kept = predictions
    about = {"format": _FORMAT, "what": kept.what, "title": kept.title, "digest": kept.digest, **facts}
    with atomic_file(path) as partial, partial.open("wb") as stream:
        np.savez(
            stream, about=np.array(json.dumps(about)), classes=np.array(list(kept.classes), str),
            recordings=np.array(kept.recordings, str), digests=np.array(kept.digests, str),
            recording=kept.recording.astype(np.int32), start_s=kept.start_s.astype(np.float64),
            end_s=kept.end_s.astype(np.float64), values=kept.values.astype(np.float32),
        )  # fmt: skip


def read_predictions(path: Path) -> Predictions:
    """Read what `write_predictions` wrote; raises `ConfigError` where it is absent, damaged or something else."""
    return read_with_facts(path)[0]


def read_with_facts(path: Path) -> tuple[Predictions, dict[str, Any]]:
    """Read predictions and the facts beside them; raises `ConfigError`."""
    if not path.is_file():
        raise ConfigError(f"{path}: there are no predictions of a teacher; ecotf teach makes them")
    with reading_arrays(path, _WHAT_IT_IS) as kept:
        about = json.loads(str(kept["about"]))
        if about["format"] != _FORMAT:
            raise ValueError("another format")
        predictions = Predictions(
            about["what"], about["title"], about["digest"], tuple(map(str, kept["classes"])),
            list(map(str, kept["recordings"])), list(map(str, kept["digests"])), kept["recording"].astype(int),
            *(kept[name] for name in ("start_s", "end_s", "values")),
        )  # fmt: skip
        _require_whole(predictions)
    return predictions, about


def _require_whole(kept: Predictions) -> None:
    """Refuse arrays that do not fit each other; raises `ValueError`."""
    n, known = len(kept.recording), len(kept.recordings)
    fits = [
        kept.what in ("scores", "embeddings"), kept.values.ndim == 2, len(kept.digests) == known,
        {len(kept.start_s), len(kept.end_s), len(kept.values)} == {n}, bool((np.diff(kept.recording) >= 0).all()),
        set(kept.recording) == set(range(known)), bool(np.isfinite(kept.values).all()),
        bool((kept.end_s > kept.start_s).all()),
        kept.what == "embeddings" or kept.values.shape[-1] == len(kept.classes),
    ]  # fmt: skip
    if not all(fits):
        raise ValueError("its arrays do not fit each other")
