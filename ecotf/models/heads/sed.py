"""Sound event detection with attention over frames (Kong et al. 2020, PANNs; "AttBlockV2" of the BirdCLEF systems)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ecotf.config import Config


class _AttentionOverFrames(Config):
    """What the heads with attention have in common.

    Attributes
    ----------
    hidden
        Units of the dense layer before the attention; null: as many as the feature map has channels.
    dropout
        Before and after that layer.
    """

    hidden: int | None = Field(None, ge=1)
    dropout: float = Field(0.5, ge=0, lt=1)

    @property
    def fixed_length(self) -> bool:
        """Whether all clips must be of one length."""
        return False


class SedHeadConfig(_AttentionOverFrames):
    """Mean over frequency, maximum and mean of three frames, dense layer, attention (BirdCLEF 2023)."""

    name: Literal["sed"] = "sed"


class AttentionHeadConfig(_AttentionOverFrames):
    """The same with less dropout (BirdCLEF 2024, where it also stayed on when predicting; here it does not)."""

    name: Literal["attention"] = "attention"
    dropout: float = Field(0.3, ge=0, lt=1)


def build_sed(
    config: SedHeadConfig | AttentionHeadConfig,
    feature_shape: tuple[int | None, int, int],
    n_classes: int,
    probabilities: bool,
) -> Any:
    """Build the head; a clip's probability is the mean of its frames', weighted by softmax(tanh(attention))."""
    import keras

    from ecotf.models.heads.pooling import AttentionPooling, FrameSmoothing

    inputs = keras.Input(feature_shape)
    x = FrameSmoothing()(keras.ops.mean(inputs, axis=2))
    x = keras.layers.Dropout(config.dropout)(x)
    x = keras.layers.Dense(config.hidden or feature_shape[2], activation="relu", name="hidden")(x)
    x = keras.layers.Dropout(config.dropout)(x)
    attention = keras.layers.Dense(n_classes, dtype="float32", name="class_attention")(x)
    frames = keras.layers.Dense(n_classes, dtype="float32", name="classes")(x)
    clip = AttentionPooling(probabilities, name="pool")([attention, frames])
    if probabilities:
        frames = keras.layers.Activation("sigmoid", dtype="float32")(frames)
    return keras.Model(inputs, {"clip": clip, "frames": frames}, name="head")
