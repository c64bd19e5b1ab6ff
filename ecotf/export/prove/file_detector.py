"""A model file at work: what a recorder does with it, in terms of the desktop's own detection, without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ecotf._kernels import spectrogram as kernels
from ecotf.detection.candidates import CandidateFinder, DetectionConfig
from ecotf.detection.scoring import Stopwatch
from ecotf.features.peaks import PeakConfig
from ecotf.features.spectrogram import BandSpectrogram, BandSpectrogramConfig
from ecotf.pipelines.patches import PatchesConfig

if TYPE_CHECKING:
    import pandas as pd

_DENOISE = {"none": 0, "mean": 1, "median": 2, "published": 3}


class FileSlices(NamedTuple):
    """The times of the slices of a file's spectrogram, and the frequencies of its rows."""

    hop_s: float
    offset_s: float
    frequencies_hz: np.ndarray


@dataclass
class FileDetector:
    """Stands where detection expects a `Detector`; its networks and trees are those of the file.

    Attributes
    ----------
    values
        What the file's ``model.json`` says.
    """

    interpreter: Any
    values: dict[str, Any]
    front_end: BandSpectrogramConfig
    patches: PatchesConfig
    watch: Stopwatch = field(default_factory=Stopwatch)

    @classmethod
    def of(cls, interpreter: Any, values: dict[str, Any], settings: Mapping[str, Any]) -> FileDetector:
        """Make a detector from a rehearsal's plain values: ``front_end`` and ``patches`` of the run's recipe."""
        front_end = BandSpectrogramConfig.model_validate(settings["front_end"])
        return cls(interpreter, values, front_end, PatchesConfig.model_validate(settings["patches"]))

    def __post_init__(self) -> None:
        self._score = self.interpreter.get_signature_runner("score")
        self._spectrogram = self.interpreter.get_signature_runner("spectrogram")
        self._measures = "measures" in self._score.get_input_details()

    @property
    def species(self) -> tuple[str, ...]:
        """Class names."""
        return tuple(self.values["species"])

    @property
    def is_cascade(self) -> bool:
        """Whether a second network names the species."""
        return bool(self.values["cascade"])

    @property
    def needs_measures(self) -> bool:
        """Whether the trees want measures."""
        return bool(self.values["measures"])

    def run(self, patches: np.ndarray) -> list[np.ndarray]:
        """Return the patches themselves; `combine` takes the measures, too."""
        return [patches]

    def combine(self, outputs: list[np.ndarray], measures: np.ndarray | None = None) -> np.ndarray:
        """Score patches [n, 1 + species], one after the other as a recorder does."""
        return np.concatenate([self.outputs_of(outputs[0], measures, at)["scores"] for at in range(len(outputs[0]))])

    def outputs_of(self, patches: np.ndarray, measures: np.ndarray | None, at: int) -> dict[str, np.ndarray]:
        """Compute all outputs for one patch."""
        inputs = {"patch": np.ascontiguousarray(patches[at : at + 1], np.float32)}
        if self._measures:
            assert measures is not None
            inputs["measures"] = np.ascontiguousarray(measures[at : at + 1], np.float32)
        return dict(self._score(**inputs))

    def frames(self, sound: np.ndarray) -> np.ndarray:
        """Scaled frames of a whole recording, before denoising: float32 [frames, rows]."""
        made, front_end = BandSpectrogram(self.front_end, self.values["sample_rate_hz"]), self.values["front_end"]
        n_frames, chunk = made.n_frames(len(sound)), front_end["chunk_frames"]
        parts = [np.empty((0, made.n_rows), np.float32)]
        for first in range(0, n_frames, chunk):
            samples = sound[first * made.hop : first * made.hop + front_end["chunk_samples"]]
            samples = np.pad(samples, (0, front_end["chunk_samples"] - len(samples)))
            parts.append(self._spectrogram(sound=samples[None])["frames"][0, : n_frames - first])
        return np.concatenate(parts)

    def spectrogram(self, sound: np.ndarray) -> Iterator[np.ndarray]:
        """Denoised and smoothed blocks; a tail shorter than half a block joins the last."""
        front_end = self.values["front_end"]
        frames, block = self.frames(sound), front_end["block_frames"]
        taps = np.array(front_end["smoothing"], np.float32)
        ends = [block * (i + 1) for i in range(max(0, (len(frames) - block // 2) // block))]
        for start, end in zip([0, *ends], [*ends, len(frames)], strict=True):
            if end > start:
                rows = frames.shape[1]
                levels = np.zeros((end - start, rows + -rows % kernels.LANES_IN_VECTOR), np.float32)
                levels[:, :rows] = frames[start:end]
                out = np.empty((end - start, rows), np.float32)
                mask = front_end["mask_level"]
                kernels.finish_block(levels, end - start, rows, _DENOISE[front_end["denoise"]], mask, taps, out)
                yield out

    def candidates(self, sound: np.ndarray) -> pd.DataFrame:
        """Find the candidates of a recording as the desktop does."""
        front_end = self.values["front_end"]
        finder = CandidateFinder(
            self,
            DetectionConfig.model_validate(self.values["detection"]),
            PeakConfig.model_validate(self.values["peaks"]),
            FileSlices(front_end["hop_s"], front_end["offset_s"], np.array(front_end["frequencies_hz"])),
        )
        return finder.candidates(self.spectrogram(sound), self.watch)
