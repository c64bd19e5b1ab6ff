"""The lesson of the stage ``fit_onsets``: clips and targets of events, of which onsets alone are learned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from ecotf.models.heads.sed import onset_layers
from ecotf.tasks.clips.event_lesson import EventLesson
from ecotf.tasks.clips.stages import FitClipsStage, Material

if TYPE_CHECKING:
    import numpy as np

    from ecotf.models.image_network import ClipNetwork
    from ecotf.pipelines.clips import Clips


class OnsetLesson(EventLesson):
    """Learns onsets, ends and lengths; nothing else of the network changes, running averages neither."""

    score_name: ClassVar[str] = "onset_ap"
    score_title: ClassVar[str] = "onset AP"
    judges: ClassVar[int] = 1

    def __init__(
        self, network: ClipNetwork, stage: FitClipsStage, material: Material, train: Clips, weights: np.ndarray | None
    ) -> None:
        super().__init__(network, stage, material, train, weights)
        own = onset_layers(network.head)
        self._held = [layer for layer in _leaves(network.model) if layer.trainable and layer not in own]
        for layer in self._held:
            layer.trainable = False

    def label_loss(self, outputs: Any, targets: Any, weight: Any) -> Any:
        """Compute the loss of onsets, ends and lengths."""
        return self.loss_of_onsets(outputs, self.truth.unpacked(targets), weight)

    def end(self) -> None:
        """Let everything learn again."""
        for layer in self._held:
            layer.trainable = True


def _leaves(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _leaves(layer)
        else:
            yield layer
