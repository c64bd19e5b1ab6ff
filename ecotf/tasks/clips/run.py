"""Read a run of task clips: the recipe, the model and its thresholds, all from inside the run folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from ecotf.config import read_yaml
from ecotf.detection.finders import Numbers
from ecotf.detection.segment_model import SegmentModel
from ecotf.detection.segments import margin_of, segment_windows
from ecotf.errors import ConfigError
from ecotf.runs import RunFolder
from ecotf.tasks.base import Cuts, StreamOptions
from ecotf.tasks.clips.answering import Answering
from ecotf.tasks.clips.plan import ClipPlan
from ecotf.tasks.clips.stream import (
    SHORTEST_S,
    SegmentStream,
    check_options,
    check_rate,
    cuts_of,
    segment_table,
)
from ecotf.tasks.recipes import parse_recipe

if TYPE_CHECKING:
    import pandas as pd


Plan = TypeVar("Plan", bound=ClipPlan, covariant=True)
Model = TypeVar("Model", bound=SegmentModel, covariant=True)


@dataclass(frozen=True)
class ClipsRun(Generic[Plan, Model]):
    """A run of task clips, ready to listen.

    Attributes
    ----------
    thresholds
        Of every class, for segments.
    event_thresholds
        The same for events; None where the run has none.
    finder
        What the event finder was fitted to; None where it was not.
    boxes
        What the edges of events in frequency were fitted to; None where they were not.
    """

    path: Path
    recipe: Plan
    model: Model
    thresholds: dict[str, float]
    event_thresholds: dict[str, float] | None
    finder: Numbers | None = None
    boxes: Numbers | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The names that detections may have."""
        return self.model.classes

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
        """Shorter sound has no answer; seconds."""
        return SHORTEST_S

    @property
    def segment_s(self) -> float:
        """Length of a segment, seconds."""
        return self.recipe.inference.segment_s

    def check(self, options: StreamOptions) -> None:
        """Refuse a gate: there is none (`ConfigError`)."""
        check_options(options)

    def stream_rate(self, sample_rate: int) -> int:
        """Return the rate of the model, in Hz; sound of every other rate is resampled to it."""
        return self.model.sample_rate

    def open_stream(self, sample_rate: int, options: StreamOptions) -> SegmentStream:
        """Begin to listen to one channel; raises `ConfigError` for another rate than `stream_rate`, or a gate."""
        return SegmentStream(self.answering, sample_rate, options)

    def cuts(self, sample_rate: int, options: StreamOptions) -> Cuts | None:
        """Return where a channel may be cut: between batches of segments, not within events."""
        return cuts_of(self.answering, sample_rate, options)

    def scores(self, sound: np.ndarray, sample_rate: int) -> pd.DataFrame:
        """Score every class in every segment of sound ``[n]``, before thresholds."""
        return segment_table(self.answering, sound, sample_rate)

    def embed(self, sound: np.ndarray, sample_rate: int) -> np.ndarray:
        """Embed every segment of sound ``[n]``: float32 ``[segments, numbers]``.

        The numbers are those of the head's ``embedding_layer``; of a head that names none, the backbone's features,
        averaged over time and frequency; of a frozen embedder, its own, averaged over its windows.
        """
        model, config = self.model, self.recipe.inference
        check_rate(sample_rate, model.sample_rate)
        row = round(config.segment_s * model.sample_rate)
        windows = list(segment_windows([sound], row, margin_of(model, config), config.ends))
        parts = [model.embed(np.stack(windows[at : at + config.batch])) for at in range(0, len(windows), config.batch)]
        return np.concatenate(parts)

    def embed_each(self, windows: np.ndarray, sample_rate: int, whole: bool) -> np.ndarray:
        """Embed windows ``[n, samples]``: the mean of the segments in each or, with ``whole``, each as one segment."""
        model, config = self.model, self.recipe.inference
        check_rate(sample_rate, model.sample_rate)
        if whole:
            shortest = self._shortest_whole_s
            if windows.shape[1] < round(shortest * sample_rate):
                heard = windows.shape[1] / sample_rate
                raise ConfigError(
                    f"{self.path}: windows of {heard:g} s; its network hears at least {shortest:g} s as one"
                )
            return model.embed(windows) if len(windows) else np.zeros((0, self.embedding_size), np.float32)
        row, margin = round(config.segment_s * model.sample_rate), margin_of(model, config)
        cut = [list(segment_windows([window], row, margin, config.ends)) for window in windows]
        if not cut:
            return np.zeros((0, self.embedding_size), np.float32)
        rows = model.embed(np.stack([segment for segments in cut for segment in segments]))
        counts = np.array([len(segments) for segments in cut])
        starts = np.cumsum([0, *counts[:-1]])
        return (np.add.reduceat(rows, starts, axis=0) / counts.astype(np.float32)[:, None]).astype(np.float32)

    @cached_property
    def _shortest_whole_s(self) -> float:
        return self.recipe.shortest_whole_s  # tries one length after the other

    @cached_property
    def embedding_size(self) -> int:
        """How many numbers an embedding has."""
        return int(self.embed(np.zeros(self.model.sample_rate, np.float32), self.model.sample_rate).shape[1])

    @property
    def answering(self) -> Answering:
        """The model with its thresholds, as streams take it."""
        thresholds, events = self.thresholds, None
        if self.recipe.inference.report == "events":
            events = self.event_thresholds or self.thresholds
        configs = (self.recipe.inference,)
        return Answering((self.model,), configs, (1.0,), self.classes, thresholds, events, self.finder, self.boxes)


def load_clip_run(path: str | Path) -> ClipsRun:
    """Read the run folder at ``path``; raises `ConfigError` when it is half written, or is of another task."""
    import pandas as pd

    run = RunFolder.open(path)
    recipe = parse_recipe(read_yaml(run.file("recipe.yaml")), str(run.file("recipe.yaml")))
    if not isinstance(recipe, ClipPlan):
        raise ConfigError(f"{path}: a run of task calls ({recipe.name}); here one of task clips is needed")
    # As text: a class may be called "007".
    classes = pd.read_csv(run.file("labels.csv"), dtype=str, keep_default_na=False)["label"].tolist()
    model = recipe.load_model(run.file("model"), classes)
    fitted = run.read_json("thresholds.json")
    numbers = fitted.get("events"), fitted.get("finder"), fitted.get("boxes")
    return ClipsRun(run.path, recipe, model, dict(fitted["thresholds"]), *numbers)
