"""Simulate sounds that are not bats: bush-crickets, rain and rustling, all made of short resonant clicks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecotf.audio.calls import Array


@dataclass(frozen=True)
class Burst:
    """Clicks that belong together.

    When they start, how they sound (shape (n,), loudest sample 1), their band, their level re the source's loudest.
    """

    start_s: float
    waveform: Array
    low_hz: float
    high_hz: float
    peak_hz: float
    level_db: float


@dataclass(frozen=True)
class Click:
    """A gammatone: the sound of a damped plate that is struck once.

    ``decay_s`` is the time constant and ``order`` how softly it sets in; a shorter decay gives a wider band.
    """

    peak_hz: float
    decay_s: float
    order: int

    def waveform(self, sample_rate_hz: float) -> Array:
        """Sampled until it has died away; shape (n,)."""
        time = np.arange(int(np.ceil((self.order + 7) * self.decay_s * sample_rate_hz)) + 2) / sample_rate_hz
        wave = time ** (self.order - 1) * np.exp(-time / self.decay_s) * np.sin(2 * np.pi * self.peak_hz * time)
        return np.asarray(wave / np.abs(wave).max())

    def band(self) -> tuple[float, float]:
        """Where its spectrum lies within 20 dB of the top: |H| = (1 + (2π decay Δf)²)^(-order/2)."""
        half = np.sqrt(10 ** (2 / self.order) - 1) / (2 * np.pi * self.decay_s)
        return max(1e3, self.peak_hz - half), self.peak_hz + half


def bush_cricket(duration_s: float, sample_rate_hz: float, rng: np.random.Generator) -> list[Burst]:
    """A song as a list of syllables, of one of four kinds (Ragge & Reynolds 1998; Barataud 2015).

    Single ticks (Leptophyes), syllables of many tooth impacts in short phrases (Pholidoptera), long even trains
    (Tettigonia, Roeseliana), and rattling: a few hard, wide clicks, then the wings open with a soft rustle.
    """
    if rng.random() < 0.35:
        return _rattling(duration_s, sample_rate_hz, rng)
    peak = float(np.exp(rng.uniform(np.log(11e3), np.log(42e3))))
    click = Click(peak, float(rng.uniform(0.6, 2.2)) / peak, 3)
    kind = rng.choice(["ticks", "phrases", "train"])
    if kind == "ticks":
        n_impacts, impact_s, interval_s = int(rng.integers(1, 5)), 3e-4, rng.uniform(0.012, 0.3)
    elif kind == "phrases":
        n_impacts, impact_s = int(rng.integers(12, 50)), rng.uniform(2e-4, 6e-4)
        interval_s = n_impacts * impact_s + rng.uniform(0.006, 0.03)
    else:
        n_impacts, impact_s = int(rng.integers(10, 40)), rng.uniform(1e-4, 3e-4)
        interval_s = n_impacts * impact_s + rng.uniform(0.006, 0.04)
    phrase = int(rng.integers(2, 6))
    syllables = []
    time, number = float(rng.uniform(0, min(0.3, 0.5 * duration_s))), 0
    while time < duration_s:
        gaps = impact_s * np.exp(0.15 * rng.standard_normal(n_impacts))
        swelling = np.linspace(0.35, 1.0, n_impacts) * rng.uniform(0.6, 1.0, n_impacts)
        wave = _struck(click, np.cumsum(gaps) - gaps[0], swelling, sample_rate_hz)
        syllables.append(Burst(time, wave, *click.band(), peak, float(rng.normal(0, 1.5))))
        number += 1
        pause = rng.uniform(3, 12) if kind == "phrases" and number % phrase == 0 else 1.0
        time += interval_s * pause * float(np.exp(0.08 * rng.standard_normal()))
    return syllables


def _rattling(duration_s: float, sample_rate_hz: float, rng: np.random.Generator) -> list[Burst]:
    """Two to seven isolated clicks and a rustle, 15 to 40 times per second; every click is a syllable of its own."""
    peak = float(rng.uniform(24e3, 46e3))
    hard = Click(peak, float(rng.uniform(0.5, 1.1)) / peak, 2)
    soft = Click(0.9 * peak, hard.decay_s, 2)
    period_s, click_s, rustle_s = rng.uniform(0.025, 0.065), rng.uniform(0.002, 0.006), rng.uniform(0.002, 0.005)
    rustle_db = float(rng.uniform(-14, -4))
    bursts = []
    for start in np.arange(rng.uniform(0, period_s), duration_s, period_s):
        n_clicks = int(rng.integers(2, 8))
        clicks = start + np.cumsum(click_s * rng.uniform(0.4, 1.5, n_clicks))
        for time in clicks[clicks < min(duration_s, start + period_s - 2 * rustle_s)]:
            n_impacts = int(rng.choice([1, 2, 4]))
            wave = _struck(hard, np.arange(n_impacts) * 2.5e-4, rng.uniform(0.4, 1, n_impacts), sample_rate_hz)
            bursts.append(Burst(float(time), wave, *hard.band(), peak, -float(rng.exponential(4.0))))
        opening = start + period_s - rustle_s
        if opening < duration_s:
            times = np.sort(rng.uniform(0, rustle_s, 60))
            wave = _struck(soft, times - times[0], rng.standard_normal(60), sample_rate_hz)
            bursts.append(Burst(float(opening), wave, *soft.band(), soft.peak_hz, rustle_db))
    return bursts


def rain(duration_s: float, sample_rate_hz: float, rng: np.random.Generator) -> list[Burst]:
    """Drops on leaves and the case, and rustling: wide clicks, single or in quickly fading showers of impacts."""
    drops = []
    for time in np.sort(rng.uniform(0, duration_s, rng.poisson(rng.uniform(2, 14) * duration_s))):
        peak = float(np.exp(rng.uniform(np.log(5e3), np.log(35e3))))
        click = Click(peak, float(rng.uniform(0.25, 0.9)) / peak, 2)
        n_impacts = int(rng.choice([1, 2, 5, 20, 60], p=[0.35, 0.2, 0.2, 0.15, 0.1]))
        times = np.sort(rng.exponential(1e-4 * n_impacts**0.9, n_impacts))
        strengths = rng.choice([-1.0, 1.0], n_impacts) * rng.uniform(0.2, 1, n_impacts)
        strengths = strengths * np.exp(-times / (4e-5 * n_impacts + 1e-4))
        wave = _struck(click, times - times[0], strengths, sample_rate_hz)
        drops.append(Burst(float(time), wave, *click.band(), peak, -float(rng.exponential(9.0))))
    return drops


def _struck(click: Click, times: Array, strengths: Array, sample_rate_hz: float) -> Array:
    impacts = np.zeros(int(times[-1] * sample_rate_hz) + 1)
    np.add.at(impacts, (times * sample_rate_hz).astype(int), strengths)
    wave = np.convolve(impacts, click.waveform(sample_rate_hz))
    return np.asarray(wave / np.abs(wave).max())
