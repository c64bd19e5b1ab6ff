"""Read a run of task calls: the recipe, the detector and its thresholds, all from inside the run folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecotf.config import read_yaml
from ecotf.detection.candidates import CandidateFinder
from ecotf.detection.gate import FittedGate
from ecotf.errors import ConfigError
from ecotf.features.peaks import find_peaks
from ecotf.features.spectrogram import BandSpectrogram
from ecotf.models.detector import Detector
from ecotf.models.saved import build_detector, load_weights
from ecotf.pipelines.patches import cut_patches
from ecotf.runs import RunFolder
from ecotf.tasks.base import Cuts, StreamOptions
from ecotf.tasks.calls.recipe import CallRecipe
from ecotf.tasks.calls.stream import CallsStream
from ecotf.tasks.recipes import parse_recipe

if TYPE_CHECKING:
    import pandas as pd

_EMBED_AT_ONCE = 256


@dataclass(frozen=True)
class CallsRun:
    """A run of task calls, ready to listen.

    Attributes
    ----------
    thresholds
        Of every species and of ``call``, fitted on the run's validation recordings.
    gate
        Fitted on the same; None in a run that has none.
    """

    path: Path
    recipe: CallRecipe
    detector: Detector
    thresholds: dict[str, float]
    gate: FittedGate | None = None

    segment_s = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The species."""
        return self.detector.species

    @property
    def paths(self) -> tuple[Path, ...]:
        """The run folder."""
        return (self.path,)

    @property
    def title(self) -> str:
        """The recipe's name."""
        return self.recipe.name

    @property
    def shortest_s(self) -> float:
        """The length of a patch, seconds."""
        return self.recipe.patches.width_s

    def fitted_gate(self) -> FittedGate:
        """Return the gate; raises `ConfigError` where the run has none."""
        if self.gate is None:
            raise ConfigError(f"{self.path}: the run has no fitted gate; leave --gate out, or train again")
        return self.gate

    def check(self, options: StreamOptions) -> None:
        """Refuse a gate that the run does not have, and the scores of segments (`ConfigError`)."""
        if options.segments:
            raise ConfigError(
                "format submission: it holds the scores of segments of some seconds; a run of task calls has none"
            )
        if options.gate:
            self.fitted_gate()

    def stream_rate(self, sample_rate: int) -> int:
        """Return the rate itself: calls are never resampled. Raises `ConfigError` where it is too low for the band."""
        return BandSpectrogram(self.recipe.front_end, sample_rate).sample_rate

    def open_stream(self, sample_rate: int, options: StreamOptions) -> CallsStream:
        """Begin to listen to one channel; raises `ConfigError` for a rate that cannot carry the band."""
        return CallsStream(self, sample_rate, options)

    def cuts(self, sample_rate: int, options: StreamOptions) -> Cuts | None:
        """Cut where chunks begin; not with a gate nor with ``pcen``, which follow the background from the start."""
        if options.gate or self.recipe.front_end.scale == "pcen":
            return None
        return CallsStream(self, sample_rate, options).cuts

    def scores(self, sound: np.ndarray, sample_rate: int) -> pd.DataFrame:
        """Score every candidate of sound ``[n]``, ``call`` and each species, in order of time, before thresholds."""
        spectrogram = BandSpectrogram(self.recipe.front_end, sample_rate)
        finder = CandidateFinder(self.detector, self.recipe.detection, self.recipe.peaks, spectrogram)
        return finder.candidates([spectrogram(sound)])

    def embed(self, sound: np.ndarray, sample_rate: int) -> np.ndarray:
        """Embed every peak of energy of sound ``[n]``, in order of time: float32 ``[peaks, numbers]``.

        The numbers are those that the first network's scores are made of.
        """
        spectrogram = BandSpectrogram(self.recipe.front_end, sample_rate)
        values = spectrogram(sound)
        peaks = find_peaks(values, spectrogram.hop_s, self.recipe.peaks)
        slices = self.recipe.patches.slices(self.recipe.front_end.hop_s)
        backbone = self.detector.networks[0].backbone
        parts = [np.empty((0, backbone.output_shape[-1]), np.float32)]
        for at in range(0, len(peaks), _EMBED_AT_ONCE):
            patches = cut_patches(values, peaks[at : at + _EMBED_AT_ONCE], slices, self.recipe.patches)
            parts.append(np.asarray(backbone(patches, training=False)))
        return np.concatenate(parts)

    def embed_each(self, windows: np.ndarray, sample_rate: int, whole: bool) -> np.ndarray:
        """Embed windows ``[n, samples]``: the mean of the peaks in each; refuses ``whole`` (`ConfigError`)."""
        if whole:
            raise ConfigError(f"{self.path}: a run of task calls embeds peaks of energy, never a window as a whole")
        rows = np.zeros((len(windows), self.detector.networks[0].backbone.output_shape[-1]), np.float32)
        for number, window in enumerate(windows):
            peaks = self.embed(window, sample_rate)
            if len(peaks):
                rows[number] = peaks.mean(axis=0)
        return rows


def load_run(path: str | Path) -> CallsRun:
    """Read the run folder at ``path``; raises `ConfigError` when it is half written, or is no run."""
    import pandas as pd

    run = RunFolder.open(path)
    recipe = parse_recipe(read_yaml(run.file("recipe.yaml")), str(run.file("recipe.yaml")))
    if not isinstance(recipe, CallRecipe):
        raise ConfigError(f"{path}: a run of task {recipe.task} ({recipe.name}); here one of task calls is needed")
    # As text: a species may be called "007".
    species = pd.read_csv(run.file("labels.csv"), dtype=str, keep_default_na=False)["label"].tolist()
    detector = build_detector(recipe.front_end, recipe.patches, recipe.networks, species)
    detector = load_weights(detector, run.file("model"), recipe.trees is not None)
    fitted = run.read_json("thresholds.json")
    gate = _gate(fitted.get("gate"), str(run.file("thresholds.json")))
    return CallsRun(run.path, recipe, detector, dict(fitted["thresholds"]), gate)


def join_calls(runs: Sequence[CallsRun], weights: Sequence[float] | str | None = None) -> CallsRun:
    """Return the one run that is given; raises `ConfigError` for several, or for weights."""
    if len(runs) > 1 or weights is not None:
        raise ConfigError(f"{runs[0].path}: a run of task calls answers alone; an ensemble is of runs of task clips")
    return runs[0]


def _gate(kept: object, where: str) -> FittedGate | None:
    """Read the gate that a training kept; None where no gate could be fitted."""
    if kept is None:
        return None
    names = {field.name for field in fields(FittedGate)}
    numbers = kept if isinstance(kept, dict) else {}
    if set(numbers) != names or not all(isinstance(value, int | float) for value in numbers.values()):
        raise ConfigError(f"{where}: gate = {kept!r}; it holds the numbers {', '.join(sorted(names))}, or is null")
    return FittedGate(**numbers)
