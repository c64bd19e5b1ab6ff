"""The shape of one bat call, and its sound: an instantaneous frequency law, an envelope, harmonics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Horseshoe bats frame the constant frequency with short sweeps of about this length (Vaughan et al. 1997).
_CF_RISE_S = 0.0025
_CF_FALL_S = 0.0040


@dataclass(frozen=True)
class CallShape:
    """One call, as guides describe it.

    Parameters
    ----------
    start_hz, knee_hz, end_hz
        ``sweep``: the steep part falls from start to knee, the quasi-constant tail from knee to end; a pure sweep has
        its knee at its end. ``cf``: rises from start to the constant frequency (knee), falls to end.
    duration_s
        From the first to the last sample.
    curvature
        How early the steep part is over: 0 is a straight line, 8 a hockey stick, negative values fall late.
    peak
        Where in the call it is loudest, from 0 (start) to 1 (end).
    harmonics
        Partials beside the main one, as (frequency ratio, level in dB re the main one).
    level_db
        Loudness re the other calls of the species.
    """

    start_hz: float
    knee_hz: float
    end_hz: float
    duration_s: float
    curvature: float = 8.0
    peak: float = 0.6
    law: Literal["sweep", "cf"] = "sweep"
    harmonics: tuple[tuple[float, float], ...] = ((2.0, -25.0),)
    level_db: float = 0.0


@dataclass(frozen=True)
class CallSound:
    """A sampled call: waveform, envelope and instantaneous frequency of its main partial, all of shape (n,)."""

    waveform: Array
    envelope: Array
    frequency_hz: Array

    @property
    def peak_hz(self) -> float:
        """The frequency at the loudest moment."""
        return float(self.frequency_hz[np.argmax(self.envelope)])

    def span(self, fraction: float) -> slice:
        """Return the samples from the first to the last one whose envelope reaches ``fraction`` of its maximum."""
        heard = np.flatnonzero(self.envelope >= fraction * self.envelope.max())
        return slice(int(heard[0]), int(heard[-1]) + 1)


def frequency_law(shape: CallShape, position: Array) -> Array:
    """Instantaneous frequency in hertz at ``position`` in the call (0 = start, 1 = end; shape (n,))."""
    if shape.law == "cf":
        rise, fall = _cf_ends(shape)
        below_start = np.clip(1 - position / rise, 0, 1) ** 2 * (shape.knee_hz - shape.start_hz)
        below_end = np.clip((position - 1 + fall) / fall, 0, 1) ** 2 * (shape.knee_hz - shape.end_hz)
        return shape.knee_hz - below_start - below_end
    curvature = shape.curvature
    if abs(curvature) < 1e-3:
        steep = 1 - position
    else:
        steep = (np.exp(-curvature * position) - np.exp(-curvature)) / (1 - np.exp(-curvature))
    return shape.end_hz + (shape.knee_hz - shape.end_hz) * (1 - position) + (shape.start_hz - shape.knee_hz) * steep


def envelope(shape: CallShape, position: Array) -> Array:
    """Amplitude at ``position`` in the call (0 = start, 1 = end; shape (n,)), 1 at its loudest."""
    if shape.law == "cf":
        rise, fall = _cf_ends(shape)
        ramp = np.clip(np.minimum(position / rise, (1 - position) / fall), 0, 1)
        return np.sin(0.5 * np.pi * ramp) ** 2 * (0.7 + 0.3 * np.sin(np.pi * position))
    inside = np.clip(position, 0, 1)
    rising, falling = 1.4 * shape.peak, 1.4 * (1 - shape.peak)
    at_peak = shape.peak**rising * (1 - shape.peak) ** falling
    return inside**rising * (1 - inside) ** falling / at_peak


def synthesize(
    shape: CallShape,
    sample_rate_hz: float,
    offset_s: float = 0.0,
    doppler: float = 1.0,
    gain: Callable[[Array], Array] | None = None,
) -> CallSound:
    """Sample a call as a microphone would receive it.

    Phase is the integral of the frequency law, so the call is continuous in phase. Because a call passes each
    frequency once, ``gain`` (air, microphone) is applied at the instantaneous frequency (stationary phase), not by a
    filter.

    Parameters
    ----------
    offset_s
        Time from the start of the call to its first sample, below one sample period.
    doppler
        Received over emitted frequency: above 1 when the bat comes nearer. Time shrinks as frequency grows.
    gain
        Linear gain at frequencies in hertz.
    """
    duration_s = shape.duration_s / doppler
    n_samples = max(8, int(np.ceil((duration_s - offset_s) * sample_rate_hz)))
    position = np.clip((offset_s + np.arange(n_samples) / sample_rate_hz) / duration_s, 0, 1)
    frequency = doppler * frequency_law(shape, position)
    step = 0.5 * (frequency[1:] + frequency[:-1]) / sample_rate_hz
    phase = 2 * np.pi * np.concatenate(([frequency[0] * offset_s], frequency[0] * offset_s + np.cumsum(step)))
    loudness = 10 ** (shape.level_db / 20) * envelope(shape, position)
    main = loudness * _gain_at(frequency, sample_rate_hz, gain)
    waveform = main * np.sin(phase)
    for ratio, level_db in shape.harmonics:
        partial = 10 ** (level_db / 20) * loudness * _gain_at(ratio * frequency, sample_rate_hz, gain)
        waveform += partial * np.sin(ratio * phase)
    return CallSound(waveform, main, frequency)


def feeding_buzz(
    shape: CallShape, interval_s: float, drop: float, rng: np.random.Generator
) -> list[tuple[float, CallShape]]:
    """Calls of a feeding buzz as (time from its start in seconds, shape), intervals shortening to about 6 ms.

    Approach: intervals shrink, calls shorten and steepen. Terminal buzz: very short calls at the shortest interval,
    whose frequencies sink by the fraction ``drop`` (Kalko 1995, pipistrelles: buzz I and buzz II).
    """
    shortest = rng.uniform(0.0052, 0.0068)
    n_approach, n_terminal = int(rng.integers(7, 12)), int(rng.integers(10, 24))
    intervals = np.concatenate(
        [
            np.geomspace(min(interval_s, 0.08), shortest * 1.2, n_approach),
            np.linspace(shortest * 1.18, shortest, n_terminal),
        ]
    )
    times = np.concatenate([[0.0], np.cumsum(intervals)[:-1]])
    calls = []
    for index, (time, interval) in enumerate(zip(times, intervals, strict=True)):
        progress = min(1.0, index / n_approach)
        sinking = 1 - drop * max(0.0, (index - n_approach + 1) / n_terminal) ** 0.7
        duration = min(shape.duration_s * (1 - 0.5 * progress), (0.25 if shape.law == "sweep" else 0.7) * interval)
        call = replace(shape, duration_s=duration, level_db=shape.level_db - 10 * progress)
        if shape.law == "sweep":
            # The tail goes and the sweep stays: knee to end, curvature to a nearly straight fall.
            top = shape.start_hz - 0.5 * progress * (shape.start_hz - shape.end_hz)
            call = replace(
                call,
                start_hz=top * sinking,
                knee_hz=(shape.knee_hz + progress * (shape.end_hz - shape.knee_hz)) * sinking,
                end_hz=shape.end_hz * sinking,
                curvature=shape.curvature + progress * (1.5 - shape.curvature),
            )
        calls.append((float(time), call))
    return calls


def _cf_ends(shape: CallShape) -> tuple[float, float]:
    """Lengths of the framing sweeps of a CF call, as fractions of the call."""
    return min(0.3, _CF_RISE_S / shape.duration_s), min(0.4, _CF_FALL_S / shape.duration_s)


def _gain_at(frequency: Array, sample_rate_hz: float, gain: Callable[[Array], Array] | None) -> Array:
    """``gain``, faded out just below the Nyquist frequency as the recorder's anti-alias filter does."""
    passed = np.clip((0.49 * sample_rate_hz - frequency) / (0.02 * sample_rate_hz), 0, 1)
    return passed if gain is None else passed * gain(frequency)
