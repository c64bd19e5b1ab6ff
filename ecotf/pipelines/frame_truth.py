"""What is known of a clip and of its frames: which classes are there, which are not, and what nobody knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ecotf.pipelines.event_rows import EventRows, Kind
from ecotf.pipelines.onset_truth import LEAST_S, OCTAVES, OnsetTruth


class ClipTruth(NamedTuple):
    """The targets of a batch, and what of them is known (1) or not (0).

    Attributes
    ----------
    clip, clip_known
        ``[n, classes]``
    frames, frames_known
        ``[n, t, classes]``
    onsets, ends, lengths, lengths_known
        The same of where events begin and end (known where the frames are), and of how long they are, as `OnsetTruth`
        says; None where they are not asked for.
    """

    clip: Any
    clip_known: Any
    frames: Any
    frames_known: Any
    onsets: Any = None
    ends: Any = None
    lengths: Any = None
    lengths_known: Any = None


@dataclass(frozen=True)
class FrameTruth:
    """Makes the targets of clips that begin anywhere, at the network's own step.

    A frame's target is the part of it that an event of the class covers. Known are the frames of events; all others of
    a recording that is fully annotated, those of stretches annotated as none of the classes, and those that are no
    farther than ``beside_s`` from an event of the class. Not known are frames inside an event of unknown species, those
    of a class that is only said to be somewhere around them, and what is beyond the end of the recording.

    Attributes
    ----------
    rows
        What the annotations say.
    frames, frame_s
        How many frames a clip has, and their length.
    seconds
        Length of a clip.
    least_overlap
        An event counts for a clip from this part of the shorter of the two on; with less of it, nobody knows.
    onsets
        Also make targets of onsets and lengths; None for none.
    beside_s
        So near to an event of a class it is known that there is no other one, in any recording.
    """

    rows: EventRows
    frames: int
    frame_s: float
    seconds: float
    least_overlap: float = 0.25
    onsets: OnsetTruth | None = None
    beside_s: float = 0.0

    @property
    def width(self) -> int:
        """Columns of `packed`."""
        return self.rows.n_classes * (2 + len(self._of_frames) * self.frames)

    @property
    def _of_frames(self) -> tuple[str, ...]:
        """The targets of frames, in the order in which they are packed."""
        return ("frames", "frames_known", *(("onsets", "ends", "lengths", "lengths_known") if self.onsets else ()))

    def packed(self, recording: np.ndarray, start_s: np.ndarray) -> np.ndarray:
        """Compute the targets of clips as one row each, float32 ``[n, width]``; `unpacked` takes them apart.

        Parameters
        ----------
        recording, start_s
            ``[n]``; NaN where the place of a clip is drawn when it is read: then the labels of the whole recording
            hold, and of its frames only classes that are nowhere in it are known.
        """
        made = [
            self._anywhere(int(one)) if np.isnan(start) else self._placed(int(one), float(start))
            for one, start in zip(recording, start_s, strict=True)
        ]
        rows = [np.concatenate([part.ravel() for part in truth if part is not None]) for truth in made]
        return np.stack(rows).astype(np.float32) if rows else np.empty((0, self.width), np.float32)

    def unpacked(self, packed: Any) -> ClipTruth:
        """Take rows of `packed` apart; TensorFlow's or numpy's."""
        classes, cells = self.rows.n_classes, self.rows.n_classes * self.frames
        clip, clip_known = packed[:, :classes], packed[:, classes : 2 * classes]
        parts = {
            name: packed[:, 2 * classes + i * cells : 2 * classes + (i + 1) * cells]
            for i, name in enumerate(self._of_frames)
        }
        shape = (-1, self.frames, classes)
        if isinstance(packed, np.ndarray):
            return ClipTruth(clip, clip_known, **{name: part.reshape(shape) for name, part in parts.items()})
        import tensorflow as tf

        return ClipTruth(clip, clip_known, **{name: tf.reshape(part, shape) for name, part in parts.items()})

    def add_event(self, packed: np.ndarray, code: int, start_s: float, end_s: float) -> None:
        """Write an event that was added to a clip, with its times in the clip, into its row of `packed`."""
        truth = self.unpacked(packed[None])  # views
        truth.clip[0, code] = truth.clip_known[0, code] = 1.0
        edges = np.arange(self.frames) * self.frame_s
        shared = np.minimum(edges + self.frame_s, end_s) - np.maximum(edges, start_s)
        part = np.clip(shared / self.frame_s, 0.0, 1.0)
        own = truth.frames[0, :, code]
        own[:] = np.maximum(own, part)
        truth.frames_known[0, part >= 0.5, code] = 1.0
        if self.onsets is not None:
            event = np.array([start_s]), np.array([end_s])
            near, ends, length, said = self.onsets.of(edges + self.frame_s / 2, self.frame_s, *event)
            here = near > truth.onsets[0, :, code]
            truth.onsets[0, here, code] = near[here]
            truth.ends[0, :, code] = np.maximum(truth.ends[0, :, code], ends)
            truth.lengths[0, here, code] = length[here]
            truth.lengths_known[0, here, code] = said[here]

    def is_nothing(self, recording: int, start_s: float, end_s: float, code: int) -> bool:
        """Whether it is known that none of a class is in a stretch."""
        frames, known = self._cells(recording, np.array([start_s]), np.array([max(end_s, start_s + 1e-6)]))
        return bool(known[0, code] and frames[0, code] == 0)

    def _placed(self, recording: int, start_s: float) -> ClipTruth:
        edges = start_s + np.arange(self.frames) * self.frame_s
        frames, known = self._cells(recording, edges, edges + self.frame_s)
        known[edges >= start_s + self.seconds] = False
        stop_s = start_s + self.seconds
        clip, clip_known = self._of_clip(recording, start_s, stop_s)
        return ClipTruth(clip, clip_known, frames, known, *self._onsets(recording, edges + self.frame_s / 2, stop_s))

    def _onsets(self, recording: int, middles: np.ndarray, stop_s: float) -> tuple[np.ndarray, ...]:
        """Targets of onsets, ends and lengths, ``[t, classes]``; of what goes on after the clip no length."""
        if self.onsets is None:
            return ()
        rows, own = self.rows, self.rows.of(recording)
        shape = len(middles), rows.n_classes
        near, ends, length = (np.zeros(shape) for _ in range(3))
        said = np.zeros(shape, bool)
        for code in np.unique(rows.code[own][rows.kind[own] == Kind.EVENT]):
            here = (rows.code[own] == code) & (rows.kind[own] == Kind.EVENT)
            start_s, end_s = rows.start_s[own][here], rows.end_s[own][here]
            made = self.onsets.of(middles, self.frame_s, start_s, end_s)
            near[:, code], ends[:, code], length[:, code], said[:, code] = made
            said[:, code] &= middles + LEAST_S * 2 ** (OCTAVES * length[:, code]) <= stop_s + self.frame_s
        return near, ends, length, said

    def _cells(self, recording: int, begins: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Targets and what is known of cells of time, float and bool ``[t, classes]``."""
        rows, own = self.rows, self.rows.of(recording)
        start, end, code, kind = (column[own] for column in (rows.start_s, rows.end_s, rows.code, rows.kind))
        shared = np.minimum(ends[:, None], end) - np.maximum(begins[:, None], start)
        part = np.clip(shared / (ends - begins)[:, None], 0.0, 1.0)
        target = np.zeros((len(begins), rows.n_classes))
        known = np.full(target.shape, bool(rows.full[recording]))
        known[(part[:, kind == Kind.NOTHING] > 0.5).any(axis=1)] = True
        for i in np.flatnonzero(kind == Kind.EVENT) if self.beside_s else ():
            near = (begins >= start[i] - self.beside_s) & (ends <= end[i] + self.beside_s)
            known[near, code[i]] = True
        known[(part[:, kind == Kind.UNKNOWN] > 0).any(axis=1)] = False
        for i in np.flatnonzero(kind == Kind.WEAK):
            known[part[:, i] > 0, code[i]] = False
        for i in np.flatnonzero(kind == Kind.EVENT):
            target[:, code[i]] = np.minimum(1.0, target[:, code[i]] + part[:, i])
        # Without a full annotation, nobody knows what is beside an event in the frame that it begins or ends in.
        known |= (target >= 0.5) if not rows.full[recording] else (target > 0)
        known[begins >= rows.durations[recording]] = False
        return target, known

    def _of_clip(self, recording: int, start_s: float, stop_s: float) -> tuple[np.ndarray, np.ndarray]:
        rows, own = self.rows, self.rows.of(recording)
        start, end, code, kind = (column[own] for column in (rows.start_s, rows.end_s, rows.code, rows.kind))
        stop_s = min(stop_s, float(rows.durations[recording]))
        shared = np.minimum(stop_s, end) - np.maximum(start_s, start)
        touched = shared > 0
        target = np.zeros(rows.n_classes)
        known = np.full(rows.n_classes, bool(rows.full[recording]))
        if ((kind == Kind.NOTHING) & (start <= start_s) & (end >= stop_s)).any():
            known[:] = True
        if (touched & (kind == Kind.UNKNOWN)).any():
            known[:] = False
        known[code[touched & ((kind == Kind.WEAK) | (kind == Kind.EVENT))]] = False
        enough = shared >= self.least_overlap * np.minimum(end - start, stop_s - start_s)
        there = touched & (kind == Kind.EVENT) & enough
        inside = (kind == Kind.WEAK) & (start >= start_s) & (end <= stop_s)
        for i in np.flatnonzero(there | inside):
            target[code[i]] = max(target[code[i]], rows.value[own][i])
            known[code[i]] = True
        return target, known

    def _anywhere(self, recording: int) -> ClipTruth:
        rows, own = self.rows, self.rows.of(recording)
        code, kind, value = rows.code[own], rows.kind[own], rows.value[own]
        target, here = np.zeros(rows.n_classes), np.zeros(rows.n_classes, bool)
        for i in np.flatnonzero(code >= 0):
            target[code[i]] = max(target[code[i]], value[i])
            here[code[i]] = True
        sure = not (kind == Kind.UNKNOWN).any()
        nowhere = ~here & bool(rows.full[recording]) & sure
        known = np.broadcast_to(nowhere, (self.frames, rows.n_classes))
        nothing = np.zeros(known.shape)
        onsets = (nothing,) * 4 if self.onsets is not None else ()
        return ClipTruth(target, here | sure, nothing, known, *onsets)
