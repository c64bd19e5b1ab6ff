"""A part of a subgraph as a model of its own: the operators that lead from some tensors to others."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ecotf.export.convert.flatbuffer import model_bytes, schema, tensor_map


def cut_out(model: Any, graph: Any, begin: Mapping[str, int], ends: Mapping[str, int], name: str) -> bytes:
    """Make a flatbuffer of only the operators that lead from some tensors to others, with one signature.

    Parameters
    ----------
    model, graph
        A ``ModelT`` and the one of its subgraphs that is cut.
    begin, ends
        Tensors by the names that they have in the signature.
    """
    needed, kept = set(ends.values()), []
    for operator in reversed(graph.operators):
        if needed.intersection(operator.outputs) and not set(begin.values()).intersection(operator.outputs):
            kept.append(operator)
            needed.update(index for index in [*operator.inputs, *operator.outputs] if index >= 0)
    made = schema().ModelT()
    made.version, made.description = 3, b"ecotf"
    made.buffers, made.operatorCodes, made.metadata = [schema().BufferT()], [], []
    places = _copy_tensors(made, model, graph, sorted(needed | set(begin.values())), name)
    alone = made.subgraphs[0]
    codes: dict[int, int] = {}
    for operator in kept[::-1]:
        operator = copy.deepcopy(operator)
        if operator.opcodeIndex not in codes:
            codes[operator.opcodeIndex] = len(made.operatorCodes)
            made.operatorCodes.append(model.operatorCodes[operator.opcodeIndex])
        operator.opcodeIndex = codes[operator.opcodeIndex]
        operator.inputs = [places[index] for index in operator.inputs]
        operator.outputs = [places[index] for index in operator.outputs]
        if operator.intermediates is not None:
            operator.intermediates = [places[index] for index in operator.intermediates if index in places]
        alone.operators.append(operator)
    alone.inputs = [places[index] for index in begin.values()]
    alone.outputs = [places[index] for index in ends.values()]
    definition = schema().SignatureDefT()
    definition.signatureKey, definition.subgraphIndex = b"serving_default", 0
    definition.inputs = [tensor_map(end, places[index]) for end, index in begin.items()]
    definition.outputs = [tensor_map(end, places[index]) for end, index in ends.items()]
    made.signatureDefs = [definition]
    return model_bytes(made)


def _copy_tensors(made: Any, model: Any, graph: Any, tensors: list[int], name: str) -> dict[int, int]:
    """Copy tensors, with their values, into the only subgraph of ``made``; return the place of each."""
    alone = schema().SubGraphT()
    alone.name, alone.tensors, alone.operators = name.encode(), [], []
    made.subgraphs = [alone]
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
    return places
