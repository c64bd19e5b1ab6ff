"""The Fourier transform of frames as products of matrices: every step has an operation in TFLite, at any length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

# What an element costs that is moved, not multiplied, in multiply-adds.
_MOVED = 10


@dataclass(frozen=True)
class TwoStages:
    """A transform of ``first * second`` samples in two stages (Cooley and Tukey 1965), for real sound.

    Sample ``second * a + b`` meets bin ``c + first * d``: the first stage sums over a, the second over b. The bins of
    real sound come in conjugate pairs of one power, so the first stage computes half of its bins, and the second only
    the d that are asked for.

    Attributes
    ----------
    d
        int [k], ascending.
    order
        int [n_bins]: where each bin lies among the results [c, d], flat.
    cost
        Multiply-adds for a frame, and moves as so many of them.
    """

    first: int
    second: int
    d: NDArray[np.int64]
    order: NDArray[np.int64]
    cost: int

    @property
    def half(self) -> int:
        """How many bins the first stage computes."""
        return self.first // 2 + 1


def two_stages(n: int, bins: NDArray[np.int64]) -> TwoStages | None:
    """The cheapest two stages for ``bins`` of a transform of ``n`` samples; None where one product is as cheap."""
    plans = [_plan(first, n // first, bins) for first in range(2, n) if n % first == 0]
    best = min(plans, key=lambda plan: plan.cost, default=None)
    return best if best is not None and best.cost < 2 * n * len(bins) else None


def _plan(first: int, second: int, bins: NDArray[np.int64]) -> TwoStages:
    n, half = first * second, first // 2 + 1
    # a bin that the first stage leaves out has the power of its conjugate
    twins = np.where(bins % first < half, bins, n - bins)
    c, d = twins % first, twins // first
    wanted = np.unique(d)
    cost = 2 * n * half + 4 * half * second * len(wanted) + _MOVED * second * half
    return TwoStages(first, second, wanted, c * len(wanted) + np.searchsorted(wanted, d), cost)


def power_in_two_stages(frames: Any, window: NDArray[np.float64], plan: TwoStages) -> Any:
    """|X| ** 2 of the plan's bins for frames [batch, n_frames, n]: [batch, n_frames, n_bins]."""
    n, n_frames = len(window), frames.shape[1]
    first, second, half, n_d = plan.first, plan.second, plan.half, len(plan.d)
    a, b = np.arange(first), np.arange(second)
    sample = second * a + b[:, None]
    # the window and the turns between the stages are in the first one's matrices, one for each b
    turns = -2j * np.pi / n * (sample[:, :, None] * np.arange(half) % n)
    matrices = _parts(window[sample][:, :, None] * np.exp(turns)).reshape(second, first, 2 * half)
    columns = tf.transpose(tf.reshape(frames, [-1, first, second]), [2, 0, 1])
    sums = tf.reshape(tf.matmul(columns, matrices), [second, -1, half, 2])
    turned = np.exp(-2j * np.pi / second * (np.outer(b, plan.d) % second))
    both = np.block([[turned.real, turned.imag], [-turned.imag, turned.real]]).astype(np.float32)
    results = tf.matmul(tf.reshape(tf.transpose(sums, [1, 2, 3, 0]), [-1, 2 * second]), both)
    power = results[:, :n_d] * results[:, :n_d] + results[:, n_d:] * results[:, n_d:]
    return tf.gather(tf.reshape(power, [-1, n_frames, half * n_d]), plan.order.astype(np.int32), axis=2)


def power_in_one(frames: Any, window: NDArray[np.float64], bins: NDArray[np.int64]) -> Any:
    """The same as one product with windowed cosines and sines."""
    turns = np.outer(np.arange(len(window)), bins) % len(window) * (2 * np.pi / len(window))
    re = tf.matmul(frames, (window[:, None] * np.cos(turns)).astype(np.float32))
    im = tf.matmul(frames, (window[:, None] * np.sin(turns)).astype(np.float32))
    return re * re + im * im


def power_by_fft(frames: Any, window: NDArray[np.float64], bins: NDArray[np.int64]) -> Any:
    """The same by TensorFlow's transform; TFLite has it for lengths that are powers of two."""
    numbers = tf.signal.rfft(frames * window.astype(np.float32))
    # the parts first: TFLite has no slices of complex numbers
    wanted = slice(int(bins[0]), int(bins[-1]) + 1)
    re, im = tf.math.real(numbers)[..., wanted], tf.math.imag(numbers)[..., wanted]
    return re * re + im * im


def _parts(numbers: NDArray[np.complex128]) -> NDArray[np.float32]:
    return np.stack([numbers.real, numbers.imag], axis=-1).astype(np.float32)
