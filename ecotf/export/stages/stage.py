"""The parts of a model for a device: stages, each converted alone, and signatures that chain them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Precision = Literal["f32", "f16", "dynamic", "int8"]
DEFAULT = "serving_default"
"""The signature that programs run which know of none: sound in, scores out."""
PRECISIONS: tuple[Precision, ...] = ("f32", "f16", "dynamic", "int8")


@dataclass(frozen=True)
class TensorKind:
    """Shape, with its batch of 1, and type of an input."""

    shape: tuple[int, ...]
    dtype: str = "float32"


@dataclass(frozen=True)
class Stage:
    """A piece of a model that is converted on its own.

    Attributes
    ----------
    function
        Of TensorFlow tensors, called with ``inputs`` by name; returns its outputs by name.
    quantised
        Whether it takes the precision that is asked for; all others stay float32.
    models
        The Keras models whose weights are in it.
    resources
        Whatever else of TensorFlow has weights in it.
    made
        Its flatbuffer, of a model that comes as one; nothing is converted then.
    """

    name: str
    function: Callable[..., Mapping[str, Any]]
    inputs: Mapping[str, TensorKind]
    quantised: bool = False
    models: tuple[Any, ...] = ()
    resources: tuple[Any, ...] = ()
    made: bytes | None = None


@dataclass(frozen=True)
class Signature:
    """Stages, run one after the other; the output of one is the input of the same name of a later one."""

    stages: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class ExportPlan:
    """The plan by which one kind of run becomes a model for a device.

    Attributes
    ----------
    kind
        What a recorder makes of it. ``peaks``: it finds peaks itself and asks for the scores of each. ``segments``: it
        goes from segment to segment. ``patches``: scores of a patch in the middle of a piece of sound; no recorder of
        ecotf's runs it.
    signatures
        The first is what programs run that know of none.
    facts
        What ``model.json`` says of it, resolved for the sample rate.
    notes
        Sentences for whoever exports.
    first_class
        Where the classes begin in ``scores``: 1 behind the score of "not a call".
    """

    kind: Literal["peaks", "patches", "segments"]
    stages: tuple[Stage, ...]
    signatures: Mapping[str, Signature]
    facts: Mapping[str, Any] = field(default_factory=dict)
    first_class: int = 0
    notes: tuple[str, ...] = ()
