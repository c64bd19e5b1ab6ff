"""The stages of a training on clips: what each learns from, how, and where its weights come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from ecotf.config import Config
from ecotf.errors import ConfigError
from ecotf.models.tagger import read_weights
from ecotf.pipelines.augment_image import AugmentImageConfig
from ecotf.pipelines.augment_sound import AugmentSoundConfig
from ecotf.pipelines.samplers import SamplerConfig
from ecotf.training.losses import LossConfig
from ecotf.training.schedules import ScheduleConfig
from ecotf.training.stages import STAGES, FitPlace, Fitted, StageConfig

if TYPE_CHECKING:
    import pandas as pd

    from ecotf.models.image_network import ClipNetwork
    from ecotf.tasks.clips.data import ClipData

_PARTS = ("front_end", "backbone", "band_norm", "pool", "hidden")


class StageData(Config):
    """The annotations of the manifest that a stage learns from, and so its classes.

    Attributes
    ----------
    column, values
        Rows whose optional column ``column`` has one of ``values`` (empty cells are ``""``); by default all rows. A
        manifest without that column is taken whole.
    labels
        Shell patterns of the labels.
    """

    column: str = "role"
    values: tuple[str, ...] | None = None
    labels: tuple[str, ...] = ("*",)

    def chosen(self, table: pd.DataFrame) -> np.ndarray:
        """Mark the manifest rows of the stage, bool ``[n]``; rows without a label follow their column alone."""
        inside = np.ones(len(table), bool)
        if self.values is not None and self.column in table:
            inside &= table[self.column].fillna("").astype(str).isin(self.values).to_numpy()
        named = table["label"].map(lambda label: not label or any(fnmatchcase(label, name) for name in self.labels))
        return inside & named.to_numpy(bool)


class ClipStageConfig(StageConfig):
    """The settings of every stage that learns from clips.

    Attributes
    ----------
    title
        What the stage is called; what it learned is kept in the run's ``stages/<number>_<title>``.
    segments
        Learn from segments at fixed places, labelled by the annotations in them, rather than from one crop a recording
        with the recording's labels.
    segment_hop_s
        From one such segment to the next; by default their length.
    seconds
        Length of the clips, where it is not the recipe's.
    """

    learns_from: ClassVar[Literal["clips"]] = "clips"
    teaches_onsets: ClassVar[bool] = False

    @property
    def changes_onsets(self) -> bool:
        """Whether it says how onsets are taught, other than by default."""
        return False

    name: str
    title: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")
    data: StageData = StageData()
    segments: bool = False
    segment_hop_s: float | None = Field(None, gt=0)
    seconds: float | None = Field(None, gt=0)


class FitClipsStage(ClipStageConfig):
    """Fit the network on clips.

    Attributes
    ----------
    weights_from
        ``previous``: the stage before (the first begins with the backbone's own). ``fresh``. The title of an earlier
        stage. Or the folder of a stage of another run, ``RUN/stages/0_train``, or a file ending in ``.npz``, as such a
        folder holds and ``ecotf weights convert`` writes. Classes that it knew keep their rows.
    frozen
        Parts that stay as they are: front_end (where it is inside the network, and learns), backbone, band_norm, pool,
        hidden.
    optimiser, momentum
        ``adam``, ``rmsprop`` or ``sgd``; the last two with a momentum, 0 by default.
    amsgrad
        The variant of Adam whose second moment never gets smaller (Reddi et al., ICLR 2018), as published for PANNs.
    epsilon
        The small number that Adam adds to a denominator; PyTorch's is 1e-8.
    weight_decay
        Apart from the gradient, as AdamW has it. (The published code adds it to the gradient.)
    accumulation
        Batches whose gradients are added up for one step.
    ema
        Momentum of a running average of the weights; the average is what is judged and kept. null: none.
    class_weights
        Power p of class weights (n / N) ** p in the loss; null: none. Published 2024: -0.5.
    patience
        Epochs without a better padded cmAP on the validation clips until the stage ends; null: never.
    keep
        ``best``: the weights of the epoch with the best padded cmAP. ``last``.
    """

    name: Literal["fit_clips"] = "fit_clips"
    weights_from: str = Field("previous", min_length=1)
    frozen: tuple[str, ...] = ()
    loss: LossConfig
    learning_rate: float = Field(1e-3, gt=0)
    schedule: ScheduleConfig = ScheduleConfig()
    optimiser: Literal["adam", "rmsprop", "sgd"] = "adam"
    momentum: float = Field(0.0, ge=0, lt=1)
    amsgrad: bool = False
    epsilon: float = Field(1e-7, gt=0)
    weight_decay: float | None = Field(None, gt=0)
    clip_norm: float | None = Field(None, gt=0)
    epochs: int = Field(ge=1)
    batch: int = Field(32, ge=2)
    accumulation: int = Field(1, ge=1)
    ema: float | None = Field(None, gt=0, lt=1)
    class_weights: float | None = Field(None, ge=-2, le=0)
    sampler: SamplerConfig = SamplerConfig()
    sound: AugmentSoundConfig = AugmentSoundConfig()
    image: AugmentImageConfig = AugmentImageConfig()
    patience: int | None = Field(None, ge=1)
    keep: Literal["best", "last"] = "best"

    @property
    def activation(self) -> Literal["sigmoid", "softmax"]:
        """The function that makes probabilities of the logits that this stage trains."""
        return self.loss.activation

    @property
    def trains(self) -> tuple[str, ...]:
        """The parts of the network that change; the head's class layers always do."""
        return (*(part for part in _PARTS if part not in self.frozen), "classes")

    @property
    def needs_frames(self) -> bool:
        """Whether the loss looks at the scores of frames."""
        return self.loss.frames_share > 0

    @property
    def needs_start(self) -> bool:
        """Whether it makes no sense with random weights."""
        return False

    def check_files(self) -> None:
        """Refuse files that are absent, damaged or something else, before anything is trained (`ConfigError`)."""
        path = outside_weights(self.weights_from)
        if path is not None:
            read_weights(path)

    @field_validator("frozen")
    @classmethod
    def _known_parts(cls, frozen: tuple[str, ...]) -> tuple[str, ...]:
        for name in frozen:
            if name not in _PARTS:
                raise ValueError(f"cannot freeze {name!r}; allowed: {', '.join(_PARTS)}")
        return frozen

    @model_validator(mode="after")
    def _of_the_optimiser(self) -> FitClipsStage:
        if self.momentum and self.optimiser == "adam":
            raise ValueError(f"momentum = {self.momentum:g}: adam has its own; allowed: 0, or optimiser rmsprop or sgd")
        if self.amsgrad and self.optimiser != "adam":
            raise ValueError(f"amsgrad is a variant of adam; the optimiser is {self.optimiser}")
        return self

    @model_validator(mode="after")
    def _known_patience(self) -> FitClipsStage:
        if self.patience is not None and self.keep == "last":
            raise ValueError("patience stops at the best epoch, so it goes with keep = best")
        return self


def stage_name(number: int, stage: ClipStageConfig) -> str:
    """Return the folder of a stage in the run."""
    return f"stages/{number}_{stage.title}"


@dataclass(frozen=True)
class Material:
    """The data of a stage on clips.

    Attributes
    ----------
    data
        The recordings.
    classes
        Of the network's outputs.
    seed
        Of the stage.
    """

    data: ClipData
    classes: tuple[str, ...]
    seed: int


@STAGES.register(FitClipsStage)
def run_fit_clips(stage: FitClipsStage, network: ClipNetwork, material: Material, place: FitPlace) -> Fitted:
    """Fit a network on clips; `fit_clips.fit_clips` says how."""
    # The data are of a recipe, and a recipe is made of stages, so what fits is imported when it runs.
    from ecotf.tasks.clips.fit_clips import fit_clips

    return Fitted(network, fit_clips(network, stage, material, place))


def outside_weights(source: str) -> Path | None:
    """Return the file of weights that ``weights_from`` names outside of the run; None where it names a stage."""
    if source.endswith(".npz"):
        return Path(source)
    return Path(source) / "weights.npz" if "/" in source else None


def classes_of(table: pd.DataFrame, data: StageData, what: str) -> tuple[str, ...]:
    """Return the labels that a stage learns, sorted; raises `ConfigError` where there are none."""
    rows = table[data.chosen(table)]
    found = tuple(sorted({label for label in rows["label"] if label}))
    if not found:
        values = "any" if data.values is None else ", ".join(map(repr, data.values))
        raise ConfigError(
            f"{what}: no training recording has a label that its data choose ({data.column} is {values}; labels "
            f"{', '.join(data.labels)})"
        )
    return found


def check_sources(stages: Sequence[FitClipsStage]) -> None:
    """Refuse titles given twice and weights from a stage that has not been; raises `ValueError`."""
    titles: list[str] = []
    for number, stage in enumerate(stages):
        if stage.title in titles:
            raise ValueError(f"stages: two are called {stage.title!r}; each needs a title of its own")
        source = stage.weights_from
        if source not in ("previous", "fresh", *titles) and outside_weights(source) is None:
            raise ValueError(
                f"stage {stage.title!r}: weights_from = {source!r}; allowed: previous, fresh, an earlier stage "
                f"({', '.join(titles) or 'there is none'}), a folder RUN/stages/STAGE, or a file ending in .npz"
            )
        if stage.needs_start and (source == "fresh" or (source == "previous" and number == 0)):
            raise ValueError(
                f"stage {stage.title!r}: mining hears what the network that it begins with takes for events, and its "
                "weights are random; allowed: mining null, or weights_from an earlier stage or a run"
            )
        titles.append(stage.title)
