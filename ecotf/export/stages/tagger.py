"""Models of segments as stages: sound in, probabilities of a segment and of its frames out.

The network is cut where an int8 graph would have to take logarithms or compare with minus infinity: what pools frames
and makes probabilities of logits stays float32, the backbone and the dense layers take the precision that is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecotf.detection.segment_model import SegmentModel
from ecotf.detection.segments import SegmentsConfig, frame_length_s, frames_in_segment, margin_of
from ecotf.errors import ConfigError
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.segment_graph import segments_function
from ecotf.export.stages.sound import SoundType, as_float, spectrogram_function
from ecotf.export.stages.stage import Stage, TensorKind
from ecotf.models.image_network import ClipNetwork, ClipNetworkConfig, build_clip_network
from ecotf.models.tagger import ClipModel, clip_image_shape, graph_front_end


@dataclass(frozen=True)
class FixedNetwork:
    """A trained network for windows of one length, in pieces.

    Attributes
    ----------
    image_shape
        ``(frames, bands, channels)`` of a window.
    onsets
        Whether what a head says of onsets is kept, beside the classes.
    """

    network: ClipNetwork
    image_shape: tuple[int, int, int]
    onsets: bool = True

    def features(self, image: Any) -> Any:
        """Compute the feature map of what `seen` gives."""
        for layer in self.trunk:
            image = layer(image, training=False) if layer is self.network.backbone else layer(image)
        return image

    def seen(self, image: Any) -> Any:
        """Compute what the backbone sees of images; of a front end that is inside the network they are sound."""
        return image if self.front_end is None else self.front_end(image, training=False)

    @property
    def front_end(self) -> Any:
        """The front end that is inside the network; None where there is none."""
        return next((layer for layer in self.network.model.layers if layer.name == "front_end"), None)

    @property
    def trunk(self) -> list[Any]:
        """Everything between the image and the head, which is a chain."""
        others = (self.front_end, self.network.head)
        return [layer for layer in self.network.model.layers[1:] if layer not in others]

    @property
    def pool(self) -> Any:
        """From the feature map to what the dense layers see."""
        import keras

        return keras.Model(self.network.head.inputs[0], self._pooled)

    @property
    def dense(self) -> Any:
        """From what is pooled to a dict of logits; ``seen`` is what the classes are read from, where not that."""
        import keras

        head = self.network.head
        classes = head.get_layer("classes")
        outputs = {"clip_logits": head.output["clip"]}
        if self.gives_frames:
            attention = head.get_layer("class_attention").output
            without = self.network.config.head.gives_onsets and not self.onsets
            frames = classes.output if without else head.output["frames"]
            outputs = {"attention": attention, "frame_logits": frames, "seen": classes.input}
        if self.embedding_layer is not None:
            embedding = head.get_layer(self.embedding_layer).output
            if embedding is not self._pooled:
                outputs["seen"] = embedding
        if self.recurrent:
            return keras.Model(head.inputs[0], {**outputs, "seen": classes.input})
        return keras.Model(self._pooled, outputs)

    @property
    def gives_frames(self) -> bool:
        """Whether the head also answers for each frame."""
        return self.network.config.head.gives_frames

    @property
    def embedding_layer(self) -> str | None:
        """The layer of the head whose output is the embedding, where the head names one."""
        return self.network.config.head.embedding_layer

    @property
    def recurrent(self) -> bool:
        """Whether the head reads frames one after the other, so that nothing is pooled before its dense layers."""
        return self.network.config.head.recurrent

    @property
    def _pooled(self) -> Any:
        """What the dense layers see: the input of the first one, or the embedding where that comes before it."""
        head = self.network.head
        names = [layer.name for layer in head.layers]
        first = "hidden" if "hidden" in names else "classes"
        embedding = self.embedding_layer
        if embedding is not None and names.index(embedding) < names.index(first):
            return head.get_layer(embedding).output
        return head.get_layer(first).input


def fix_length(model: ClipModel, config: ClipNetworkConfig, window_s: float, onsets: bool = True) -> FixedNetwork:
    """Make the network of ``model`` for windows of ``window_s`` seconds, with its weights."""
    shape = clip_image_shape(model.front_end, model.image, model.sample_rate, window_s)
    backbone = config.backbone.model_copy(update={"weights": "none"})
    config = config.model_copy(update={"backbone": backbone})
    inside = graph_front_end(config, model.front_end, model.image, model.sample_rate)
    network = build_clip_network(config, len(model.classes), shape, fixed_length=True, front_end=inside)
    network.model.set_weights(model.network.model.get_weights())
    return FixedNetwork(network, shape, onsets)


def clip_stages(
    model: ClipModel,
    config: ClipNetworkConfig,
    segments: SegmentsConfig,
    settings: ExportSettings,
    onsets: bool = True,
) -> tuple[Stage, ...]:
    """Make stages from ``sound`` [1, samples] to a segment's ``scores`` [1, classes] and, if it has them, ``frames``.

    Without ``onsets`` what finds them stays out of the file.

    Raises
    ------
    ConfigError
        The settings ask for another sample rate than the model was trained for.
    """
    if settings.rate != model.sample_rate:
        raise ConfigError(
            f"--rate {settings.rate}: this run listens at {model.sample_rate} Hz; leave --rate out, or train it with "
            f"sample_rate={settings.rate}"
        )
    samples = window_samples(model, segments)
    fixed = fix_length(model, config, samples / model.sample_rate, onsets)
    stages = [image_stage(model, samples, settings.sound)]
    if fixed.front_end is not None:
        stages.append(_front_end_stage(fixed))
    stages.append(_backbone_stage(fixed))
    t, f, c = (int(size) for size in fixed.network.head.inputs[0].shape[1:])
    before = "features" if fixed.recurrent else "pooled"
    if not fixed.recurrent:
        stages.append(_pool_stage(fixed, (t, f, c)))
    dense, wanted = fixed.dense, settings.embedding

    def classify(**inputs: Any) -> dict[str, Any]:
        outputs = dict(dense(inputs[before], training=False))
        seen = outputs.pop("seen", inputs[before])
        return {**outputs, **({"embedding": mean_over_frames(seen)} if wanted else {})}

    shape = tuple(int(size) for size in dense.inputs[0].shape[1:])
    stages.append(Stage("classes", _named(classify, before), {before: TensorKind((1, *shape))}, True, (dense,)))
    kinds = {name: _kind(dense.output[name]) for name in ("attention", "frame_logits", "clip_logits")
             if name in dense.output}  # fmt: skip
    inside = frames_in_segment(model, segments, frame_length_s(model, samples, t), t)
    stages.append(Stage("segments", segments_function(model.activation, segments, inside, tuple(kinds)), kinds))
    return tuple(stages)


def window_samples(model: SegmentModel, segments: SegmentsConfig) -> int:
    """Return the number of samples that the model sees around a segment."""
    return round(segments.segment_s * model.sample_rate) + 2 * margin_of(model, segments)


def image_stage(model: ClipModel, samples: int, sound: SoundType) -> Stage:
    """Make a stage from ``sound`` to the ``image`` that the network takes."""
    if model.front_end.in_graph:
        return Stage(
            "image",
            lambda sound: {"image": as_float(sound)[..., None, None]},
            {"sound": TensorKind((1, samples), sound)},
        )
    from ecotf.features.image_layer import ImageLayer

    compute, picture = spectrogram_function(model.front_end, model.sample_rate), ImageLayer(model.image)
    inputs = {"sound": TensorKind((1, samples), sound)}
    return Stage("image", lambda sound: {"image": picture(compute(sound))}, inputs)


def mean_over_frames(seen: Any) -> Any:
    """Average [1, t, e] over frames, and [1, t, f, e] over bands too, to [1, e]; [1, e] stays as it is."""
    import tensorflow as tf

    return tf.reduce_mean(seen, axis=list(range(1, len(seen.shape) - 1))) if len(seen.shape) > 2 else seen


def calibration_inputs(fixed: FixedNetwork, images: np.ndarray) -> Mapping[str, np.ndarray]:
    """Compute the inputs of the quantised stages from images, by the names of the inputs."""
    seen = np.concatenate([np.asarray(fixed.seen(images[at : at + 1])) for at in range(len(images))])
    features = np.concatenate([np.asarray(fixed.features(seen[at : at + 1])) for at in range(len(images))])
    inputs = {"image" if fixed.front_end is None else "seen": seen}
    if fixed.recurrent:
        return {**inputs, "features": features}
    return {**inputs, "pooled": np.asarray(fixed.pool(features, training=False))}


def _front_end_stage(fixed: FixedNetwork) -> Stage:
    """From sound to what the backbone sees; never quantised, for a spectrogram has too wide a range."""
    image = {"image": TensorKind((1, *fixed.image_shape))}
    return Stage("front_end", lambda image: {"seen": fixed.seen(image)}, image, models=(fixed.front_end,))


def _backbone_stage(fixed: FixedNetwork) -> Stage:
    models = tuple(layer for layer in fixed.trunk if layer.weights)
    if fixed.front_end is None:
        image = TensorKind((1, *fixed.image_shape))
        return Stage("backbone", lambda image: {"features": fixed.features(image)}, {"image": image}, True, models)
    seen = _kind(fixed.front_end.output)
    return Stage("backbone", lambda seen: {"features": fixed.features(seen)}, {"seen": seen}, True, models)


def _pool_stage(fixed: FixedNetwork, shape: tuple[int, ...]) -> Stage:
    pool = fixed.pool
    inputs = {"features": TensorKind((1, *shape))}
    return Stage("pool", lambda features: {"pooled": pool(features, training=False)}, inputs, models=(pool,))


def _named(function: Any, name: str) -> Any:
    """Name the argument of a function ``name``, which the converter reads."""
    if name == "pooled":
        return lambda pooled: function(pooled=pooled)
    return lambda features: function(features=features)


def _kind(tensor: Any) -> TensorKind:
    return TensorKind((1, *(int(size) for size in tensor.shape[1:])))
