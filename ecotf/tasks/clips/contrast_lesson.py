"""The lesson of the stage ``fit_contrast``: views of clips of several classes, compared behind a projector."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.errors import ConfigError, DataError
from ecotf.pipelines.clips import Clips
from ecotf.pipelines.image_batches import ClipImages, EpochDraws, clip_batches
from ecotf.pipelines.samplers import draw_by_class
from ecotf.tasks.clips.episode_lessons import JudgedByEpisodes
from ecotf.tasks.clips.fit_contrast import FitContrastStage
from ecotf.tasks.clips.species_stage import SpeciesStage
from ecotf.tasks.clips.stages import FitClipsStage, Material
from ecotf.training.contrast import contrast_loss

if TYPE_CHECKING:
    from ecotf.models.image_network import ClipNetwork


class ContrastLesson(JudgedByEpisodes):
    """Learns to bring clips of a class together; judged by the accuracy in episodes of validation species."""

    def __init__(
        self, network: ClipNetwork, stage: FitClipsStage, material: Material, train: Clips, weights: np.ndarray | None
    ) -> None:
        super().__init__(network, stage, material, train, weights)
        assert isinstance(stage, FitContrastStage)
        self.settings = stage
        if self.head_config.embedding_layer is None:
            raise ConfigError(
                f"stage {stage.title!r}: the head {self.head_config.name} compares maps, and there is no embedding to "
                "contrast; allowed: prototype, matching"
            )
        there = train.table.targets.max(axis=0, initial=0) > 0
        if there.sum() < 2:
            raise DataError(f"stage {stage.title!r}: {int(there.sum())} class to learn from; a contrast needs two")
        self.model = _with_projector(self.model, stage.projector, material.seed)
        self.set_classes_trainable(False)

    @property
    def judged_stage(self) -> SpeciesStage:
        """The stage with the length of clips that the recipe has: views are shorter than what is classified."""
        return self.config.model_copy(update={"seconds": None})

    def batches(self, images: ClipImages, draws: EpochDraws) -> tuple[Any, int]:
        """Make the batches of an epoch, each clip as often as it has views."""
        stage, table = self.settings, self.train.table
        wanted = stage.batches or max(1, round(len(table) / (stage.classes * stage.clips)))
        order = draw_by_class(table, stage.classes, stage.clips, wanted, draws.seed, draws.number)
        order = np.repeat(order, stage.views, axis=1)
        # Where there are fewer classes than asked for, a batch is smaller.
        images = replace(images, batch=order.shape[1], drop_last=True)
        seen = EpochDraws(draws.seed, draws.number, None, draws.sound, draws.image, draws.backgrounds)
        return clip_batches(table.take(order.ravel()), images, seen), order.size

    def loss(self, outputs: Any, targets: Any, weight: Any) -> Any:
        """Compute the contrast of a batch."""
        return contrast_loss(self.settings.contrast, outputs["projected"], targets)

    def end(self) -> None:
        """Make the classes trainable again."""
        self.set_classes_trainable(True)


def _with_projector(model: Any, units: tuple[int, int], seed: int) -> Any:
    """Make a model that also gives ``projected``: two dense layers behind what is compared."""
    import keras

    x = model.output["compared"]
    for number, (width, activation) in enumerate(zip(units, ("relu", None), strict=True)):
        weights = keras.initializers.GlorotUniform(seed + number)
        x = keras.layers.Dense(width, activation, kernel_initializer=weights, dtype="float32")(x)
    return keras.Model(model.input, {**model.output, "projected": x}, name="with_projector")
