"""The translation of TFLite operators on int8 to calls in C. An unknown operator is refused by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import tanh
from typing import Any

import numpy as np

from ecotf.errors import ConfigError
from ecotf.export.c99.arena import ALIASES
from ecotf.export.c99.constants import number
from ecotf.export.c99.layers import convolution, dense, depthwise, pool
from ecotf.export.c99.network import Step, Tensor
from ecotf.export.c99.quantisation import activation_range, mean_multiplier, multiplier_of, requantised, tabulated
from ecotf.export.c99.shapes import four, slice_block, strides
from ecotf.export.c99.translation import Translation


def translate(step: Step, into: Translation) -> None:
    """Append the call for one step.

    Raises
    ------
    ConfigError
        The operator, or this use of it, has no form in C yet.
    """
    if step.operator not in _OPERATORS:
        raise ConfigError(
            f"--target c cannot translate the operator {step.operator}; it knows {', '.join(sorted(_OPERATORS))}"
        )
    kinds = [tensor.kind for tensor in (step.inputs[0], *step.outputs) if tensor is not None]
    allowed = {"QUANTIZE": {"FLOAT32", "INT8"}, "DEQUANTIZE": {"FLOAT32", "INT8"}}.get(step.operator, {"INT8"})
    if not allowed.issuperset(kinds):
        raise ConfigError(
            f"--target c translates int8 networks, and {step.operator} ({step.outputs[0].name}) works on "
            f"{next(kind for kind in kinds if kind not in allowed)}"
        )
    _OPERATORS[step.operator](step, into)


def _quantise(step: Step, into: Translation) -> None:
    given, made = _first(step), step.outputs[0]
    if given.kind == "INT8":
        _table(given, made, requantised(given, made), into)
        return
    into.kernels |= {"scaled", "quantise"}
    into.call(f"quantise({into.at(given)}, {made.size}, {number(made.scale)}, {made.zero}, {into.at(made)});")


def _dequantise(step: Step, into: Translation) -> None:
    given, made = _first(step), step.outputs[0]
    into.kernels.add("real")
    into.call(f"real({into.at(given)}, {made.size}, {number(given.scale)}, {given.zero}, {into.at(made)});")


def _table(given: Tensor, made: Tensor, values: np.ndarray, into: Translation) -> None:
    into.kernels.add("look_up")
    table = into.constants.add(f"table_{made.index}", values, "tables of functions")
    into.call(f"look_up({into.at(given)}, {made.size}, {table}, {into.at(made)});")


def _function(function: Callable[[float], float]) -> Callable[[Step, Translation], None]:
    def run(step: Step, into: Translation) -> None:
        given, made = _first(step), step.outputs[0]
        _table(given, made, tabulated(function, given, made), into)

    return run


def _logistic(value: float) -> float:
    return float(1 / (1 + np.exp(-np.float64(value))))


def _rectifier(activation: int) -> Callable[[Step, Translation], None]:
    def run(step: Step, into: Translation) -> None:
        given, made = _first(step), step.outputs[0]
        limits = activation_range(activation, made)
        assert limits is not None
        _table(given, made, requantised(given, made, *limits), into)

    return run


def _pair(name: str) -> Callable[[Step, Translation], None]:
    def run(step: Step, into: Translation) -> None:
        first, second, made = _first(step), step.inputs[1], step.outputs[0]
        assert second is not None
        if len(made.shape) > 4:
            raise ConfigError(f"--target c: {step.operator} on {len(made.shape)} axes; it knows up to 4")
        low, high = into.limits(step)
        if name == "add":
            twice = 2 * max(float(first.scale), float(second.scale))
            factors = [float(first.scale) / twice, float(second.scale) / twice, twice / (2**20 * float(made.scale))]
        else:
            factors = [0.0, 0.0, float(first.scale * second.scale / made.scale)]
        pairs = [multiplier_of(factor) for factor in factors]
        into.kernels |= {"scaled", "paired", name}
        values: dict[str, int | Sequence[int]] = {
            "size": four(made.shape, 1), "first": strides(first.shape, made.shape),
            "second": strides(second.shape, made.shape), "first_zero": first.zero, "second_zero": second.zero,
            "out_zero": made.zero, "low": low, "high": high, "multiplier": [pair[0] for pair in pairs],
            "exponent": [pair[1] for pair in pairs],
        }  # fmt: skip
        into.macs += made.size if name == "multiply" else 0
        into.call(f"{name}(&{into.struct('paired', values)}, {into.at(first)}, {into.at(second)}, {into.at(made)});")

    return run


def _mean(step: Step, into: Translation) -> None:
    given, made, rank = _first(step), step.outputs[0], len(_first(step).shape)
    axes = sorted(int(axis) % rank for axis in _numbers(step, 1))
    if axes != list(range(axes[0], axes[-1] + 1)):
        raise ConfigError(f"--target c: MEAN over the axes {axes}, which are not side by side")
    outer, n = int(np.prod(given.shape[: axes[0]])), int(np.prod([given.shape[axis] for axis in axes]))
    multiplier, exponent = mean_multiplier(given, made, n)
    into.kernels |= {"scaled", "mean"}
    into.call(
        f"mean({into.at(given)}, {outer}, {n}, {given.size // outer // n}, {given.zero}, {made.zero}, {multiplier}, "
        f"{exponent}, {into.at(made)});"
    )


def _move(
    into: Translation, block: Mapping[str, Sequence[int]], given: Tensor, start: int, made: Tensor, to: int
) -> None:
    into.kernels.add("move")
    into.call(f"move(&{into.struct('block', block)}, {into.at(given)} + {start}, {into.at(made)} + {to});")


def _concatenate(step: Step, into: Translation) -> None:
    made = step.outputs[0]
    axis, place = step.options["axis"] % len(made.shape), 0
    for given in step.inputs:
        assert given is not None
        if given.scale != made.scale or given.zero != made.zero:
            raise ConfigError("--target c: CONCATENATION of tensors with different scales")
        steps = strides(made.shape, made.shape)
        block = {"size": four(given.shape, 1), "from": strides(given.shape, given.shape), "to": steps}
        _move(into, block, given, 0, made, place * steps[4 - len(made.shape) + axis])
        place += given.shape[axis]


def _slice(step: Step, into: Translation) -> None:
    given, made = _first(step), step.outputs[0]
    begin, end, by = (_numbers(step, index) for index in (1, 2, 3))
    if step.options["ellipsisMask"] or step.options["newAxisMask"] or len(given.shape) > 4:
        raise ConfigError("--target c: STRIDED_SLICE with an ellipsis, a new axis or more than 4 axes")
    start, block = slice_block(given.shape, begin, end, by, step.options)
    _move(into, block, given, start, made, 0)


def _pad(step: Step, into: Translation) -> None:
    given, made = _first(step), step.outputs[0]
    before = np.array(_numbers(step, 1)).reshape(-1, 2)[:, 0]
    steps = strides(made.shape, made.shape)
    into.kernels |= {"fill"}
    into.call(f"fill({into.at(made)}, {made.size}, {made.zero});")
    block = {"size": four(given.shape, 1), "from": strides(given.shape, given.shape), "to": steps}
    _move(into, block, given, 0, made, int(np.dot(before, steps[4 - len(made.shape) :])))


def _transpose(step: Step, into: Translation) -> None:
    given, made = _first(step), step.outputs[0]
    own = strides(given.shape, given.shape)[4 - len(given.shape) :]
    moved = [own[axis] for axis in _numbers(step, 1)]
    block = {"size": four(made.shape, 1), "from": four(moved, 0), "to": strides(made.shape, made.shape)}
    _move(into, block, given, 0, made, 0)


def _nothing(step: Step, into: Translation) -> None:
    """Translate an operator that changes only the shape: the same numbers stay in the same place."""


def _first(step: Step) -> Tensor:
    tensor = step.inputs[0]
    assert tensor is not None
    return tensor


def _numbers(step: Step, place: int) -> list[int]:
    tensor = step.inputs[place]
    if tensor is None or tensor.values is None:
        raise ConfigError(f"--target c: {step.operator} whose shape is worked out as it runs")
    return [int(value) for value in tensor.values.ravel()]


_OPERATORS: dict[str, Callable[[Step, Translation], Any]] = {
    "CONV_2D": convolution, "DEPTHWISE_CONV_2D": depthwise, "FULLY_CONNECTED": dense, "MAX_POOL_2D": pool,
    "AVERAGE_POOL_2D": pool, "MEAN": _mean, "ADD": _pair("add"), "MUL": _pair("multiply"), "RELU": _rectifier(1),
    "RELU6": _rectifier(3), "LOGISTIC": _function(_logistic), "TANH": _function(tanh), "CONCATENATION": _concatenate,
    "STRIDED_SLICE": _slice, "PAD": _pad, "TRANSPOSE": _transpose, "QUANTIZE": _quantise, "DEQUANTIZE": _dequantise,
    **dict.fromkeys(ALIASES, _nothing),
}  # fmt: skip
