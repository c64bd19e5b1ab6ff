"""A bat flying by, a singing bush-cricket, a shower: sounds placed in a recording, each with its exact box."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecotf.audio.calls import CallShape, feeding_buzz
from ecotf.audio.clicks import Burst
from ecotf.audio.scene import Flight, Scene, receive, vegetation_echo
from ecotf.audio.species import Species, draw_call

BOX_FRACTION = 0.1


@dataclass(frozen=True)
class Event:
    """One sound in a recording at unit gain.

    ``box_samples`` (first, last + 1) counts from ``first_sample``; ``snr_db`` is the energy of the direct sound over
    the noise power density at its loudest frequency.
    """

    first_sample: int
    waveform: NDArray[np.float64]
    box_samples: tuple[int, int]
    low_hz: float
    high_hz: float
    snr_db: float
    label: str
    call_type: str


def bat_pass(
    name: str, bat: Species, duration_s: float, scene: Scene, rng: np.random.Generator, *, buzz: bool, social: bool
) -> list[Event]:
    """Everything that one bat utters while it flies by within ``duration_s``, with or without a buzz and social calls.

    Levels are right among the events of the pass; the caller sets the gain of the whole.
    """

    from scipy import signal

    flight = Flight(
        nearest_s=float(rng.uniform(-0.5, duration_s + 0.5)),
        speed_m_s=bat.speed_m_s,
        aside_m=float(np.exp(rng.uniform(0, np.log(14)))),
        above_m=float(rng.uniform(0.3, 6)),
    )
    ground_gain = 10 ** (rng.uniform(-32, -9) / 20)
    response = vegetation_echo(scene, rng).astype(np.float32)
    events = []
    for call_type, utterance in _utterances(bat, duration_s, rng, buzz=buzz, social=social):
        turned = 10 ** (rng.normal(0, 2.0) / 20)
        sounds = [receive(shape, emitted, flight, scene) for emitted, shape in utterance]
        echoes = [receive(shape, emitted, flight, scene, by_ground=True) for emitted, shape in utterance]
        first = sounds[0][0]
        end = max(start + call.waveform.size for start, call in sounds + echoes)
        dry = np.zeros(end - first, np.float32)
        for gain, received in ((1.0, sounds), (ground_gain, echoes)):
            for start, call in received:
                dry[start - first : start - first + call.waveform.size] += turned * gain * call.waveform
        wet = signal.fftconvolve(dry, response)
        wet[: dry.size] += dry
        spans = [(start - first, call, call.span(BOX_FRACTION)) for start, call in sounds]
        energy = sum(float(np.sum(call.waveform**2)) for _, call in sounds) * turned**2 / scene.sample_rate_hz
        events.append(
            Event(
                first_sample=first,
                waveform=wet,
                box_samples=(spans[0][0] + spans[0][2].start, spans[-1][0] + spans[-1][2].stop),
                low_hz=min(float(call.frequency_hz[span].min()) for _, call, span in spans),
                high_hz=max(float(call.frequency_hz[span].max()) for _, call, span in spans),
                snr_db=_decibels(energy / scene.noise_at(sounds[0][1].peak_hz)),
                label=name,
                call_type=call_type,
            )
        )
    return events


def _utterances(
    bat: Species, duration_s: float, rng: np.random.Generator, *, buzz: bool, social: bool
) -> Iterator[tuple[str, list[tuple[float, CallShape]]]]:
    """List the calls of a bat in time order: a call type, and its parts as (seconds into the recording, shape)."""
    buzz_at = float(rng.uniform(0, duration_s)) if buzz else np.inf
    social_shape = bat.social if social else None
    silent_before, silent_after = rng.uniform(-2, 0.5) * duration_s, rng.uniform(0.5, 3) * duration_s
    time, number = float(rng.uniform(-bat.interval_s, 0)), 0
    while time < duration_s:
        shape = bat.calls[number % len(bat.calls)]
        number += 1
        if time >= buzz_at:
            for later, call in feeding_buzz(draw_call(bat.calls[0], rng), bat.interval_s, bat.buzz_drop, rng):
                yield "buzz", [(time + later, call)]
            time, buzz_at = time + later + float(rng.uniform(0.1, 0.25)), np.inf
            continue
        if silent_before <= time <= silent_after:
            yield "echolocation", [(time, draw_call(shape, rng))]
            if social_shape is not None and rng.random() < 0.12:
                n_parts = int(rng.integers(bat.social_components[0], bat.social_components[1] + 1))
                start = time + shape.duration_s + float(rng.uniform(0.005, 0.03))
                gap_s = social_shape.duration_s * float(rng.uniform(1.3, 2.0))
                parts = [(start + part * gap_s, draw_call(social_shape, rng)) for part in range(n_parts)]
                yield "social", parts
                time = parts[-1][0]
        # Calls go with the wing beat; now and then a beat is silent.
        beats = 2 if rng.random() < 0.1 else 1
        pause = bat.interval_s * beats * float(np.exp(0.1 * rng.standard_normal()))
        time += max(pause, 1.25 * shape.duration_s)


def heard_burst(burst: Burst, scene: Scene, label: str, call_type: str) -> Event:
    """A burst of clicks as the microphone gives it; its box holds every sample above a tenth of its loudest."""
    microphone_db = float(np.interp(burst.peak_hz, scene.grid_hz, scene.microphone_db))
    waveform = 10 ** ((burst.level_db + microphone_db) / 20) * burst.waveform
    loud = np.flatnonzero(np.abs(burst.waveform) >= BOX_FRACTION)
    energy = float(np.sum(waveform**2)) / scene.sample_rate_hz
    return Event(
        first_sample=round(burst.start_s * scene.sample_rate_hz),
        waveform=waveform,
        box_samples=(int(loud[0]), int(loud[-1]) + 1),
        low_hz=burst.low_hz,
        high_hz=min(burst.high_hz, 0.5 * scene.sample_rate_hz),
        snr_db=_decibels(energy / scene.noise_at(burst.peak_hz)),
        label=label,
        call_type=call_type,
    )


def _decibels(ratio: float) -> float:
    return float(10 * np.log10(max(ratio, 1e-30)))
