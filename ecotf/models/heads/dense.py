"""One dense layer of scores over an embedding."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from ecotf.models.heads.base import HEADS, HeadConfig, Takes

Answers = Literal["call_and_species", "call", "species"]


class DenseHeadConfig(HeadConfig):
    """One dense layer of scores.

    Attributes
    ----------
    answers
        ``call_and_species``: "not a call" first and every species after it. ``call``: "not a call" and "call".
        ``species``: the species of what is known to be a call.
    """

    takes: ClassVar[Takes] = "embedding"
    class_layers: ClassVar[tuple[str, ...]] = ()

    name: Literal["dense"] = "dense"
    answers: Answers = "call_and_species"
    activation: Literal["sigmoid", "softmax"] = "sigmoid"


def n_outputs(answers: Answers, n_species: int) -> int:
    """Number of scores of a head that gives ``answers`` about ``n_species`` species."""
    return {"call_and_species": n_species + 1, "call": 2, "species": n_species}[answers]


@HEADS.register(DenseHeadConfig)
def build_dense(config: DenseHeadConfig, n_species: int) -> Any:
    """Build the layer, ``(batch, e)`` to ``(batch, scores)``."""
    import keras

    return keras.layers.Dense(n_outputs(config.answers, n_species), activation=config.activation)
