"""Layers that slide over a picture: convolutions, dense layers as convolutions of one place, pools."""

from __future__ import annotations

import numpy as np

from ecotf.errors import ConfigError
from ecotf.export.c99.network import Step, Tensor
from ecotf.export.c99.quantisation import channel_multipliers
from ecotf.export.c99.translation import Translation

_SAME = 0  # the schema's number for padding that keeps the size


def convolution(step: Step, into: Translation) -> None:
    """CONV_2D."""
    given, weights, made = _ends(step)
    values = _sliding(step, into, given.shape, made.shape, weights.shape[1:3], dilated=True)
    _with_weights("convolve", step, into, values, int(np.prod(weights.shape[1:])))


def depthwise(step: Step, into: Translation) -> None:
    """DEPTHWISE_CONV_2D."""
    given, weights, made = _ends(step)
    values = _sliding(step, into, given.shape, made.shape, weights.shape[1:3], dilated=True)
    _with_weights("convolve_depthwise", step, into, values, int(np.prod(weights.shape[1:3])))


def dense(step: Step, into: Translation) -> None:
    """FULLY_CONNECTED."""
    _, weights, made = _ends(step)
    outputs, inputs = weights.shape
    rows = made.size // outputs
    values = _sliding(step, into, (1, 1, rows, inputs), (1, 1, rows, outputs), (1, 1), dilated=False)
    _with_weights("convolve", step, into, values, inputs)


def pool(step: Step, into: Translation) -> None:
    """MAX_POOL_2D and AVERAGE_POOL_2D."""
    given, made = step.inputs[0], step.outputs[0]
    assert given is not None
    kernel = step.options["filterHeight"], step.options["filterWidth"]
    values = _sliding(step, into, given.shape, made.shape, kernel, dilated=False)
    name = "pool_max" if step.operator == "MAX_POOL_2D" else "pool_average"
    into.kernels |= {"scaled", "sliding", name}
    into.call(f"{name}(&{into.struct('sliding', values)}, {into.at(given)}, {into.at(made)});")


def _with_weights(name: str, step: Step, into: Translation, values: dict[str, int], each_output: int) -> None:
    given, weights, made = _ends(step)
    bias = step.inputs[2] if len(step.inputs) > 2 else None
    if weights.kind != "INT8" or weights.values is None or (bias is not None and bias.kind != "INT32"):
        raise ConfigError(f"--target c: {step.operator} with weights of type {weights.kind}; it knows int8 alone")
    channels = values["out_channels"]
    pairs = channel_multipliers(given, weights, made, channels if len(weights.scales) > 1 else 1)
    values |= {"in_zero": given.zero, "out_zero": made.zero, "each": int(len(pairs) > 1)}
    bias_values = np.zeros(channels, np.int32) if bias is None or bias.values is None else bias.values
    constants = into.constants
    places = (
        into.at(given),
        constants.add(f"weights_{made.index}", weights.values, "weights"),
        constants.add(f"bias_{made.index}", bias_values, "biases and scales"),
        constants.add(f"multiplier_{made.index}", np.array([pair[0] for pair in pairs], np.int32), "biases and scales"),
        constants.add(f"exponent_{made.index}", np.array([pair[1] for pair in pairs], np.int8), "biases and scales"),
        into.at(made),
    )
    into.macs += made.size * each_output
    into.kernels |= {"scaled", "sliding", name}
    into.call(f"{name}(&{into.struct('sliding', values)}, {', '.join(places)});")


def _sliding(
    step: Step,
    into: Translation,
    given: tuple[int, ...],
    made: tuple[int, ...],
    kernel: tuple[int, ...],
    dilated: bool,
) -> dict[str, int]:
    if given[0] != 1:
        raise ConfigError(f"--target c: {step.operator} on batches of {given[0]}; a board takes one at a time")
    low, high = into.limits(step)
    options = step.options
    by = options.get("strideH", 1), options.get("strideW", 1)
    spread = (options["dilationHFactor"], options["dilationWFactor"]) if dilated else (1, 1)
    before = [0, 0]
    if options.get("padding", 1) == _SAME:
        for axis in (0, 1):
            reach = (kernel[axis] - 1) * spread[axis] + 1
            before[axis] = max(0, (made[1 + axis] - 1) * by[axis] + reach - given[1 + axis]) // 2
    return {
        "in_height": given[1], "in_width": given[2], "in_channels": given[3], "out_height": made[1],
        "out_width": made[2], "out_channels": made[3], "height": kernel[0], "width": kernel[1], "down": by[0],
        "right": by[1], "spread_down": spread[0], "spread_right": spread[1], "top": before[0], "left": before[1],
        "low": low, "high": high,
    }  # fmt: skip


def _ends(step: Step) -> tuple[Tensor, Tensor, Tensor]:
    given, weights = step.inputs[0], step.inputs[1]
    assert given is not None and weights is not None
    return given, weights, step.outputs[0]
