"""The costs of a flatbuffer: operators, multiply-adds, memory, and an estimate of instructions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log2
from typing import Any

from ecotf.errors import ConfigError
from ecotf.export.convert.flatbuffer import bytes_of, elements_of, is_constant, operator_name, read_model, shape_of
from ecotf.export.describe.real_shapes import settle_shapes

# Instructions that a Cortex-A53 takes (tflite-runtime 2.14, emulated, counted): 0.6 for a multiply-add of a small
# network, at float32 as at int8, and about 170 for a step of a tree, which is four looked-up numbers and some moves.
# The others follow from what whole front ends took. This is an estimate: it is right to some tens of per cent.
_INSTRUCTIONS = {"multiply_adds": 0.65, "looked_up": 35.0, "moved": 4.0, "transformed": 8.0}
_ALIGN = 64
_LOOK_UPS = ("GATHER", "GATHER_ND")
_FREE = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")  # change a shape and move nothing


@dataclass(frozen=True)
class SignatureCost:
    """The costs of one run of a signature.

    Attributes
    ----------
    arena_bytes
        Working memory, as the runtime plans it: tensors that are not needed at the same time share room.
    instructions
        Of a Cortex-A53, estimated.
    complete
        Whether the shapes of all tensors are known; otherwise it costs more than is said here.
    """

    multiply_adds: int
    arena_bytes: int
    instructions: float
    complete: bool = True


def signature_costs(flatbuffer: bytes, source: str) -> dict[str, SignatureCost]:
    """Compute the cost of each signature; of each subgraph by its number where a file has no signatures.

    A file that leaves shapes open is run once for them, on silence.
    """
    model = read_model(flatbuffer, source)
    complete = settle_shapes(model, flatbuffer)
    names = {str(number): number for number in range(len(model.subgraphs))}
    if model.signatureDefs:
        names = {_text(entry.signatureKey): entry.subgraphIndex for entry in model.signatureDefs}
    return {name: _cost(model, model.subgraphs[number], complete) for name, number in names.items()}


def multiply_adds_of(flatbuffers: Mapping[str, bytes]) -> dict[str, int]:
    """Count the multiply-adds of one run of each stage."""
    return {
        name: sum(cost.multiply_adds for cost in signature_costs(flatbuffer, name).values())
        for name, flatbuffer in flatbuffers.items()
    }


def runs_per_second(values: Mapping[str, Any]) -> dict[str, float]:
    """Return how often each signature of a model file runs in a second of sound; ``values`` are its ``model.json``."""
    if values["kind"] == "segments":
        return {"serving_default": 1 / values["window"]["segment_s"]}
    if values["kind"] != "peaks":
        raise ConfigError(f"{values['name']}: a model of kind {values['kind']}; no recorder runs it")
    front_end = values["front_end"]
    chunks = 1 / (front_end["chunk_frames"] * front_end["hop_s"])
    return {"spectrogram": chunks, "score": values["cost"]["peaks_per_s"]}


def operators(flatbuffer: bytes, source: str) -> list[tuple[str, int, int]]:
    """List the operators of a file: name, version, and how often each occurs."""
    model = read_model(flatbuffer, source)
    counts: dict[tuple[str, int], int] = {}
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            key = operator_name(code), code.version
            counts[key] = counts.get(key, 0) + 1
    return [(name, version, count) for (name, version), count in sorted(counts.items())]


def _cost(model: Any, graph: Any, complete: bool) -> SignatureCost:
    work = dict.fromkeys(_INSTRUCTIONS, 0)
    for operator in graph.operators:
        name = operator_name(model.operatorCodes[operator.opcodeIndex])
        kind, amount = _work(name, operator, model, graph)
        work[kind] += amount
    instructions = sum(_INSTRUCTIONS[kind] * amount for kind, amount in work.items())
    return SignatureCost(work["multiply_adds"], arena_bytes(model, graph), instructions, complete)


def _work(name: str, operator: Any, model: Any, graph: Any) -> tuple[str, int]:
    outputs = [graph.tensors[index] for index in operator.outputs]
    inputs = [graph.tensors[index] for index in operator.inputs if index >= 0]
    made = elements_of(outputs[0]) if outputs else 0
    if name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"):
        shape = shape_of(inputs[1])
        each = {
            "CONV_2D": shape[1:],
            "DEPTHWISE_CONV_2D": shape[1:3],
            "FULLY_CONNECTED": shape[1:],
            "TRANSPOSE_CONV": shape[1:3],
        }[name]
        product = 1
        for size in each:
            product *= size
        return "multiply_adds", made * product
    if name == "BATCH_MATMUL":
        return "multiply_adds", made * shape_of(inputs[0])[-1]
    if name == "RFFT2D":
        n = shape_of(outputs[0])[-1] * 2 - 2
        return "transformed", round(elements_of(inputs[0]) * log2(max(n, 2)))
    if name in _LOOK_UPS:
        whole_rows = elements_of(inputs[0]) // max(1, shape_of(inputs[0])[0]) if shape_of(inputs[0]) else 1
        return ("looked_up", made) if whole_rows <= 1 else ("moved", 2 * made)
    # weights that are stored shorter are unpacked once, when the model is loaded
    unpacked = name == "DEQUANTIZE" and is_constant(model, inputs[0])
    return "moved", 0 if name in _FREE or unpacked else made


def arena_bytes(model: Any, graph: Any) -> int:
    """Working memory of a subgraph: the largest tensors are placed first, each in the lowest gap of its lifetime."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for index in graph.inputs:
        first[index] = last[index] = -1
    for step, operator in enumerate(graph.operators):
        for index in [*operator.inputs, *operator.outputs]:
            if index >= 0 and not is_constant(model, graph.tensors[index]):
                first.setdefault(index, step)
                last[index] = step
    for index in [*graph.inputs, *graph.outputs]:
        last[index] = len(graph.operators)
    sizes = {index: -(-bytes_of(graph.tensors[index]) // _ALIGN) * _ALIGN for index in first}
    placed: list[tuple[int, int, int, int]] = []  # offset, end, first, last
    for index in sorted(first, key=lambda index: -sizes[index]):
        offset = 0
        for start, end, born, died in sorted(placed):
            if born <= last[index] and died >= first[index]:
                if start >= offset + sizes[index]:
                    break
                offset = max(offset, end)
        placed.append((offset, offset + sizes[index], first[index], last[index]))
    return max((end for _, end, _, _ in placed), default=0)


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
