"""Sound event detection with attention over frames (Kong et al. 2020, PANNs; "AttBlockV2" of the BirdCLEF systems)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from ecotf.models.heads.base import HEADS, HeadConfig

ONSET_LAYERS = ("onsets", "ends", "lengths")
_ONSET_CONTEXT, _ONSET_FILTERS, _ONSET_NAME = (1, 2, 4), 64, "onset_context_"


class AttentionOverFrames(HeadConfig):
    """The settings that all heads with attention share.

    Attributes
    ----------
    hidden
        Units of the dense layer before the attention; null: as many as the feature map has channels.
    dropout
        Before and after that layer.
    """

    gives_frames: ClassVar[bool] = True
    class_layers: ClassVar[tuple[str, ...]] = ("classes", "class_attention")

    hidden: int | None = Field(None, ge=1)
    dropout: float = Field(0.5, ge=0, lt=1)


class SedHeadConfig(AttentionOverFrames):
    """Mean over frequency, maximum and mean of three frames, dense layer, attention (BirdCLEF 2023)."""

    name: Literal["sed"] = "sed"


@HEADS.register(SedHeadConfig)
def build_sed(
    config: AttentionOverFrames,
    feature_shape: tuple[int | None, int, int],
    n_classes: int,
    probabilities: bool,
) -> Any:
    """Build the head; a clip's probability is the mean of its frames', weighted by softmax(tanh(attention))."""
    import keras

    from ecotf.models.heads.pooling import FrameSmoothing

    inputs = keras.Input(feature_shape)
    x = FrameSmoothing()(keras.ops.mean(inputs, axis=2))
    return frames_and_clip(config, inputs, x, feature_shape[2], n_classes, probabilities)


def frames_and_clip(
    config: AttentionOverFrames, inputs: Any, x: Any, channels: int, n_classes: int, probabilities: bool
) -> Any:
    """Build the rest of a head with attention, from frames ``x`` ``(batch, t, channels)`` that ``inputs`` became.

    What a head with onsets says of them stands behind the classes, and has no part in the clip.
    """
    import keras

    from ecotf.models.heads.pooling import AttentionPooling

    x = seen = keras.layers.Dropout(config.dropout)(x)
    x = keras.layers.Dense(config.hidden or channels, activation="relu", name="hidden")(x)
    x = keras.layers.Dropout(config.dropout)(x)
    attention = keras.layers.Dense(n_classes, dtype="float32", name="class_attention")(x)
    frames = keras.layers.Dense(n_classes, dtype="float32", name="classes")(x)
    clip = AttentionPooling(probabilities, name="pool")([attention, frames])
    if config.gives_onsets:
        own = _onsets(seen, n_classes)
        frames = keras.layers.Concatenate(dtype="float32")([frames, *own])
        # A layer in either case: Keras sorts weights by how many layers come after them.
        frames = keras.layers.Activation("sigmoid" if probabilities else "linear", dtype="float32")(frames)
    elif probabilities:
        frames = keras.layers.Activation("sigmoid", dtype="float32")(frames)
    return keras.Model(inputs, {"clip": clip, "frames": frames}, name="head")


def onset_layers(head: Any) -> list[Any]:
    """List the layers that say where events begin and end, and how long they are, and nothing else."""
    return [layer for layer in head.layers if layer.name in ONSET_LAYERS or layer.name.startswith(_ONSET_NAME)]


def _onsets(seen: Any, n_classes: int) -> list[Any]:
    """Build what is said of onsets, ends and lengths from frames; none of it teaches the layers before.

    Onsets are few. What they would change in the network makes scores of frames worse where events are few, too.
    """
    import keras

    x = keras.ops.stop_gradient(seen)
    for dilation in _ONSET_CONTEXT:
        options = {"dilation_rate": dilation, "activation": "relu", "name": f"{_ONSET_NAME}{dilation}"}
        x = keras.layers.Conv1D(_ONSET_FILTERS, 3, padding="same", **options)(x)
    # A network that has learned nothing says one in a hundred.
    first = {"lengths": "zeros"}
    rare = keras.initializers.Constant(-4.6)
    return [
        keras.layers.Dense(n_classes, dtype="float32", name=name, bias_initializer=first.get(name, rare))(x)
        for name in ONSET_LAYERS
    ]
