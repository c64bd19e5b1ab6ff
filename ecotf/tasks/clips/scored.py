"""The recordings of a split scored as recordings are classified: segments, the frames in them, and events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ecotf.audio.recording import open_recording
from ecotf.datasets.coverage import WEAK, half_known, in_known_time, known_seconds, says_yes
from ecotf.detection.finders import FinderConfig, Numbers, find_events
from ecotf.detection.segment_model import SegmentModel
from ecotf.detection.segments import SegmentCollector, SegmentScores, margin_of, segment_windows
from ecotf.errors import RecordingError
from ecotf.tasks.clips.data import ClipData
from ecotf.tasks.clips.plan import ClipPlan
from ecotf.training.run_store import Log

if TYPE_CHECKING:
    import pandas as pd


class FrameScores(NamedTuple):
    """The scores of a recording's frames, their middles, and the step, in seconds.

    ``probabilities`` are ``[frames, classes]``, or with what the network says of onsets, as `HeadConfig.gives_onsets`.
    ``half_known`` are the recording's rows where it is known of some stretches alone that no call is in them.
    """

    recording: str
    probabilities: np.ndarray
    times: np.ndarray
    frame_s: float
    band_hz: tuple[float, float]
    duration_s: float
    half_known: pd.DataFrame | None = None

    @property
    def edges_s(self) -> np.ndarray:
        """Where each frame begins and the last one ends, ``[frames + 1]``."""
        times, half = self.times, self.frame_s / 2
        begin, end = max(0.0, times[0] - half), max(float(times[-1]), min(times[-1] + half, self.duration_s))
        return np.concatenate([[begin], (times[1:] + times[:-1]) / 2, [end]])

    @property
    def known_s(self) -> float | None:
        """In how much of it a call can be found rightly or wrongly; None: in all."""
        return None if self.half_known is None else known_seconds(self.half_known, self.duration_s)

    def of_classes(self, n_classes: int) -> np.ndarray:
        """Return the scores alone, ``[frames, classes]``; 0 where nobody knows whether a call is there."""
        scores = self.probabilities[:, :n_classes]
        if self.half_known is None:
            return scores
        return np.where(in_known_time(self.times, self.times, self.half_known)[:, None], scores, 0.0)

    def events(self, config: FinderConfig, classes: Sequence[str], numbers: Numbers | None = None) -> pd.DataFrame:
        """Find the events in them, those of any class (``call``) too; with a column ``recording``.

        What lies where nobody knows whether a call is there is left out.
        """
        found = find_events(
            self.probabilities, self.times, self.frame_s, classes, self.band_hz, config, calls=True, numbers=numbers
        )
        if self.half_known is not None:
            found = found[in_known_time(found["start_s"], found["end_s"], self.half_known)].reset_index(drop=True)
        return found.assign(recording=self.recording)


@dataclass(frozen=True)
class ScoredSegments:
    """Rows of recordings with their truth.

    Attributes
    ----------
    table
        ``recording, start_s`` of each segment.
    logits, targets
        ``[segments, classes]``.
    candidates
        Events found in the frames; None where they are not judged.
    frames
        The scores of frames of each recording, where events are judged.
    """

    table: pd.DataFrame
    logits: np.ndarray
    targets: np.ndarray
    candidates: pd.DataFrame | None
    frames: tuple[FrameScores, ...] = ()

    @property
    def recordings(self) -> list[str]:
        """Names of what was scored; one of which no segment is known has none in ``table``."""
        return list(dict.fromkeys([*self.table["recording"], *(one.recording for one in self.frames)]))

    @property
    def probabilities(self) -> np.ndarray:
        """``[segments, classes]``"""
        from scipy.special import expit

        return np.asarray(expit(self.logits.astype(np.float64)))


def score_recording(
    model: SegmentModel, plan: ClipPlan, path: Path, expansion: float | None
) -> tuple[SegmentScores, float]:
    """Score all segments of a recording; return them with its length in seconds. Raises `RecordingError`."""
    recording = open_recording(path, time_expansion=expansion)
    rate, rows = model.sample_rate, SegmentCollector(model, plan.inference)
    blocks = recording.blocks(10 * rate, channel=plan.data.channel, sample_rate=rate)
    row, margin = round(plan.inference.segment_s * rate), margin_of(model, plan.inference)
    for window in segment_windows(blocks, row, margin, plan.inference.ends):
        rows.push(window)
    return rows.finish().until(recording.duration_s), recording.duration_s


def score_split(model: SegmentModel, data: ClipData, split: str, log: Log) -> ScoredSegments | None:
    """Score the recordings of a split as recordings are classified; None where it has none of the classes to read."""

    import pandas as pd
    from scipy.special import expit

    plan = data.plan
    truth = data.rows(split, plan.stages[-1].data, model.classes, plan.inference.segment_s, None)
    if truth is None:
        return None
    table = pd.DataFrame(
        {"recording": np.array(truth.recordings, object)[truth.table.recording], "start_s": truth.table.start_s}
    )
    logits = np.zeros(truth.table.targets.shape, np.float32)
    there = np.zeros(len(table), bool)
    kept, partly = [], half_known(data.manifest.table)
    for number, name in enumerate(truth.recordings):
        own = np.flatnonzero(truth.table.recording == number)
        manifest = data.manifest
        try:
            scores, duration_s = score_recording(model, plan, manifest.path_of(name), manifest.time_expansion_of(name))
        except RecordingError as error:
            log(f"left out: {name}: {error}")
            continue
        at = np.minimum(
            np.rint(table["start_s"].to_numpy()[own] / plan.inference.segment_s).astype(int), len(scores.rows) - 1
        )
        logits[own], there[own] = scores.rows[at], True
        if plan.evaluation.events and scores.frames is not None:
            probabilities = expit(scores.frames.astype(np.float64))
            given = (probabilities, scores.frame_times, scores.frame_s, model.band_hz, duration_s)
            kept.append(FrameScores(name, *given, partly.get(name)))
    if not there.any():
        return None
    if kept and not with_ends(data, table["recording"][there], model.classes):
        log(f"events are not judged: in each recording of split {split} a class has no end_s, or weak ones")
        kept = []
    segments = table[there].reset_index(drop=True), logits[there], truth.table.targets[there]
    return with_events(ScoredSegments(*segments, None, tuple(kept)), plan, model.classes, None)


def with_events(
    scored: ScoredSegments, plan: ClipPlan, classes: Sequence[str], numbers: Numbers | None
) -> ScoredSegments:
    """Find the events again, by the numbers that a finder was fitted to."""
    import pandas as pd

    if not scored.frames:
        return scored
    found = [frames.events(plan.inference.events, classes, numbers) for frames in scored.frames]
    return replace(scored, candidates=pd.concat(found, ignore_index=True))


def with_ends(data: ClipData, recordings: Iterable[str], classes: Sequence[str]) -> list[str]:
    """Return those of ``recordings`` in which every annotation of a class says from where to where it is."""
    table = data.manifest.table
    unclear = table["end_s"].isna() | says_yes(table, WEAK)
    unknown = set(table.loc[table["label"].isin(list(classes)) & unclear, "recording"])
    return [name for name in dict.fromkeys(recordings) if name not in unknown]
