"""ChronoNet (Roy et al. 2019, arXiv:1802.00308): recurrent layers, each of which sees all the ones before."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ecotf.config import Config


class _Recurrent(Config):
    """What both have in common.

    Attributes
    ----------
    sequence
        ``bands_in_turn``, as published: the frames of the feature map's lowest band, then those of the next, a
        sequence of f * t steps. ``bands_together``: t steps with all bands in each.
    unroll
        Write the recurrence out, for a device without loops; clips of one length only.
    """

    sequence: Literal["bands_in_turn", "bands_together"] = "bands_in_turn"
    unroll: bool = False

    @property
    def fixed_length(self) -> bool:
        """Whether all clips must be of one length."""
        return self.unroll


class ChronoNetHeadConfig(_Recurrent):
    """Four densely connected GRUs on the features of a frozen backbone (BirdCLEF 2024, its version 4.2).

    Attributes
    ----------
    normalise
        What the GRUs' answers are batch-normalised by: ``steps``, as published, a scale for each step, so that all
        clips are of one length; ``features``, one for each unit.
    """

    name: Literal["chrononet"] = "chrononet"
    units: int = Field(128, ge=1)
    dropout: float = Field(0.3, ge=0, lt=1)
    normalise: Literal["steps", "features"] = "steps"

    @property
    def fixed_length(self) -> bool:
        """Whether all clips must be of one length."""
        return self.unroll or self.normalise == "steps"


class InceptionChronoNetHeadConfig(_Recurrent):
    """Three blocks of parallel strided convolutions before the GRUs (its version 1.2).

    Attributes
    ----------
    filters, kernels
        Each block is a convolution of ``filters`` filters for each kernel, side by side, all with stride 2.
    hidden
        Units of the dense layer before the classes.
    """

    name: Literal["chrononet_inception"] = "chrononet_inception"
    filters: int = Field(32, ge=1)
    kernels: tuple[int, ...] = Field((2, 4, 8), min_length=1)
    blocks: int = Field(3, ge=1)
    units: int = Field(32, ge=1)
    hidden: int = Field(64, ge=1)


def build_chrononet(
    config: ChronoNetHeadConfig, feature_shape: tuple[int | None, int, int], n_classes: int, probabilities: bool
) -> Any:
    """Build the head; the last GRU's last step is dropped out and classified."""
    import keras

    inputs = keras.Input(feature_shape)
    axis = 1 if config.normalise == "steps" else 2

    def normalised(x: Any) -> Any:
        return keras.layers.BatchNormalization(axis=axis, momentum=0.9, epsilon=1e-5)(x)

    x = _dense_gru(_steps(inputs, feature_shape, config), config.units, config.unroll, normalised)
    return _classified(inputs, keras.layers.Dropout(config.dropout)(x), n_classes, probabilities)


def build_inception_chrononet(
    config: InceptionChronoNetHeadConfig,
    feature_shape: tuple[int | None, int, int],
    n_classes: int,
    probabilities: bool,
) -> Any:
    """Build the head; every block of convolutions halves the steps."""
    import keras

    inputs = keras.Input(feature_shape)
    x = _steps(inputs, feature_shape, config)
    for _ in range(config.blocks):
        sides = [
            keras.layers.Conv1D(config.filters, kernel, 2, padding="same", activation="relu")(x)
            for kernel in config.kernels
        ]
        x = keras.layers.Concatenate()(sides) if len(sides) > 1 else sides[0]
    x = _dense_gru(x, config.units, config.unroll)
    x = keras.layers.Dense(config.hidden, activation="relu", name="hidden")(x)
    return _classified(inputs, x, n_classes, probabilities)


def _steps(inputs: Any, feature_shape: tuple[int | None, int, int], config: _Recurrent) -> Any:
    """``(batch, t, f, c)`` as a sequence."""
    import keras

    t, f, c = feature_shape
    if config.sequence == "bands_together":
        return keras.layers.Reshape((-1 if t is None else t, f * c))(inputs)
    in_turn = keras.layers.Permute((2, 1, 3))(inputs)
    return keras.layers.Reshape((-1 if t is None else f * t, c))(in_turn)


def _dense_gru(x: Any, units: int, unroll: bool, after: Any = lambda x: x) -> Any:
    """Four GRUs: the second sees the first, the third both, the fourth all three; its last step is the answer."""
    import keras

    answers: list[Any] = []
    for _ in range(3):
        answers.append(after(keras.layers.GRU(units, return_sequences=True, unroll=unroll)(x)))
        x = keras.layers.Concatenate()(answers) if len(answers) > 1 else answers[0]
    return keras.layers.GRU(units, unroll=unroll)(x)


def _classified(inputs: Any, x: Any, n_classes: int, probabilities: bool) -> Any:
    import keras

    clip = keras.layers.Dense(n_classes, dtype="float32", name="classes")(x)
    if probabilities:
        clip = keras.layers.Activation("sigmoid", dtype="float32")(clip)
    return keras.Model(inputs, {"clip": clip}, name="head")
