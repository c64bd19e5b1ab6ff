"""The network of a clip: its image in, logits of classes out, for the clip and, of some heads, for its frames."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from ecotf.config import Config
from ecotf.errors import ConfigError
from ecotf.files import atomic_file
from ecotf.models.backbones import ImageBackbone, build_backbone
from ecotf.models.front_ends import GraphFrontEnd, build_front_end, norm_and_masks
from ecotf.models.heads import ImageHead, build_image_head
from ecotf.pipelines.augment_image import AugmentImageConfig


class ClipNetworkConfig(Config):
    """A backbone with its head.

    Attributes
    ----------
    parts
        The clip is cut into so many equal parts, each goes through the backbone by itself, and the head sees the
        frames of all of them. Frames that are left over at the end are not looked at.
    band_norm
        Batch-normalise every band of the image first ("bn0").
    masks
        Blank out what a stage's ``image.time_mask`` and ``image.frequency_mask`` ask for inside the network, after
        ``band_norm``, where 0 is the mean of a band, as published for PANNs. Otherwise it is done on the image. With a
        front end inside the network it is always done there.
    """

    backbone: ImageBackbone
    head: ImageHead
    parts: int = Field(1, ge=1)
    band_norm: bool = False
    masks: bool = False


@dataclass(frozen=True)
class ClipNetwork:
    """A built network.

    Attributes
    ----------
    backbone
        ``(batch, frames, bands, channels) -> (batch, t, f, c)``.
    head
        ``(batch, t, f, c) ->`` a dict of logits.
    model
        The whole: ``(batch, frames, bands, channels) ->`` ``{"clip": (batch, classes)}``, and of some heads also
        ``{"frames": (batch, t, classes)}``; float32.
    """

    config: ClipNetworkConfig
    backbone: Any
    head: Any
    model: Any
    dropouts: dict[Any, float] = field(default_factory=dict, repr=False, compare=False)

    @property
    def n_parameters(self) -> int:
        """Numbers that can be learned, as papers count them: without the running averages."""
        return sum(int(np.prod(weight.shape)) for weight in self.model.weights if not _is_average(weight))

    def features(self) -> tuple[Any, Any]:
        """Return an input and the feature map of it, as Keras tensors: the network without its head."""
        import keras

        x = inputs = keras.Input(self.model.input_shape[1:])
        for layer in self.model.layers[1:-1]:
            x = layer(x)
        return inputs, x

    @property
    def embedding(self) -> Callable[[Any], Any]:
        """Makes embeddings ``(batch, numbers)`` of feature maps ``(batch, t, f, c)``; see `HeadConfig`."""
        import keras
        import tensorflow as tf

        name = self.config.head.embedding_layer
        if name is None:
            return lambda features: tf.reduce_mean(tf.cast(features, tf.float32), axis=(1, 2))
        layers = keras.Model(self.head.inputs[0], self.head.get_layer(name).output)
        return lambda features: layers(features, training=False)

    @property
    def freezable(self) -> dict[str, Any]:
        """The parts that a stage may leave as they are, by name."""
        layers = {"backbone": self.backbone}
        layers |= {name: _layer(self.model, name) for name in ("front_end", "band_norm")}
        layers |= {name: _layer(self.head, name) for name in ("pool", "hidden")}
        return {name: layer for name, layer in layers.items() if layer is not None and layer.weights}

    def freeze(self, names: Collection[str]) -> None:
        """Freeze the parts called ``names``, and no others; nothing is dropped inside a frozen part either.

        A training step that was compiled before does not know of it: compile it afterwards.

        Raises
        ------
        ConfigError
            There is no such part.
        """
        parts = self.freezable
        for name in names:
            if name not in parts:
                raise ConfigError(f"cannot freeze {name!r}; this network can freeze: {', '.join(parts)}")
        for name, part in parts.items():
            part.trainable = name not in names
            for layer in _layers(part):
                if hasattr(layer, "rate"):
                    built_with = self.dropouts.setdefault(layer, layer.rate)
                    layer.rate = 0.0 if name in names else built_with

    @property
    def masking(self) -> Any:
        """The layer that blanks out parts of the image in training; None where that is done on the image."""
        front_end = _layer(self.model, "front_end")
        return _layer(self.model if front_end is None else front_end, "masks")

    def mask(self, image: AugmentImageConfig) -> AugmentImageConfig:
        """Blank out inside the network what ``image`` asks for, where it can; return what is left for its images.

        A training step that was compiled before does not know of it: compile it afterwards.
        """
        if self.masking is None:
            return image
        self.masking.masks = image.only_masks
        return image.without_masks

    def carry_rows(
        self, old_weights: Sequence[np.ndarray], old_classes: Sequence[str], new_classes: Sequence[str]
    ) -> tuple[str, ...]:
        """Take over the weights of the same network with other classes; classes that it knew keep their rows.

        New classes keep what this network has for them, the random numbers that it was built with.

        Parameters
        ----------
        old_weights
            ``model.get_weights()`` of that network.
        old_classes, new_classes
            Names in the order of its outputs, and of this network's.

        Returns
        -------
        The classes that kept their rows, in the new order.

        Raises
        ------
        ConfigError
            The weights do not fit this network, or the names do not fit the weights.
        """
        own = self.model.get_weights()
        if len(old_weights) != len(own):
            raise ConfigError(f"{len(old_weights)} arrays of weights for a network of {len(own)}: it is another one")
        for names, which in ((old_classes, "old"), (new_classes, "new")):
            if len(set(names)) < len(names):
                raise ConfigError(f"the {which} classes name one class twice; each needs a name of its own")
        shared = tuple(name for name in new_classes if name in set(old_classes))
        there = [list(old_classes).index(name) for name in shared]
        here = [list(new_classes).index(name) for name in shared]
        carried = []
        for variable, old, new in zip(self.model.weights, old_weights, own, strict=True):
            if self._has_classes(variable):
                expected = (*new.shape[:-1], len(old_classes))
                if new.shape[-1] != len(new_classes):
                    raise ConfigError(f"{len(new_classes)} new classes for a network of {new.shape[-1]}")
            else:
                expected = new.shape
            if old.shape != expected:
                raise ConfigError(
                    f"weights {variable.path} have shape {old.shape}; this network and the {len(old_classes)} old "
                    f"classes need {expected}"
                )
            if self._has_classes(variable):
                rows = new.copy()
                rows[..., here] = old[..., there]
                old = rows
            carried.append(old)
        self.model.set_weights(carried)
        return shared

    def carry_trunk(self, old_weights: Sequence[np.ndarray]) -> None:
        """Take over the weights before the head of a network whose head is another one.

        Raises
        ------
        ConfigError
            The networks differ before the head, too.
        """
        own = self.model.get_weights()
        n = len(own) - len(self.head.weights)
        shapes = [weight.shape for weight in own[:n]]
        if [weight.shape for weight in old_weights[:n]] != shapes:
            raise ConfigError("the weights are of another backbone")
        self.model.set_weights([*old_weights[:n], *own[n:]])

    def _has_classes(self, weight: Any) -> bool:
        """Whether the last axis of a weight is that of the classes."""
        return any(part in self.config.head.class_layers for part in weight.path.split("/"))

    def save(self, path: str | Path) -> None:
        """Write the weights to a file that ends in ``.weights.h5``, whole or not at all."""
        with atomic_file(path) as partial:
            self.model.save_weights(partial)

    def load(self, path: str | Path) -> None:
        """Read what `save` wrote for the same network with as many classes; raises `ConfigError`."""
        if not Path(path).is_file():
            raise ConfigError(f"{path}: the weights are missing; train again, or resume the run")
        try:
            self.model.load_weights(path)
        except (OSError, ValueError, KeyError) as error:
            raise ConfigError(
                f"{path}: damaged, or not of this network ({str(error).strip().splitlines()[0]})"
            ) from None


def build_clip_network(
    config: ClipNetworkConfig,
    n_classes: int,
    image_shape: tuple[int | None, int, int],
    fixed_length: bool = False,
    probabilities: bool = False,
    front_end: GraphFrontEnd | None = None,
) -> ClipNetwork:
    """Build a network with fresh weights (the random numbers are Keras's; seed them first).

    Parameters
    ----------
    image_shape
        ``(frames, bands, channels)``. Most networks take clips of any length, whatever it says here; heads of
        ``fixed_length`` take ``frames`` and no other number.
    fixed_length
        Take ``frames`` and no other number in any case, for an export.
    probabilities
        Give probabilities in place of logits, for an export. The weights are the same.
    front_end
        A front end inside the network; it then takes sound, ``image_shape`` is ``(samples, 1, 1)`` and fixed.

    Raises
    ------
    ConfigError
        The image is too small for the backbone or its number of parts, or its length must be known.
    """
    import keras

    from ecotf.models.parts import JoinParts, SplitParts

    frames, bands, channels = image_shape
    fixed = fixed_length or config.head.fixed_length or front_end is not None
    if fixed and frames is None:
        raise ConfigError(f"head {config.head.name}: works on clips of one length; say how many frames its images have")
    inputs = keras.Input((frames if fixed else None, bands, channels))
    if front_end is None:
        x = norm_and_masks(inputs, config.band_norm, config.masks)
    else:
        assert frames is not None
        x = build_front_end(front_end, frames)(inputs)
        frames, bands, channels = x.shape[1:]
    frames_of_part = None if frames is None else frames // config.parts
    backbone = build_backbone(config.backbone, (frames_of_part, bands, channels))
    x = SplitParts(config.parts)(x) if config.parts > 1 else x
    x = backbone(x)
    x = JoinParts(config.parts)(x) if config.parts > 1 else x
    head = build_image_head(config.head, x.shape[1:], n_classes, probabilities)
    return ClipNetwork(config, backbone, head, keras.Model(inputs, head(x), name="clip_network"))


def _is_average(weight: Any) -> bool:
    return weight.path.rpartition("/")[2] in ("moving_mean", "moving_variance")


def _layer(model: Any, name: str) -> Any:
    return next((layer for layer in model.layers if layer.name == name), None)


def _layers(part: Any) -> list[Any]:
    return list(part.layers) if hasattr(part, "layers") else [part]
