"""TFLite's int8 arithmetic: the numbers that its kernels work out before they run, to the bit."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ecotf.export.c99.network import Tensor

# fused activations, as the schema numbers them, and the least and greatest value that each lets through
_ACTIVATIONS: dict[int, tuple[float | None, float | None]] = {
    0: (None, None), 1: (0.0, None), 2: (-1.0, 1.0), 3: (0.0, 6.0),
}  # fmt: skip
LOW, HIGH = -128, 127


def multiplier_of(factor: float) -> tuple[int, int]:
    """Write a factor as a 31-bit fraction and a power of two."""
    if factor == 0:
        return 0, 0
    fraction, exponent = math.frexp(factor)
    mantissa = _round(fraction * (1 << 31))
    if mantissa == 1 << 31:
        mantissa, exponent = mantissa // 2, exponent + 1
    return (0, 0) if exponent < -31 else (mantissa, exponent)


def scaled(value: int, multiplier: int, exponent: int) -> int:
    """Multiply ``value`` by the factor, rounded twice, as TFLite does it; the kernels in C have the same function."""
    high = (value * (1 << max(exponent, 0)) * multiplier + (1 << 30)) >> 31
    down = max(-exponent, 0)
    mask = (1 << down) - 1
    return (high >> down) + ((high & mask) > (mask >> 1) + (high < 0))


def channel_multipliers(given: Tensor, weights: Tensor, made: Tensor, channels: int) -> list[tuple[int, int]]:
    """Compute the factors of a layer with weights, from its accumulator to its output, for each channel."""
    if len(weights.scales) == 1 and len(weights.shape) == 2:  # a dense layer's product of scales is a float32
        factors = [float(given.scale * weights.scale) / float(made.scale)] * channels
    else:
        scales = np.broadcast_to(weights.scales, channels)
        factors = [float(given.scale) * float(scale) / float(made.scale) for scale in scales]
    return [multiplier_of(factor) for factor in factors]


def mean_multiplier(given: Tensor, made: Tensor, n: int) -> tuple[int, int]:
    """Compute the factor from a sum of n numbers to their mean, with the division in it."""
    multiplier, exponent = multiplier_of(float(given.scale) / float(made.scale))
    finer = min(n.bit_length() - 1, 32, 31 + exponent)
    return (multiplier << finer) // n, exponent - finer


def activation_range(activation: int, made: Tensor) -> tuple[int, int] | None:
    """Return the least and the greatest int8 that a fused activation lets through; None for an unknown one."""
    if activation not in _ACTIVATIONS:
        return None
    low, high = _ACTIVATIONS[activation]
    least = LOW if low is None else max(LOW, _quantised(low, made))
    most = HIGH if high is None else min(HIGH, _quantised(high, made))
    return least, most


def requantised(given: Tensor, made: Tensor, least: int = LOW, most: int = HIGH) -> NDArray[np.int8]:
    """Make the table [256] from int8 of one scale to int8 of another."""
    factor = multiplier_of(float(given.scale) / float(made.scale))
    values = [made.zero + scaled(value - given.zero, *factor) for value in range(LOW, HIGH + 1)]
    return np.clip(values, least, most).astype(np.int8)


def tabulated(function: Callable[[float], float], given: Tensor, made: Tensor) -> NDArray[np.int8]:
    """Make the table [256] of a function of one number as TFLite does: in float32, rounded at the end."""
    inverse = np.float32(1) / made.scale
    table = []
    for value in range(LOW, HIGH + 1):
        real = np.float32(given.scale * np.float32(value - given.zero))
        table.append(_round(float(np.float32(np.float32(function(float(real))) * inverse))) + made.zero)
    return np.clip(table, LOW, HIGH).astype(np.int8)


def _quantised(value: float, made: Tensor) -> int:
    return made.zero + _round(float(np.float32(value) / made.scale))


def _round(value: float) -> int:
    """Halves go away from zero, as in C."""
    return math.floor(value + 0.5) if value >= 0 else math.ceil(value - 0.5)
