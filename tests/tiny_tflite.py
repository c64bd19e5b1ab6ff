"""Small ``.tflite`` models, written operator by operator: no converter, no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ecotf.export.convert.flatbuffer import model_bytes, schema


class TinyModel:
    """A chain of operators over float32 tensors, from a tensor ``sound`` on.

    Attributes
    ----------
    tensors
        Of ``sound``, the weights, and the answers of the operators.
    """

    def __init__(self, shape: Sequence[int], signature: Sequence[int] | None = None) -> None:
        self._model, self._graph = schema().ModelT(), schema().SubGraphT()
        self._model.version, self._model.buffers, self._model.operatorCodes = 3, [self._buffer()], []
        self._graph.tensors, self._graph.operators = [], []
        self._last = self._tensor("sound", shape)
        if signature is not None:
            self._graph.tensors[0].shapeSignature = np.array(signature, np.int32)

    def reshape(self, shape: Sequence[int], name: str) -> TinyModel:
        """Give the last tensor another shape."""
        target = self._constant(np.array(shape, np.int32), "INT32")
        return self._operator("RESHAPE", [self._last, target], name, shape)

    def dense(self, weights: np.ndarray, name: str) -> TinyModel:
        """Multiply the last tensor ``[1, n]`` with weights ``[m, n]``."""
        options = schema().FullyConnectedOptionsT()
        inputs = [self._last, self._constant(weights.astype(np.float32), "FLOAT32"), -1]
        return self._operator("FULLY_CONNECTED", inputs, name, (1, len(weights)), "FullyConnectedOptions", options)

    def apply(self, operator: str, name: str) -> TinyModel:
        """Apply an operator without settings (``LOGISTIC``, ``LOG``) to each number."""
        return self._operator(operator, [self._last], name, self._graph.tensors[self._last].shape)

    def custom(self, operator: str, name: str) -> TinyModel:
        """Apply an operator that no runtime has."""
        self._operator("CUSTOM", [self._last], name, self._graph.tensors[self._last].shape)
        self._model.operatorCodes[-1].customCode = operator
        return self

    def write(self, path: Path) -> Path:
        """Write the file; the last tensor is the only output."""
        self._graph.inputs, self._graph.outputs = np.array([0], np.int32), np.array([self._last], np.int32)
        self._model.subgraphs = [self._graph]
        path.write_bytes(model_bytes(self._model))
        return path

    def _operator(self, kind, inputs, name, shape, options_type=None, options=None) -> TinyModel:
        code, operator = schema().OperatorCodeT(), schema().OperatorT()
        code.builtinCode = getattr(schema().BuiltinOperator, kind)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
        self._model.operatorCodes.append(code)
        operator.opcodeIndex = len(self._model.operatorCodes) - 1
        self._last = self._tensor(name, shape)
        operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array([self._last], np.int32)
        if options is not None:
            operator.builtinOptionsType = getattr(schema().BuiltinOptions, options_type)
            operator.builtinOptions = options
        self._graph.operators.append(operator)
        return self

    def _constant(self, values: np.ndarray, kind: str) -> int:
        self._model.buffers.append(self._buffer(values))
        return self._tensor("", values.shape, len(self._model.buffers) - 1, kind)

    def _tensor(self, name: str, shape: Sequence[int], buffer: int = 0, kind: str = "FLOAT32") -> int:
        tensor = schema().TensorT()
        tensor.name, tensor.shape, tensor.buffer = name, np.array(shape, np.int32), buffer
        tensor.type, tensor.quantization = getattr(schema().TensorType, kind), schema().QuantizationParametersT()
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    @staticmethod
    def _buffer(values: np.ndarray | None = None) -> object:
        buffer = schema().BufferT()
        if values is not None:
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        return buffer


def tiny_tagger(path: Path, samples: int = 16, numbers: int = 3, classes: int = 2, batch_axis: bool = True) -> Path:
    """Write a model of a layer ``embedding`` and one more before the ``scores``, with random weights."""
    draws = np.random.default_rng(5)
    model = TinyModel((1, samples), (-1, samples)) if batch_axis else TinyModel((samples,))
    model = model if batch_axis else model.reshape((1, samples), "row")
    model.dense(draws.normal(size=(samples, samples)), "first").dense(
        draws.normal(size=(numbers, samples)), "embedding"
    )
    return model.dense(draws.normal(size=(classes, numbers)), "logits").apply("LOGISTIC", "scores").write(path)
