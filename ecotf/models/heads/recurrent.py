"""Pieces of recurrent heads: the frames as a sequence, and layers, each of which sees all the ones before."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from ecotf.models.heads.base import HeadConfig


class RecurrentHeadConfig(HeadConfig):
    """The settings that all recurrent heads share.

    Attributes
    ----------
    sequence
        ``bands_in_turn``, as published: the frames of the feature map's lowest band, then those of the next, a
        sequence of f * t steps. ``bands_together``: t steps with all bands in each.
    unroll
        Write the recurrence out, for a device without loops; clips of one length only.
    """

    recurrent: ClassVar[bool] = True

    sequence: Literal["bands_in_turn", "bands_together"] = "bands_in_turn"
    unroll: bool = False

    @property
    def fixed_length(self) -> bool:
        """Whether all clips must be of one length."""
        return self.unroll


def steps(inputs: Any, feature_shape: tuple[int | None, int, int], config: RecurrentHeadConfig) -> Any:
    """``(batch, t, f, c)`` as a sequence."""
    import keras

    t, f, c = feature_shape
    if config.sequence == "bands_together":
        return keras.layers.Reshape((-1 if t is None else t, f * c))(inputs)
    in_turn = keras.layers.Permute((2, 1, 3))(inputs)
    return keras.layers.Reshape((-1 if t is None else f * t, c))(in_turn)


def dense_gru(x: Any, units: int, unroll: bool, after: Any = lambda x: x) -> Any:
    """Four GRUs: the second sees the first, the third both, the fourth all three; its last step is the answer."""
    import keras

    answers: list[Any] = []
    for _ in range(3):
        answers.append(after(keras.layers.GRU(units, return_sequences=True, unroll=unroll)(x)))
        x = keras.layers.Concatenate()(answers) if len(answers) > 1 else answers[0]
    return keras.layers.GRU(units, unroll=unroll)(x)


def classified(inputs: Any, x: Any, n_classes: int, probabilities: bool) -> Any:
    """Build the head from ``inputs`` through ``x`` ``(batch, n)`` to the classes of the clip."""
    import keras

    clip = keras.layers.Dense(n_classes, dtype="float32", name="classes")(x)
    if probabilities:
        clip = keras.layers.Activation("sigmoid", dtype="float32")(clip)
    return keras.Model(inputs, {"clip": clip}, name="head")
