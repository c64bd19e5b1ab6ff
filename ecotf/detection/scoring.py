"""Scores along time: a detector run over a spectrogram that arrives in pieces."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from pydantic import Field

from ecotf.config import Config
from ecotf.errors import ConfigError
from ecotf.models.detector import Detector, forward
from ecotf.models.network import Network
from ecotf.pipelines.windows import reduce_windows


class ScoringConfig(Config):
    """How densely a recording is scored, and whether neighbouring windows share their convolutions.

    Attributes
    ----------
    stride_s
        Time from one scored position to the next; 0 scores every slice, the published way.
    share
        Run the trunk once over a long stretch instead of once for each window. The networks must have been trained on
        windows with their surroundings (`training.context`) for this to give the scores that they were trained to give.
    """

    stride_s: float = Field(0.0046, ge=0)
    share: bool = True

    def stride(self, hop_s: float, detector: Detector) -> int:
        """Slices from one position to the next."""
        if not self.share:
            return max(1, round(self.stride_s / hop_s))
        # Shared windows start where a column of the trunk's output starts, in one of a whole number of phases.
        unit = min(network.parts.stride for network in detector.networks) * detector.windows.reduce_time
        phases = max(1, round(unit * hop_s / self.stride_s)) if self.stride_s else unit
        while unit % phases or (unit // phases) % detector.windows.reduce_time:
            phases -= 1
        return unit // phases


EXACT = ScoringConfig(stride_s=0.0, share=False)
"""The published way: every window on its own, one for every slice."""


@dataclass
class Stopwatch:
    """Seconds spent so far in the networks and in the trees."""

    networks_s: float = 0.0
    trees_s: float = 0.0


class Scorer:
    """Scores of one recording.

    Feed it the spectrogram with `push`, then call `finish`; both return the scores, float32 ``[n, 1 + species]``, of
    the positions that are complete. Position ``i`` lies at slice ``i * stride``. What lies outside of the recording
    is zero.
    """

    def __init__(
        self,
        detector: Detector,
        config: ScoringConfig,
        hop_s: float,
        positions: int = 256,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        self.detector = detector
        self.slices = detector.windows.slices(hop_s)
        self.stride = config.stride(hop_s, detector)
        self.positions = positions
        self._stopwatch = stopwatch or Stopwatch()
        self.context = 0
        if config.share:
            if any(not network.parts.context for network in detector.networks):
                raise ConfigError(
                    "detection.scoring.share = true: this backbone's windows cannot share work; use false"
                )
            reduce = detector.windows.reduce_time
            whole = math.lcm(*(network.parts.stride * reduce for network in detector.networks))
            self.context = -(-reduce * max(n.parts.context for n in detector.networks) // whole) * whole
        score = _shared if config.share else _windowed
        self._runs = [score(network, self) for network in detector.networks]
        self._buffer: np.ndarray | None = None
        self._received = 0
        self._scored = 0

    @property
    def _length(self) -> int:
        """Slices that one call of the networks looks at."""
        return (self.positions - 1) * self.stride + self.slices + 2 * self.context

    def push(self, values: np.ndarray) -> np.ndarray:
        """Add spectrogram slices ``[k, rows]``."""
        if self._buffer is None:
            self._buffer = np.zeros((self.slices // 2 + self.context, values.shape[1]), np.float32)
        self._received += len(values)
        self._buffer = np.concatenate([self._buffer, values])
        return self._score_complete()

    def finish(self) -> np.ndarray:
        """Score what is left; the scores of the last positions."""
        if self._buffer is None:
            return np.empty((0, 1 + len(self.detector.species)), np.float32)
        left = -(-self._received // self.stride) - self._scored
        calls = -(-left // self.positions)
        if calls <= 0:
            return np.empty((0, 1 + len(self.detector.species)), np.float32)
        needed = self._length + (calls - 1) * self.positions * self.stride
        if needed > len(self._buffer):
            pad = np.zeros((needed - len(self._buffer), self._buffer.shape[1]), np.float32)
            self._buffer = np.concatenate([self._buffer, pad])
        return self._score_complete()[:left]

    def _score_complete(self) -> np.ndarray:
        scores = [np.empty((0, 1 + len(self.detector.species)), np.float32)]
        step = self.positions * self.stride
        at = 0
        assert self._buffer is not None
        while at + self._length <= len(self._buffer):
            piece = self._buffer[at : at + self._length]
            began = perf_counter()
            outputs = [run(piece) for run in self._runs]
            named = perf_counter()
            scores.append(self.detector.combine(outputs))
            self._stopwatch.networks_s += named - began
            self._stopwatch.trees_s += perf_counter() - named
            at += step
        self._buffer = self._buffer[at:]
        result = np.concatenate(scores)
        self._scored += len(result)
        return result


def _windowed(network: Network, scorer: Scorer) -> Callable[[np.ndarray], np.ndarray]:
    detector = scorer.detector
    run = detector.compiled.setdefault(
        (network.config.name, "windows"), forward(network, detector.needs_embedding(network))
    )

    def score(piece: np.ndarray) -> np.ndarray:
        views = np.lib.stride_tricks.sliding_window_view(piece, scorer.slices, axis=0)[:: scorer.stride]
        return np.asarray(run(reduce_windows(views.transpose(0, 2, 1), detector.windows)[..., None]))

    return score


def _shared(network: Network, scorer: Scorer) -> Callable[[np.ndarray], np.ndarray]:
    """The trunk runs once over each phase; the neck then sees every window as a slice of the trunk's output."""
    config = scorer.detector.windows
    unit = network.parts.stride * config.reduce_time
    phases = unit // scorer.stride
    windows = scorer.positions // phases
    length = 2 * scorer.context + (windows - 1) * unit + scorer.slices
    length -= length % unit  # what the last pool would drop anyway
    run = _compiled_trunk(network, scorer, phases, length)

    def score(piece: np.ndarray) -> np.ndarray:
        stretches = np.stack([piece[phase * scorer.stride :][:length] for phase in range(phases)])
        result = np.asarray(run(reduce_windows(stretches, config)[..., None]))
        # Phase after phase becomes position after position.
        return result.reshape(phases, windows, -1).transpose(1, 0, 2).reshape(phases * windows, -1)

    return score


def _compiled_trunk(network: Network, scorer: Scorer, phases: int, length: int) -> Callable[[Any], Any]:
    """Columns ``[phases, columns, bands, 1]`` to scores, compiled once for each detector and stride."""
    import tensorflow as tf

    detector = scorer.detector
    key = (network.config.name, phases, length)
    if key in detector.compiled:
        return detector.compiled[key]
    embedding = detector.needs_embedding(network)
    windows = scorer.positions // phases
    skip = scorer.context // (network.parts.stride * detector.windows.reduce_time)
    width = network.parts.neck.input_shape[1]
    shape = [phases, length // detector.windows.reduce_time, network.rows, 1]

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)])
    def run(columns: Any) -> Any:
        maps = network.parts.trunk(columns, training=False)
        seen = tf.stack([maps[:, skip + k : skip + k + windows] for k in range(width)], axis=2)
        x = network.parts.neck(tf.reshape(seen, (phases * windows, *seen.shape[2:])), training=False)
        return x if embedding else network.head(x, training=False)

    detector.compiled[key] = run
    return run
