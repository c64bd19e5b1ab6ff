"""A learned projection of frozen embeddings, with a head that knows a class by its examples behind it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field, field_validator

from ecotf.config import Config, validate
from ecotf.errors import ConfigError
from ecotf.models.heads import HEADS, build_image_head
from ecotf.models.heads.dense_layers import standardised
from ecotf.models.heads.episodic import EpisodicHeadConfig

if TYPE_CHECKING:
    EpisodicHead = EpisodicHeadConfig
else:
    EpisodicHead = HEADS.config_type(answers_episodes=True)

Activation = Literal["sigmoid", "softmax"]
_WEIGHTS, _FACTS = "projection.weights.h5", "projection.json"


class ProjectionConfig(Config):
    """The layers between an embedding and what is compared.

    Attributes
    ----------
    units
        Of dense layers, one after another, with ReLU between them; the last one is what is compared.
    dropout
        Share of the embedding that a training step does not see.
    """

    units: tuple[int, ...] = Field((128,), min_length=1)
    dropout: float = Field(0.2, ge=0, lt=1)

    @field_validator("units")
    @classmethod
    def _some(cls, units: tuple[int, ...]) -> tuple[int, ...]:
        if min(units) < 1:
            raise ValueError("each layer needs at least one unit")
        return units


class ProjectedConfig(Config):
    """The network of a projected head: what is built again from a run."""

    numbers: int = Field(ge=1)
    n_classes: int = Field(ge=1)
    projection: ProjectionConfig
    head: EpisodicHead
    activation: Activation = "softmax"


@dataclass(frozen=True)
class ProjectedHead:
    """Embeddings in, classes out; a fitted head as `ecotf.models.heads.TableHead`, and a network that can be trained.

    Attributes
    ----------
    head
        ``(batch, 1, 1, e) ->`` a dict of logits, as of a network of clips whose feature map is one place.
    model
        The whole, ``(batch, numbers) -> {"clip": (batch, classes)}``.
    """

    config: ProjectedConfig
    head: Any
    model: Any

    def features(self) -> tuple[Any, Any]:
        """Return an input and its projection ``(batch, 1, 1, e)``, as Keras tensors: the network without its head."""
        import keras

        x = inputs = keras.Input(self.model.input_shape[1:])
        for layer in self.model.layers[1:-1]:
            x = layer(x)
        return inputs, x

    def settle(self, rows: np.ndarray) -> None:
        """Standardise embeddings by the mean and the deviation of ``rows`` ``[n, numbers]``, before any training."""
        mean, scale = standardised(rows)
        self.model.get_layer("standardised").set_weights([mean, scale**2])

    def freeze(self, parts: Sequence[str]) -> None:
        """Nothing can be frozen: the parts of a network of clips are not here."""

    def mask(self, image: Any) -> Any:
        """Return the augmentation of images as it is: there are none."""
        return image

    @property
    def n_parameters(self) -> int:
        """Numbers that can be learned."""
        return sum(int(np.prod(weight.shape)) for weight in self.model.weights if "standardised" not in weight.path)

    @cached_property
    def _compiled(self) -> tuple[Any, Any]:
        import tensorflow as tf

        rows = [tf.TensorSpec([None, self.config.numbers], tf.float32)]
        return (
            tf.function(self.answer, input_signature=rows, autograph=False),
            tf.function(self.project, input_signature=rows, autograph=False),
        )

    def answer(self, rows: Any) -> Any:
        """Compute probabilities of embeddings, as tensors: what a device computes."""
        import tensorflow as tf

        logits = self.model(rows, training=False)["clip"]
        return tf.nn.softmax(logits) if self.config.activation == "softmax" else tf.sigmoid(logits)

    def project(self, rows: Any) -> Any:
        """Compute projections ``(batch, e)`` of embeddings, as tensors."""
        import tensorflow as tf

        x = rows
        for layer in self.model.layers[1:-1]:
            x = layer(x, training=False)
        return tf.reshape(x, [-1, self.config.projection.units[-1]])

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Compute probabilities ``[n, classes]`` of embeddings ``[n, numbers]``."""
        return np.asarray(self._compiled[0](np.asarray(rows, np.float32)))

    def embed(self, rows: np.ndarray) -> np.ndarray:
        """Project embeddings ``[n, numbers]``: float32 ``[n, e]``, the embedding of the whole model."""
        return np.asarray(self._compiled[1](np.asarray(rows, np.float32)))

    def save(self, folder: Path) -> None:
        """Write the weights, and what the network is built from, into an existing folder."""
        self.model.save_weights(folder / _WEIGHTS)
        (folder / _FACTS).write_text(self.config.model_dump_json(indent=2) + "\n")


def build_projected(config: ProjectedConfig, seed: int) -> ProjectedHead:
    """Build an untrained one, its weights drawn with ``seed``.

    Examples
    --------
    >>> from ecotf.models.heads.prototype import PrototypeHeadConfig
    >>> layers, head = ProjectionConfig(units=(4,)), PrototypeHeadConfig()
    >>> config = ProjectedConfig(numbers=8, n_classes=2, projection=layers, head=head)
    >>> build_projected(config, seed=1).predict(np.ones((3, 8), np.float32)).shape  # doctest: +SKIP
    (3, 2)
    """
    import keras

    keras.utils.set_random_seed(seed)
    inputs = keras.Input((config.numbers,))
    # Frozen, it takes a mean away and divides by a deviation; both are set once.
    standard = keras.layers.BatchNormalization(
        center=False, scale=False, epsilon=1e-12, trainable=False, dtype="float32", name="standardised"
    )
    x = keras.layers.Dropout(config.projection.dropout, seed=seed)(standard(inputs))
    for number, units in enumerate(config.projection.units):
        x = keras.layers.ReLU()(x) if number else x
        x = keras.layers.Dense(units, name=f"projection_{number}")(x)
    x = keras.layers.Reshape((1, 1, config.projection.units[-1]))(x)
    head = build_image_head(config.head, (1, 1, config.projection.units[-1]), config.n_classes)
    return ProjectedHead(config, head, keras.Model(inputs, head(x), name="projected"))


def load_projected(folder: Path) -> ProjectedHead:
    """Read what `ProjectedHead.save` wrote; raises `ConfigError`."""
    try:
        facts = json.loads((folder / _FACTS).read_text())
        made = build_projected(validate(ProjectedConfig, facts, str(folder)), seed=0)
        made.model.load_weights(folder / _WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{folder}: the head is damaged ({reason}); copy the run again, or train anew") from None
    return made
