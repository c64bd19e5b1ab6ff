"""Models with a frozen embedder as stages: sound, the embedder's windows, their embeddings, scores.

The embedder stays as its author made it; where a segment holds several of its windows it stands in the graph as often,
over the same weights.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any

import numpy as np

from ecotf.errors import ConfigError
from ecotf.export.convert.cut import cut_out
from ecotf.export.convert.flatbuffer import elements_of, operator_name, read_model, shape_of, type_of
from ecotf.export.stages.heads import head_function
from ecotf.export.stages.sound import SoundType
from ecotf.export.stages.stage import Stage, TensorKind
from ecotf.models.embedders import EmbedderConfig
from ecotf.models.embedders.saved_model import SavedModelConfig
from ecotf.models.embedders.tflite import TfliteConfig, embedding_tensor
from ecotf.models.frozen import FrozenModel, window_starts


def frozen_stages(model: FrozenModel, samples: int, sound: SoundType, embedding: bool) -> tuple[Stage, ...]:
    """Make stages from ``sound`` [1, samples] to ``scores`` [1, classes] and, if asked for, ``embedding``.

    A model that gives frames also gives ``frames`` [1, 1, classes], the scores again.

    Raises
    ------
    ConfigError
        The embedder has no form that a recorder can run.
    """
    starts = window_starts(samples, model.embedder.samples, model.embedder.hop_samples)
    each = [embedder_stages(model.embedder.config, number, model.embedder.numbers) for number in range(len(starts))]
    shape = next(iter(each[0][0].inputs.values())).shape
    factors: np.ndarray | float = float(getattr(model.embedder.config, "scale", 1.0))
    if model.fade is not None:
        factors = (factors * model.fade).astype(np.float32)
    cut = _cut_stage(starts, model.embedder.samples, shape, factors, samples, sound)
    gather = _gather_stage(len(starts), model.embedder.numbers)
    embedders = [stage for stages in each for stage in stages]
    return (cut, *embedders, gather, _head_stage(model, len(starts), embedding))


def _cut_stage(
    starts: np.ndarray, window: int, shape: tuple[int, ...], factors: np.ndarray | float, samples: int, sound: SoundType
) -> Stage:
    """Cut the windows; ``factors`` are of all samples, or of each sample of a window."""

    def cut(sound: Any) -> dict[str, Any]:
        import tensorflow as tf

        factor = np.asarray(factors / 32768 if sound.dtype == tf.int16 else factors, np.float32)
        values = tf.cast(sound, tf.float32)
        return {
            f"window_{n}": tf.reshape(values[:, at : at + window] * factor, shape)
            for n, at in enumerate(starts.tolist())
        }

    return Stage("windows", cut, {"sound": TensorKind((1, samples), sound)})


def _gather_stage(n: int, numbers: int) -> Stage:
    """Put the embeddings of all windows into one tensor ``embeddings`` [1, windows, numbers]."""

    def gather(*each: Any) -> dict[str, Any]:
        import tensorflow as tf

        return {"embeddings": tf.stack([tf.reshape(one, (1, numbers)) for one in each], axis=1)}

    inputs = {f"embedding_{number}": TensorKind((1, numbers)) for number in range(n)}
    return Stage("gather", named(gather, tuple(inputs)), inputs)


def _head_stage(model: FrozenModel, n: int, embedding: bool) -> Stage:
    scores_of = head_function(model.head)
    # Of a head that projects embeddings, the projection is what the run embeds with.
    project = getattr(model.head, "project", lambda mean: mean)
    learned = getattr(model.head, "model", None)

    def classify(embeddings: Any) -> dict[str, Any]:
        import tensorflow as tf

        mean = tf.reduce_mean(embeddings, axis=1)
        if model.pool == "embeddings" or n == 1:
            scores = scores_of(mean)
        else:
            scores = tf.add_n([scores_of(embeddings[:, one]) for one in range(n)]) / np.float32(n)
        frames = {"frames": scores[:, None]} if model.gives_frames else {}
        return {"scores": scores, **frames, **({"embedding": project(mean)} if embedding else {})}

    inputs = {"embeddings": TensorKind((1, n, model.embedder.numbers))}
    return Stage("head", classify, inputs, quantised=True, models=() if learned is None else (learned,))


def named(function: Callable[..., Any], names: tuple[str, ...]) -> Any:
    """Return a function whose arguments are called ``names``, which the converter reads."""

    def named(*each: Any, **by_name: Any) -> Any:
        return function(*each, *(by_name[name] for name in names[len(each) :]))

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    named.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])  # type: ignore[attr-defined]
    return named


@singledispatch
def embedder_stages(config: EmbedderConfig, number: int, numbers: int) -> tuple[Stage, ...]:
    """Make the stages of an embedder, from ``window_<number>`` to ``embedding_<number>``; raises `ConfigError`."""
    raise ConfigError(
        f"{config.model}: an embedder of the kind {config.name} has no form in one file with a head; export a head on "
        "a .tflite, a SavedModel or a run of task clips, or classify on a computer"
    )


@embedder_stages.register(TfliteConfig)
def _of_tflite(config: TfliteConfig, number: int, numbers: int) -> tuple[Stage, ...]:
    """The model's own operators, up to its embedding."""
    assert config.model is not None
    source = str(config.model)
    content = config.model.read_bytes()
    model = read_model(content, source)
    inside = [operator_name(code) for code in model.operatorCodes]
    custom = sorted(name.removeprefix("custom:") for name in inside if name.startswith("custom:"))
    if custom:
        named = ", ".join(custom)
        raise ConfigError(f"{source}: needs {named}, which no recorder's runtime has; classify on a computer")
    if len(model.subgraphs) > 1:
        raise ConfigError(f"{source}: its graph calls other graphs, and so cannot be cut; classify on a computer")
    graph = model.subgraphs[0]
    begin, end = int(graph.inputs[0]), embedding_tensor(config, content)
    shape = shape_of(graph.tensors[begin])
    if elements_of(graph.tensors[begin]) != config.window or type_of(graph.tensors[begin]) != "FLOAT32":
        raise ConfigError(
            f"{source}: it takes sound of any length, and a recorder's model has one; classify on a computer"
        )
    taken, given = f"window_{number}", f"embedding_{number}"
    made = cut_out(model, graph, {taken: begin}, {given: end}, "embedder")
    return (Stage(f"embedder_{number}", _never, {taken: TensorKind(shape)}, made=made),)


@embedder_stages.register(SavedModelConfig)
def _of_saved_model(config: SavedModelConfig, number: int, numbers: int) -> tuple[Stage, ...]:
    """The SavedModel's function, converted."""
    from ecotf.models.embedders.saved_model import SavedModelEmbedder

    opened = SavedModelEmbedder(config)
    taken, given = f"window_{number}", f"embedding_{number}"

    def embed(window: Any) -> dict[str, Any]:
        return {given: opened.embed_in_graph(window)}

    kind = TensorKind(tuple(opened.shape))
    return (Stage(f"embedder_{number}", named(embed, (taken,)), {taken: kind}, resources=(opened.model,)),)


def _never(**_: Any) -> Mapping[str, Any]:
    raise AssertionError("a stage that is made is not converted")
