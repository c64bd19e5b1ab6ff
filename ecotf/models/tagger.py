"""A model of clips: everything that turns sound into logits of classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ecotf.errors import ConfigError
from ecotf.features import MelSpectrogram, MelSpectrogramConfig, build_spectrogram
from ecotf.features.image import ImageConfig, clip_images, image_shape
from ecotf.features.picture import resized_shape
from ecotf.files import reading_arrays
from ecotf.models.front_ends import GraphFrontEnd
from ecotf.models.image_network import ClipNetwork, ClipNetworkConfig, build_clip_network

WEIGHTS = "network.weights.h5"
_EMBED_AT_ONCE = 8


@dataclass(frozen=True)
class ClipModel:
    """A network with its classes and the front end that it was trained for.

    Attributes
    ----------
    sample_rate
        Hz; sound is resampled to it.
    window_s
        Length of the clips that it was built for.
    activation
        What makes probabilities of its logits: each class by itself (``sigmoid``), or one class out of all.
    """

    network: ClipNetwork
    classes: tuple[str, ...]
    front_end: MelSpectrogramConfig
    image: ImageConfig
    sample_rate: int
    window_s: float
    activation: Literal["sigmoid", "softmax"]
    compiled: dict[str, Callable[[Any], Any]] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def spectrogram(self) -> MelSpectrogram:
        """The spectrogram of a clip."""
        return mel_spectrogram(self.front_end, self.sample_rate)

    @property
    def band_hz(self) -> tuple[float, float]:
        """The lowest and the highest frequency that it hears."""
        return self.front_end.low_hz, self.front_end.high_hz

    @property
    def n_parameters(self) -> int:
        """Numbers that are trained."""
        return self.network.n_parameters

    def save(self, folder: Path) -> None:
        """Write the weights into an existing folder."""
        self.network.model.save_weights(folder / WEIGHTS)

    def answers(self, sound: np.ndarray) -> dict[str, np.ndarray]:
        """The logits of sound ``[n, samples]``."""
        return self.logits(self.images(sound))

    def embed(self, sound: np.ndarray) -> np.ndarray:
        """Embed sound ``[n, samples]``: see `embed_images`."""
        return self.embed_images(self.images(sound))

    def images(self, sound: np.ndarray, threads: int = 1) -> np.ndarray:
        """float32 ``[n, frames, bands, channels]`` of sound ``[n, samples]``; see `clip_images`."""
        return clip_images(sound, self.spectrogram, self.image, threads)

    def logits(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """``clip`` ``[n, classes]`` and, of some heads, ``frames`` ``[n, t, classes]``: each class for itself.

        The logit of a softmax is log p - log(1 - p), so that the sigmoid of any logit is the probability.
        """
        import tensorflow as tf

        if "forward" not in self.compiled:
            model = self.network.model
            signature = [tf.TensorSpec([None, *model.input_shape[1:]], tf.float32)]
            self.compiled["forward"] = tf.function(
                lambda x: model(x, training=False), input_signature=signature, autograph=False
            )
        raw = {name: np.asarray(values, np.float64) for name, values in self.compiled["forward"](images).items()}
        if self.activation == "softmax":
            raw = {name: softmax_logits(values) for name, values in raw.items()}
        return {name: values.astype(np.float32) for name, values in raw.items()}

    def embed_images(self, images: np.ndarray) -> np.ndarray:
        """The embedding of images ``[n, frames, bands, channels]``: float32 ``[n, numbers]``.

        It is the output of the head's layer ``embedding_layer``; of a head that names none, the backbone's features
        averaged over time and frequency. It does not depend on the other images.
        """
        import tensorflow as tf

        if "embed" not in self.compiled:
            *before_head, _ = self.network.model.layers[1:]
            embedding = self.network.embedding

            def features(x: Any) -> Any:
                for layer in before_head:
                    x = layer(x, training=False)
                return tf.cast(embedding(x), tf.float32)

            signature = [tf.TensorSpec([None, *self.network.model.input_shape[1:]], tf.float32)]
            self.compiled["embed"] = tf.function(features, input_signature=signature, autograph=False)
        # Always as many at once: TensorFlow adds up in an order that depends on the size of a batch.
        parts = []
        for at in range(0, len(images), _EMBED_AT_ONCE):
            some = images[at : at + _EMBED_AT_ONCE]
            full = np.pad(some, [(0, _EMBED_AT_ONCE - len(some)), *[(0, 0)] * (some.ndim - 1)])
            parts.append(np.asarray(self.compiled["embed"](full))[: len(some)])
        return np.concatenate(parts)


def softmax_logits(values: np.ndarray) -> np.ndarray:
    """log p - log(1 - p) of p = softmax(values) over the last axis; 1 - p from the other classes, so it stays exact."""

    from scipy.special import log_softmax, logsumexp

    if values.shape[-1] == 1:
        return values
    log_p = log_softmax(values, axis=-1)
    best = log_p.argmax(axis=-1)[..., None]
    others = log_p.copy()
    np.put_along_axis(others, best, -np.inf, axis=-1)
    log_rest = np.log(-np.expm1(np.minimum(others, -1e-300)))
    np.put_along_axis(log_rest, best, logsumexp(others, axis=-1, keepdims=True), axis=-1)
    return np.asarray(log_p - log_rest)


def build_clip_model(
    network: ClipNetworkConfig,
    classes: Sequence[str],
    front_end: MelSpectrogramConfig,
    image: ImageConfig,
    sample_rate: int,
    window_s: float,
    activation: Literal["sigmoid", "softmax"],
    pretrained: bool = True,
) -> ClipModel:
    """Build a model with fresh weights; those of the backbone as its config says, unless ``pretrained`` is false."""
    if not pretrained:
        backbone = network.backbone.model_copy(update={"weights": "none"})
        network = network.model_copy(update={"backbone": backbone})
    shape = clip_image_shape(front_end, image, sample_rate, window_s)
    inside = graph_front_end(network, front_end, image, sample_rate)
    built = build_clip_network(network, len(classes), shape, front_end=inside)
    return ClipModel(built, tuple(classes), front_end, image, sample_rate, window_s, activation)


def clip_image_shape(
    front_end: MelSpectrogramConfig, image: ImageConfig, sample_rate: int, window_s: float
) -> tuple[int, int, int]:
    """``(frames, bands, channels)`` that a network takes of a clip, or of a front end inside it ``(samples, 1, 1)``.

    Raises `ConfigError` where the rate cannot carry the band.
    """
    return image_shape(mel_spectrogram(front_end, sample_rate), image, round(window_s * sample_rate))


def seen_size(
    front_end: MelSpectrogramConfig, image: ImageConfig, sample_rate: int, window_s: float
) -> tuple[int, int]:
    """Frames and bands that the backbone sees of a clip; raises `ConfigError` as `clip_image_shape`."""
    spectrogram = mel_spectrogram(front_end, sample_rate)
    frames, bands = front_end.seen(spectrogram.n_frames(round(window_s * sample_rate)), spectrogram.n_rows)
    return resized_shape(frames, bands, image.resize, image.crop)


def mel_spectrogram(front_end: MelSpectrogramConfig, sample_rate: int) -> MelSpectrogram:
    """Make the spectrogram of a front end of clips."""
    made = build_spectrogram(front_end, sample_rate)
    assert isinstance(made, MelSpectrogram)
    return made


def graph_front_end(
    network: ClipNetworkConfig, front_end: MelSpectrogramConfig, image: ImageConfig, sample_rate: int
) -> GraphFrontEnd | None:
    """Describe a front end that is part of the network; None for one that is not."""
    return GraphFrontEnd(front_end, image, sample_rate, network.band_norm) if front_end.in_graph else None


def save_weights(path: Path, weights: Sequence[np.ndarray], classes: Sequence[str]) -> None:
    """Write weights as plain arrays with the names of their classes, to be carried over to other classes."""
    with path.open("wb") as stream:
        np.savez(stream, classes=np.array(list(classes)), **{f"w{i}": weight for i, weight in enumerate(weights)})


def read_weights(path: Path) -> tuple[list[np.ndarray], list[str]]:
    """Read what `save_weights` wrote; raises `ConfigError`."""
    if not path.exists():
        raise ConfigError(f"{path}: there are no weights; a stage of a run keeps them, RUN/stages/0_train")
    with reading_arrays(path, "the weights of a stage") as kept:
        return [kept[f"w{i}"] for i in range(len(kept) - 1)], [str(name) for name in kept["classes"]]
