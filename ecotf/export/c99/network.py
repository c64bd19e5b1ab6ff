"""The network to translate: steps and tensors, read from a flatbuffer of one subgraph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecotf.export.convert.flatbuffer import name_of, operator_name, read_model, shape_of, type_of

_DTYPES = {"INT8": np.int8, "INT32": np.int32, "FLOAT32": np.float32, "INT64": np.int64}


@dataclass(frozen=True)
class Tensor:
    """One tensor.

    Attributes
    ----------
    scales, zero
        A value v means scale * (v - zero); one scale, or one for each channel; empty where it is not quantised.
    values
        Of a constant; None for what is computed.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    kind: str
    scales: NDArray[np.float32]
    zero: int
    values: NDArray[Any] | None

    @property
    def size(self) -> int:
        """Numbers in it."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def scale(self) -> np.float32:
        """The scale of a tensor that has one."""
        return np.float32(self.scales[0])


@dataclass(frozen=True)
class Step:
    """One operator; an input that it goes without is None."""

    operator: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Network:
    """Steps in order, and which tensors go in and come out."""

    steps: tuple[Step, ...]
    patch: Tensor
    outputs: tuple[Tensor, ...]


def read_network(content: bytes, source: str) -> Network:
    """Read what `network_file` made."""
    model = read_model(content, source)
    graph = model.subgraphs[0]
    tensors = [_tensor(model, index, tensor) for index, tensor in enumerate(graph.tensors)]
    steps = [
        Step(
            operator_name(model.operatorCodes[operator.opcodeIndex]),
            tuple(tensors[index] if index >= 0 else None for index in operator.inputs),
            tuple(tensors[index] for index in operator.outputs),
            {} if operator.builtinOptions is None else vars(operator.builtinOptions),
        )
        for operator in graph.operators
    ]
    return Network(tuple(steps), tensors[graph.inputs[0]], tuple(tensors[index] for index in graph.outputs))


def _tensor(model: Any, index: int, tensor: Any) -> Tensor:
    kind, shape, data = type_of(tensor), shape_of(tensor), model.buffers[tensor.buffer].data
    values = None
    if data is not None and len(data) and kind in _DTYPES:
        values = np.frombuffer(bytes(data), _DTYPES[kind]).reshape(shape)
    scales, zero = np.empty(0, np.float32), 0
    if tensor.quantization is not None and tensor.quantization.scale is not None:
        scales = np.asarray(tensor.quantization.scale, np.float32)
        zeros = tensor.quantization.zeroPoint
        zero = 0 if zeros is None or not len(zeros) else int(zeros[0])
    return Tensor(index, name_of(tensor), shape, kind, scales, zero, values)
