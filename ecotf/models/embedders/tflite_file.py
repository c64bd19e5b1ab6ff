"""The tensors and operators of a ``.tflite``, read without TensorFlow; and the same file with other outputs."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ecotf.errors import ConfigError

_IDENTIFIER = b"TFL3"
_CUSTOM = 32  # the number of operators that the runtime does not have itself
# Places of the fields in TFLite's tables (schema.fbs, of TensorFlow).
_MODEL_OPERATORS, _MODEL_GRAPHS, _MODEL_BUFFERS = 1, 2, 4
_BUFFER_DATA = 0
_GRAPH_TENSORS, _GRAPH_INPUTS, _GRAPH_OUTPUTS, _GRAPH_STEPS = range(4)
_TENSOR_NAME = 3
_OPERATOR_OLD_NUMBER, _OPERATOR_CUSTOM, _OPERATOR_NUMBER = 0, 1, 3
_STEP_INPUTS = 1


@dataclass(frozen=True)
class TfliteFile:
    """The parts of a ``.tflite`` that say which tensor is which.

    Attributes
    ----------
    content
        The bytes of the file.
    names
        Of all tensors, by index.
    inputs, outputs
        Indices of the tensors that the model takes and gives.
    last_inputs
        Indices of the tensors that its last operator takes.
    custom
        Names of the operators that are not built into the format.

    Examples
    --------
    >>> read_tflite(b"RIFF....WAVE", "night.wav")
    Traceback (most recent call last):
    ecotf.errors.ConfigError: night.wav: not a TFLite model
    """

    content: bytes
    names: tuple[str, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    last_inputs: tuple[int, ...]
    custom: tuple[str, ...]
    _outputs_at: int

    def with_outputs(self, indices: Sequence[int]) -> bytes:
        """Return the file with the tensors of ``indices`` as its outputs, in this order.

        The runtime then keeps them. It shares the memory of all other tensors, and gives parts of the graph to faster
        kernels that never write them down.
        """
        if tuple(indices) == self.outputs:
            return self.content
        content = bytearray(self.content)
        content += bytes(-len(content) % 4)
        struct.pack_into("<I", content, self._outputs_at, len(content) - self._outputs_at)
        content += struct.pack(f"<I{len(indices)}i", len(indices), *indices)
        return bytes(content)


def read_tflite(content: bytes, source: str) -> TfliteFile:
    """Read the bytes of a ``.tflite``; raises `ConfigError`, named ``source``, where they are none or cut off."""
    if content[4:8] != _IDENTIFIER:
        raise ConfigError(f"{source}: not a TFLite model")
    try:
        model = _Table(content, _offset(content, 0))
        graph = next(model.tables(_MODEL_GRAPHS))
        names = [tensor.text(_TENSOR_NAME) for tensor in graph.tables(_GRAPH_TENSORS)]
        steps = list(graph.tables(_GRAPH_STEPS))
        operators = list(model.tables(_MODEL_OPERATORS))
        for buffer in model.tables(_MODEL_BUFFERS):
            buffer.bytes(_BUFFER_DATA)
        at = graph.field(_GRAPH_OUTPUTS)
        last = [index for index in steps[-1].numbers(_STEP_INPUTS) if index >= 0] if steps else []
        inputs, outputs = graph.numbers(_GRAPH_INPUTS), graph.numbers(_GRAPH_OUTPUTS)
        custom = [op.text(_OPERATOR_CUSTOM) for op in operators if _number(op) == _CUSTOM]
    except (struct.error, IndexError, StopIteration, UnicodeDecodeError, OverflowError, MemoryError):
        raise ConfigError(f"{source}: damaged or cut off; copy it again") from None
    if not outputs or at is None:
        raise ConfigError(f"{source}: damaged; the model has no output")
    return TfliteFile(content, tuple(names), inputs, outputs, tuple(last), tuple(custom), at)


class _Table:
    """A table of a flatbuffer: fields by number, each absent or at a place."""

    def __init__(self, content: bytes, at: int) -> None:
        self._content, self._at = content, at
        self._fields = at - struct.unpack_from("<i", content, at)[0]
        (self._size,) = struct.unpack_from("<H", content, self._fields)

    def field(self, number: int) -> int | None:
        """Return the place of a field; None where the table does not have it."""
        entry = 4 + 2 * number
        if entry + 2 > self._size:
            return None
        (distance,) = struct.unpack_from("<H", self._content, self._fields + entry)
        return self._at + distance if distance else None

    def numbers(self, number: int) -> tuple[int, ...]:
        """Return a field of int32."""
        at, n = self._vector(number)
        return struct.unpack_from(f"<{n}i", self._content, at)

    def tables(self, number: int) -> Iterator[_Table]:
        """Yield the tables of a field."""
        at, n = self._vector(number)
        for place in range(at, at + 4 * n, 4):
            yield _Table(self._content, _offset(self._content, place))

    def bytes(self, number: int) -> memoryview:
        """Return a field of bytes."""
        at, n = self._vector(number)
        if at + n > len(self._content):
            raise IndexError
        return memoryview(self._content)[at : at + n]

    def text(self, number: int) -> str:
        """Return a field of text; empty where there is none."""
        return str(self.bytes(number), "utf-8")

    def number(self, number: int, form: str) -> int:
        """Return a field of one number, of the form that `struct` calls ``form``; 0 where there is none."""
        at = self.field(number)
        return 0 if at is None else int(struct.unpack_from(form, self._content, at)[0])

    def _vector(self, number: int) -> tuple[int, int]:
        field = self.field(number)
        if field is None:
            return 0, 0
        at = _offset(self._content, field)
        return at + 4, struct.unpack_from("<I", self._content, at)[0]


def _offset(content: bytes, at: int) -> int:
    return at + int(struct.unpack_from("<I", content, at)[0])


def _number(operator: _Table) -> int:
    """Return the number of an operator; older files keep it in another byte."""
    return max(operator.number(_OPERATOR_OLD_NUMBER, "<b"), operator.number(_OPERATOR_NUMBER, "<i"))
