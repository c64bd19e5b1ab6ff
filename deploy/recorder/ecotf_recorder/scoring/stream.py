"""The whole way of one stretch of sound: samples in, detections out, equal to the desktop's on the same recording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from ecotf_recorder.scoring.candidates import Candidate, CandidateStream
from ecotf_recorder.scoring.front_end import FrontEnd, Model
from ecotf_recorder.scoring.held import Detection, HeldDetections
from ecotf_recorder.scoring.naming import Naming


class DetectionStream:
    """The detections of one stretch of sound without gaps, in order of time, in memory that does not grow.

    Parameters
    ----------
    thresholds, unnamed
        Instead of the model's own.
    chunk_s
        How much is settled at a time.
    """

    def __init__(
        self,
        model: Model,
        thresholds: Mapping[str, float] | None = None,
        unnamed: bool | None = None,
        chunk_s: float = 1.0,
    ) -> None:
        facts = model.facts
        made, box = facts.front_end, facts.detection.box
        self._made, self._rate = made, facts.sample_rate_hz
        self._reach = round(box.search_s / made.hop_s) + round(box.reach_s / made.hop_s) + 1
        self._front_end = FrontEnd(model)
        self._candidates = CandidateStream(model, chunk_s)
        self._naming = Naming(
            facts.thresholds if thresholds is None else thresholds,
            facts.unnamed if unnamed is None else unnamed,
            self._reach,
        )
        self._held = HeldDetections()

    def push(self, sound: NDArray[Any]) -> list[Detection]:
        """Take more sound, int16 or float32 ``[n]``; return the detections that are settled."""
        self._held.hear(sound)
        found = self._candidates.push(self._front_end.push(sound))
        return self._held.release(self._boxed(self._naming.push(found, self._candidates.settled)))

    def finish(self) -> list[Detection]:
        """End the stretch; return its last detections."""
        found = self._candidates.push(self._front_end.finish()) + self._candidates.finish()
        return self._held.release(self._boxed(self._naming.push(found, None)))

    @property
    def samples(self) -> int:
        """Samples that were pushed."""
        return self._held.samples

    @property
    def windows(self) -> int:
        """Patches that were scored."""
        return self._candidates.windows

    @property
    def silent(self) -> bool:
        """Whether all samples so far are the same; detections wait until one differs."""
        return self._held.silent

    @property
    def settled_s(self) -> float:
        """Up to when all detections are out: later ones begin after this."""
        if self._held.are_waiting:
            return 0.0
        made, slices = self._made, self._candidates.settled - 3 * self._reach
        return max(0.0, made.offset_s + (slices - 0.5) * made.hop_s)

    def _boxed(self, candidates: list[Candidate]) -> list[Detection]:
        made = self._made
        rows, hop_s, offset_s = made.frequencies_hz, made.hop_s, made.offset_s
        half_band = float(rows[1] - rows[0]) / 2 if len(rows) > 1 else 0.0
        return [
            Detection(
                offset_s + (one.first - 0.5) * hop_s,
                offset_s + (one.last + 0.5) * hop_s,
                float(rows[one.low]) - half_band,
                float(rows[one.high]) + half_band,
                one.label,
                one.score,
                one.detection_score,
            )
            for one in candidates
        ]
