"""From the bat to the file: flight past the microphone, air, echoes, and the noise that the recorder adds."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ecotf.audio.calls import Array, CallShape, CallSound, synthesize

_GRID_STEP_HZ = 500.0
# From the loudest forward to the faintest backward direction, at 60 kHz; bat beams narrow with frequency
# (Jakobsen, Ratcliffe & Surlykke 2013).
_BEAM_DB = 16.0


def atmospheric_absorption(
    frequency_hz: Array, temperature_c: float = 12.0, humidity_percent: float = 80.0
) -> NDArray[np.float64]:
    """Absorption of sound by air in dB per metre (ISO 9613-1:1993, equations 3 to 5, at 101.325 kPa).

    Parameters
    ----------
    frequency_hz
        Shape (n,). The standard is stated to 10 kHz and is commonly used beyond.
    """
    kelvin = temperature_c + 273.15
    warmth = kelvin / 293.15
    saturation = 10 ** (-6.8346 * (273.16 / kelvin) ** 1.261 + 4.6151)
    vapour = humidity_percent * saturation
    oxygen_hz = 24 + 4.04e4 * vapour * (0.02 + vapour) / (0.391 + vapour)
    nitrogen_hz = warmth**-0.5 * (9 + 280 * vapour * np.exp(-4.170 * (warmth ** (-1 / 3) - 1)))
    squared = np.asarray(frequency_hz, float) ** 2
    molecules = 0.01275 * np.exp(-2239.1 / kelvin) / (oxygen_hz + squared / oxygen_hz)
    molecules = molecules + 0.1068 * np.exp(-3352.0 / kelvin) / (nitrogen_hz + squared / nitrogen_hz)
    absorption: NDArray[np.float64] = 8.686 * squared * (1.84e-11 * warmth**0.5 + warmth**-2.5 * molecules)
    return absorption


@dataclass(frozen=True)
class Scene:
    """A recorder in one night: air, microphone and noise floor, tabulated at ``grid_hz`` (all of shape (n,)).

    ``noise_db`` is the one-sided power density in dB re full scale² per hertz.
    """

    sample_rate_hz: float
    sound_speed_m_s: float
    grid_hz: Array
    absorption_db_m: Array
    microphone_db: Array
    noise_db: Array

    def noise_at(self, frequency_hz: float) -> float:
        """Noise power density (full scale² per hertz) at a frequency."""
        return float(10 ** (np.interp(frequency_hz, self.grid_hz, self.noise_db) / 10))


def draw_scene(sample_rate_hz: float, noise_floor_db: float, rng: np.random.Generator) -> Scene:
    """A recorder whose noise has its floor at ``noise_floor_db`` (dB re full scale² per hertz at 40 kHz).

    Microphones ripple, roll off and hiss more towards high frequencies; many recorders cut the low end; wind and
    traffic fill it.
    """
    grid = np.arange(0.0, 0.5 * sample_rate_hz + _GRID_STEP_HZ, _GRID_STEP_HZ)
    temperature = float(rng.uniform(4, 24))
    nodes = np.array([0.0, 15e3, 30e3, 45e3, 60e3, 80e3, 100e3, 130e3, 300e3])
    ripple = np.interp(grid, nodes, rng.normal(0, 2.0, nodes.size)) - rng.uniform(0, 10) * grid / 120e3
    high_pass = 0.0
    if rng.random() < 0.6:
        corner = rng.uniform(3e3, 14e3)
        high_pass = -10 * np.log10(1 + (corner / np.maximum(grid, 100.0)) ** 8)
    hump = rng.uniform(0, 6) * np.exp(-(((grid - rng.uniform(35e3, 85e3)) / rng.uniform(6e3, 25e3)) ** 2))
    hiss = rng.choice([0.0, rng.uniform(-6, 15)]) * (grid - 40e3) / 85e3
    shape = hump + hiss + np.interp(grid, nodes, rng.normal(0, 1.0, nodes.size))
    floor = 10 ** ((noise_floor_db + shape) / 10)
    outdoors = 10 ** ((noise_floor_db + rng.uniform(-15, 30)) / 10) / (1 + (grid / rng.uniform(800, 6e3)) ** 2)
    noise_db = 10 * np.log10(floor + outdoors) + np.maximum(high_pass, -35.0)
    return Scene(
        sample_rate_hz=sample_rate_hz,
        sound_speed_m_s=331.3 + 0.606 * temperature,
        grid_hz=grid,
        absorption_db_m=atmospheric_absorption(grid, temperature, float(rng.uniform(45, 98))),
        microphone_db=ripple + np.maximum(high_pass, -60.0),
        noise_db=noise_db,
    )


def coloured_noise(scene: Scene, n_samples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Gaussian noise with the power density of the scene, and now and then steady whistles; shape (n_samples,)."""

    from scipy import fft

    n_fft = fft.next_fast_len(n_samples, real=True)
    frequency = np.arange(n_fft // 2 + 1) * (scene.sample_rate_hz / n_fft)
    amplitude = 10 ** (np.interp(frequency, scene.grid_hz, scene.noise_db) / 20)
    for _ in range(rng.poisson(0.6)):
        pitch, width = rng.uniform(8e3, 0.48 * scene.sample_rate_hz), rng.uniform(5, 150)
        near = np.abs(frequency - pitch) < 20 * width
        whistle = 10 ** (rng.uniform(10, 28) / 20) / np.sqrt(1 + ((frequency[near] - pitch) / width) ** 2)
        amplitude[near] *= 1 + whistle
    amplitude *= np.sqrt(scene.sample_rate_hz * n_fft / 4)
    amplitude[0] = 0.0
    spectrum = np.empty(frequency.size, np.complex64)
    spectrum.real = rng.standard_normal(frequency.size, np.float32) * amplitude
    spectrum.imag = rng.standard_normal(frequency.size, np.float32) * amplitude
    noise: NDArray[np.float32] = fft.irfft(spectrum, n_fft)[:n_samples]
    return noise


@dataclass(frozen=True)
class Flight:
    """A straight, level flight: nearest at ``nearest_s``, ``aside_m`` beside and ``above_m`` above the microphone."""

    nearest_s: float
    speed_m_s: float
    aside_m: float
    above_m: float
    microphone_height_m: float = 1.8

    def distance(self, time_s: float, by_ground: bool = False) -> float:
        """Metres to the microphone, straight or by way of the ground (as to the microphone's mirror image)."""
        height = self.above_m + 2 * self.microphone_height_m if by_ground else self.above_m
        return float(np.sqrt(self._along(time_s) ** 2 + self.aside_m**2 + height**2))

    def approach_speed(self, time_s: float, by_ground: bool = False) -> float:
        """Return how fast the distance shrinks, in m/s; negative once the bat has passed."""
        return -self.speed_m_s * self._along(time_s) / self.distance(time_s, by_ground)

    def _along(self, time_s: float) -> float:
        return self.speed_m_s * (time_s - self.nearest_s)


def receive(
    shape: CallShape, emitted_s: float, flight: Flight, scene: Scene, by_ground: bool = False
) -> tuple[int, CallSound]:
    """Return the call as it arrives, and the index of its first sample.

    Doppler shift of a moving source, spherical spreading re 1 m, absorption, the bat's beam and the microphone.
    """
    distance = flight.distance(emitted_s, by_ground)
    approach = flight.approach_speed(emitted_s, by_ground)
    arrival = (emitted_s + distance / scene.sound_speed_m_s) * scene.sample_rate_hz
    first = int(np.ceil(arrival))
    backward = 0.5 * (1 - approach / flight.speed_m_s) * _BEAM_DB
    gain_db = scene.microphone_db - 20 * np.log10(max(distance, 0.2)) - scene.absorption_db_m * distance
    gain_db = gain_db - backward * np.minimum(scene.grid_hz / 60e3, 2.0)
    gain = 10 ** (gain_db / 20)
    call = synthesize(
        shape,
        scene.sample_rate_hz,
        offset_s=(first - arrival) / scene.sample_rate_hz,
        doppler=scene.sound_speed_m_s / (scene.sound_speed_m_s - approach),
        gain=lambda frequency: np.interp(frequency, scene.grid_hz, gain),
    )
    return first, call


def vegetation_echo(scene: Scene, rng: np.random.Generator, length_s: float = 0.04) -> Array:
    """An impulse response of leaves and stems, without the direct sound; shape (n,).

    Dense echoes as decaying noise, band by band because air swallows high frequencies on the longer ways, and a few
    single reflectors.
    """

    from scipy import fft

    n_samples = int(length_s * scene.sample_rate_hz)
    time = np.arange(n_samples) / scene.sample_rate_hz
    spectrum = fft.rfft(rng.standard_normal(n_samples))
    frequency = np.arange(spectrum.size) * (scene.sample_rate_hz / n_samples)
    decay_s = float(np.exp(rng.uniform(np.log(0.002), np.log(0.010))))
    response = np.zeros(n_samples)
    edges = [0.0, 15e3, 25e3, 35e3, 50e3, 70e3, 100e3, np.inf]
    for low, high in pairwise(edges):
        band = fft.irfft(np.where((frequency >= low) & (frequency < high), spectrum, 0), n_samples)
        centre = min(0.5 * (low + high), 1.15 * low + 1e4)
        lost_db_s = float(np.interp(centre, scene.grid_hz, scene.absorption_db_m)) * scene.sound_speed_m_s
        response += band * np.exp(-time * (1 / decay_s + lost_db_s / 8.686))
    response[time < rng.uniform(0.0005, 0.003)] = 0.0
    response *= 10 ** (rng.uniform(-22, -5) / 20) / np.sqrt(np.sum(response**2))
    for _ in range(rng.poisson(0.7)):
        at = int(rng.uniform(0.001, 0.015) * scene.sample_rate_hz)
        response[at] += 10 ** (rng.uniform(-32, -13) / 20) * rng.choice([-1.0, 1.0])
    return response
