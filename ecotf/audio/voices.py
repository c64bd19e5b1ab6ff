"""Simulated voices of species that do not exist: as many as wanted, for a network that learns to tell voices apart.

Few-shot learning lives on many classes, and real data sets of a hundred species are large. A voice here is a syllable
or two (a tone that glides, trembles and beats, its overtones, and a share of noise) and the rhythm in which they are
repeated. Every recording of it has another individual, place, distance, equipment and background, so that what is
the same in all of them is the voice alone. Nothing is modelled after any species.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Syllable:
    """One sound of a voice.

    Attributes
    ----------
    seconds
        Its length.
    pitch_hz
        Of the fundamental, on average.
    glide
        Octaves from the average at the start, at a quarter, half, three quarters, and at the end.
    tremor
        Rate in hertz and depth in octaves of a fast change of pitch.
    beat
        Rate in hertz and depth (0 to 1) of a fast change of loudness.
    overtones
        Amplitudes of the fundamental and the multiples of its frequency.
    noise
        Share of noise around the pitch, 0 to 1, and its width in octaves.
    attack
        Share of the length until it is loudest.
    """

    seconds: float
    pitch_hz: float
    glide: tuple[float, ...]
    tremor: tuple[float, float]
    beat: tuple[float, float]
    overtones: tuple[float, ...]
    noise: tuple[float, float]
    attack: float


@dataclass(frozen=True)
class Voice:
    """The voice of a made-up species: its syllables take turns, ``gap_s`` apart; a phrase has ``count`` of them."""

    syllables: tuple[Syllable, ...]
    gap_s: float
    count: int
    hurry: float


def draw_voice(rng: np.random.Generator) -> Voice:
    """Draw a voice."""
    n = int(rng.choice([1, 1, 2, 3]))
    pitch = float(np.exp(rng.uniform(np.log(250), np.log(9000))))
    seconds = float(np.exp(rng.uniform(np.log(0.03), np.log(0.5))))
    syllables = tuple(_draw_syllable(pitch * 2 ** rng.normal(0, 0.35), seconds * np.exp(rng.normal(0, 0.3)), rng)
                      for _ in range(n))  # fmt: skip
    gap = float(np.exp(rng.uniform(np.log(0.015), np.log(0.4))))
    count = max(1, min(int(rng.geometric(0.25)), int(1.5 / (seconds + gap))))
    return Voice(syllables, gap, count, float(rng.normal(0, 0.05)))


def _draw_syllable(pitch: float, seconds: float, rng: np.random.Generator) -> Syllable:
    width = abs(rng.normal(0, 0.5)) * rng.choice([0.1, 1.0])
    rough = rng.uniform() < 0.35
    n_overtones = int(np.clip(12000 / pitch, 1, 10))
    fall = rng.uniform(0.3, 3.0)
    overtones = np.arange(1, n_overtones + 1) ** -fall * np.exp(rng.normal(0, 0.5, n_overtones))
    if n_overtones > 3 and rng.uniform() < 0.5:  # a formant
        overtones *= np.exp(-(((np.arange(n_overtones) - rng.uniform(0, n_overtones)) / rng.uniform(1, 3)) ** 2)) + 0.05
    return Syllable(
        seconds=float(np.clip(seconds, 0.02, 0.8)),
        pitch_hz=float(np.clip(pitch, 150, 11000)),
        glide=tuple(np.clip(np.cumsum(rng.normal(0, width, 5)), -1.2, 1.2).tolist()),
        tremor=(float(rng.uniform(8, 90)), float(rng.choice([0.0, 0.02, 0.1, 0.25]))),
        beat=(float(rng.uniform(10, 150)), float(rng.choice([0.0, 0.0, 0.5, 0.95]))),
        overtones=tuple((overtones / overtones.max()).tolist()),
        noise=(float(rng.uniform(0.2, 1.0)) if rough else float(rng.uniform(0, 0.05)), float(rng.uniform(0.1, 2.0))),
        attack=float(rng.beta(1.2, 2)),
    )


def sing(voice: Voice, seconds: float, rate: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Record a voice: another individual, place and equipment each time.

    Returns
    -------
    float32 ``[samples]``, within [-1, 1].
    """
    n = round(seconds * rate)
    call = _heard(_phrase(voice, n, rate, rng), rate, rng)
    noise = coloured_noise(n, rate, rng)
    snr_db = rng.uniform(3, 40)
    loud = np.sqrt(np.partition(call**2, -(n // 8))[-(n // 8) :].mean() + 1e-20)
    mixed = call / loud + noise * 10 ** (-snr_db / 20)
    peak = np.abs(mixed).max() + 1e-9
    return (mixed / peak * 10 ** (rng.uniform(-30, -1) / 20)).astype(np.float32)


def _phrase(voice: Voice, n: int, rate: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The calls of an individual, repeated until the time is over, from a random moment on."""
    high, slow = 2 ** rng.normal(0, 0.06), np.exp(rng.normal(0, 0.1))
    sound = np.zeros(n)
    at = int(rng.uniform(-0.2, 0.35) * n)
    pause = rng.uniform(0.3, 1.5) * rate
    while at < n:
        gap = voice.gap_s * slow
        for number in range(voice.count):
            syllable = voice.syllables[number % len(voice.syllables)]
            part = utter(syllable, high * 2 ** rng.normal(0, 0.015), slow * np.exp(rng.normal(0, 0.04)), rate, rng)
            part *= np.exp(rng.normal(0, 0.15))
            start, stop = max(at, 0), min(n, at + len(part))
            if start < stop:
                sound[start:stop] += part[start - at : stop - at]
            at += len(part) + int(gap * rate)
            gap *= np.exp(voice.hurry)
            if at >= n:
                break
        at += int(pause)
    return sound


def utter(one: Syllable, high: float, slow: float, rate: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return one syllable, ``high`` times its pitch and ``slow`` times its length, float64 ``[samples]``."""
    n = max(16, int(one.seconds * slow * rate))
    t = np.arange(n) / rate
    octaves = np.interp(np.linspace(0, 4, n), np.arange(5), one.glide)
    octaves += one.tremor[1] * np.sin(2 * np.pi * one.tremor[0] * t)
    hertz = one.pitch_hz * high * 2**octaves
    phase = 2 * np.pi * np.cumsum(hertz) / rate
    sound = np.zeros(n)
    for number, amplitude in enumerate(one.overtones, start=1):
        if amplitude > 0.01:
            sound += np.where(number * hertz < 0.47 * rate, amplitude, 0) * np.sin(number * phase + rng.uniform(0, 6.3))
    share, width = one.noise
    if share > 0.06:
        steps = max(1, int(rate / (one.pitch_hz * width)))
        slow_noise = np.repeat(rng.normal(size=n // steps + 2), steps)[:n]
        sound = (1 - share) * sound + share * 1.5 * slow_noise * np.sin(phase)
    rise = max(1, int(one.attack * n))
    envelope = np.minimum(np.arange(n) / rise, (n - np.arange(n)) / max(1, n - rise)) ** 0.5
    depth = one.beat[1]
    return np.asarray(sound * envelope * (1 - depth * (0.5 + 0.5 * np.sin(2 * np.pi * one.beat[0] * t))))


def _heard(call: NDArray[np.float64], rate: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Distance, echoes and equipment: slopes over frequency, and a tail of noise that dies away."""
    from scipy import fft

    length = int(rng.uniform(0.02, 0.4) * rate)
    size = fft.next_fast_len(len(call) + int(0.4 * rate), real=True)
    octaves = _octaves(size, rate)
    gain_db = np.interp(octaves, np.linspace(5.5, 14, 8), rng.normal(0, 4, 8)) - rng.exponential(0.4) * 2**octaves / 1e3
    spectrum = fft.rfft(call.astype(np.float32), size) * (10 ** (gain_db / 20)).astype(np.float32)
    if rng.uniform() < 0.6:
        tail = rng.normal(size=length).astype(np.float32) * np.exp(-5 * np.arange(length, dtype=np.float32) / length)
        tail *= np.float32(rng.uniform(0.005, 0.05))
        tail[0] = 1.0
        spectrum *= fft.rfft(tail, size)
    return np.asarray(fft.irfft(spectrum, size)[: len(call)], np.float32)


def coloured_noise(n: int, rate: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise of a random colour, loud and soft by turns, of standard deviation 1."""
    from scipy import fft

    size = fft.next_fast_len(n, real=True)
    octaves = _octaves(size, rate)
    level_db = rng.normal(0, 4, 9) - np.arange(9) * rng.uniform(0, 4)
    amplitude = (10 ** (np.interp(octaves, np.linspace(5, 14, 9), level_db) / 20)).astype(np.float32)
    turned = rng.normal(size=(2, len(octaves))).astype(np.float32)
    noise = fft.irfft(amplitude * (turned[0] + 1j * turned[1]), size)[:n].astype(np.float32)
    noise *= np.interp(np.linspace(0, 5, n), np.arange(6), np.exp(rng.normal(0, 0.3, 6))).astype(np.float32)
    return np.asarray(noise / (noise.std() + 1e-12))


@lru_cache(maxsize=4)
def _octaves(size: int, rate: int) -> NDArray[np.float64]:
    """Of the frequencies of a transform, as powers of two; the lowest are all about 50 Hz."""
    return np.asarray(np.log2(np.arange(size // 2 + 1) * rate / size + 50))
