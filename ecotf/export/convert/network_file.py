"""The quantised network alone, cut out of a model file: for runtimes that take neither the front end nor the trees."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from ecotf.errors import ConfigError
from ecotf.export.convert.flatbuffer import model_bytes, name_of, read_model, schema

PATCH = "patch"


def network_file(flatbuffer: bytes, source: str, outputs: Sequence[str]) -> bytes:
    """Make a flatbuffer of only the operators that lead from the patch to ``outputs``, with one signature.

    Raises
    ------
    ConfigError
        The model takes sound, and there is no patch inside that a network begins with.
    """
    model = read_model(flatbuffer, source)
    graph = _graph(model, source)
    places = {name_of(tensor): index for index, tensor in enumerate(graph.tensors)}
    absent = [name for name in outputs if name not in places]
    if absent:
        raise ConfigError(f"{source}: no part of it gives {absent[0]!r}")
    begin, ends = places[PATCH], [places[name] for name in outputs]
    needed, kept = set(ends), []
    for operator in reversed(graph.operators):
        if needed.intersection(operator.outputs) and begin not in operator.outputs:
            kept.append(operator)
            needed.update(index for index in [*operator.inputs, *operator.outputs] if index >= 0)
    return model_bytes(_alone(model, graph, kept[::-1], sorted(needed | {begin}), begin, ends))


def _graph(model: Any, source: str) -> Any:
    """Find the smallest subgraph with the patch."""
    found = [graph for graph in model.subgraphs if any(name_of(tensor) == PATCH for tensor in graph.tensors)]
    if not found:
        raise ConfigError(
            f"{source}: it takes sound itself; a microcontroller has no room for the front end, the board must make "
            "the spectrogram itself and give the network a patch of it"
        )
    return min(found, key=lambda graph: len(graph.operators))


def _alone(model: Any, graph: Any, operators: list[Any], tensors: list[int], begin: int, ends: list[int]) -> Any:
    made = schema().ModelT()
    made.version, made.description = 3, b"ecotf"
    made.buffers, made.operatorCodes, made.metadata = [schema().BufferT()], [], []
    alone = schema().SubGraphT()
    alone.name, alone.tensors, alone.operators = b"network", [], []
    places = {-1: -1}
    for index in tensors:
        tensor = copy.copy(graph.tensors[index])
        places[index] = len(alone.tensors)
        buffer = model.buffers[tensor.buffer]
        tensor.buffer = 0
        if buffer.data is not None and len(buffer.data):
            tensor.buffer = len(made.buffers)
            made.buffers.append(buffer)
        alone.tensors.append(tensor)
    codes: dict[int, int] = {}
    for operator in operators:
        operator = copy.deepcopy(operator)
        if operator.opcodeIndex not in codes:
            codes[operator.opcodeIndex] = len(made.operatorCodes)
            made.operatorCodes.append(model.operatorCodes[operator.opcodeIndex])
        operator.opcodeIndex = codes[operator.opcodeIndex]
        operator.inputs = [places[index] for index in operator.inputs]
        operator.outputs = [places[index] for index in operator.outputs]
        alone.operators.append(operator)
    alone.inputs, alone.outputs = [places[begin]], [places[index] for index in ends]
    made.subgraphs = [alone]
    definition = schema().SignatureDefT()
    definition.signatureKey, definition.subgraphIndex = b"serving_default", 0
    definition.inputs = [_end(alone, index) for index in alone.inputs]
    definition.outputs = [_end(alone, index) for index in alone.outputs]
    made.signatureDefs = [definition]
    return made


def _end(graph: Any, index: int) -> Any:
    entry = schema().TensorMapT()
    entry.name, entry.tensorIndex = graph.tensors[index].name, index
    return entry
