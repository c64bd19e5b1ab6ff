"""A head for events: every frame knows what is around it, and answers for itself."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from ecotf.models.heads.base import HEADS
from ecotf.models.heads.sed import ONSET_LAYERS, AttentionOverFrames


class EventsHeadConfig(AttentionOverFrames):
    """Mean and maximum over frequency, convolutions over time, dense layer, attention.

    Unlike ``sed`` it does not take the maximum of neighbouring frames, which would make events longer than they are.

    Attributes
    ----------
    context
        Dilations of the convolutions, each of three frames: (1, 2, 4) sees 7 frames to either side, (1, 2, 4, 8, 16)
        31. Each adds to what came before it.
    dropout
        Before and after the dense layer.
    onsets
        Also say of each frame whether an event begins or ends there, and how long it is: for calls that overlap, or
        follow each other without a pause. The stage ``fit_events`` teaches it, the finder ``onsets`` reads it.
    """

    class_layers: ClassVar[tuple[str, ...]] = (*AttentionOverFrames.class_layers, *ONSET_LAYERS)

    name: Literal["events"] = "events"
    context: tuple[int, ...] = (1, 2, 4)
    dropout: float = Field(0.2, ge=0, lt=1)
    onsets: bool = False

    @property
    def gives_onsets(self) -> bool:
        """Whether frames also say where events begin, and how long they are."""
        return self.onsets


@HEADS.register(EventsHeadConfig)
def build_events(
    config: EventsHeadConfig, feature_shape: tuple[int | None, int, int], n_classes: int, probabilities: bool
) -> Any:
    """Build the head; a clip's probability is the mean of its frames', weighted as in ``sed``."""
    import keras

    from ecotf.models.backbones.fused_norm import BatchNormalization
    from ecotf.models.heads.sed import frames_and_clip

    inputs = keras.Input(feature_shape)
    x = keras.ops.mean(inputs, axis=2) + keras.ops.max(inputs, axis=2)
    for dilation in config.context:
        y = keras.layers.Conv1D(feature_shape[2], 3, padding="same", dilation_rate=dilation, use_bias=False)(x)
        y = keras.layers.Activation("relu")(BatchNormalization(momentum=0.9)(y))
        x = keras.layers.Add()([x, y])
    return frames_and_clip(config, inputs, x, feature_shape[2], n_classes, probabilities)
