"""How European bats call: a table of published call shapes, and individuals drawn from it.

Typical values, rounded, after the ranges that field guides give: Russ (2012) *British Bat Calls*; Barataud (2015)
*Acoustic Ecology of European Bats*; Obrist et al. (2004) *Mammalia* 68; Walters et al. (2012) *J. Appl. Ecol.* 49;
flight speeds after Baagøe (1987). Start frequencies and durations are those at the bat, a little above what guides
measure: the air and the -20 dB box take some away. Levels and buzz drops are our own estimates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ecotf.audio.calls import CallShape


@dataclass(frozen=True)
class Species:
    """The repertoire of a species.

    Parameters
    ----------
    calls
        Echolocation calls, used in turn (noctule and barbastelle alternate two); a buzz grows out of the first.
    interval_s
        Usual time from call to call.
    speed_m_s
        Usual flight speed.
    loudness_db
        Re a pipistrelle; the brown long-eared bat whispers.
    buzz_drop
        By which fraction frequencies sink in the terminal buzz.
    social
        One component of its social call.
    social_components
        Least and most components in one social call.
    spread
        Standard deviation of an individual's frequencies, as a fraction.
    """

    calls: tuple[CallShape, ...]
    interval_s: float
    speed_m_s: float
    loudness_db: float = 0.0
    buzz_drop: float = 0.35
    social: CallShape | None = None
    social_components: tuple[int, int] = (1, 1)
    spread: float = 0.025

    @property
    def best_hz(self) -> float:
        """The highest of its calls' characteristic frequencies."""
        return max(call.knee_hz for call in self.calls)


def _sweep(start: float, knee: float, end: float, ms: float, curvature: float, peak: float = 0.6) -> CallShape:
    return CallShape(1e3 * start, 1e3 * knee, 1e3 * end, 1e-3 * ms, curvature, peak)


def _horseshoe(constant: float, start: float, end: float, ms: float, fundamental_db: float) -> CallShape:
    # The strong partial is the second harmonic; the fundamental is faint an octave below.
    return CallShape(1e3 * start, 1e3 * constant, 1e3 * end, 1e-3 * ms, law="cf", harmonics=((0.5, fundamental_db),))


_LONG_EARED = replace(_sweep(52, 24, 20, 3.8, 1.3, 0.5), harmonics=((2.0, -7.0),))

SPECIES: dict[str, Species] = {
    "Pipistrellus pipistrellus": Species(
        (_sweep(80, 48.0, 45.0, 6.5, 8),), 0.088, 6.0, social=_sweep(36, 20, 18, 5.0, 3), social_components=(3, 5)
    ),
    "Pipistrellus pygmaeus": Species(
        (_sweep(92, 57.5, 54.5, 5.8, 8),), 0.078, 6.0, social=_sweep(42, 23, 20, 5.5, 3), social_components=(2, 4)
    ),
    "Pipistrellus kuhlii": Species(
        (_sweep(70, 40.5, 36.5, 7.2, 8),), 0.096, 6.0, social=_sweep(34, 16, 14, 7.0, 3), social_components=(2, 4)
    ),
    "Nyctalus noctula": Species(
        (_sweep(31, 25.0, 23.3, 13.0, 7, 0.5), _sweep(21.5, 20.0, 18.8, 19.0, 5, 0.5)),
        0.200,
        8.5,
        loudness_db=6,
        buzz_drop=0.1,
        social=_sweep(38, 18, 15, 18.0, 2),
    ),
    "Eptesicus serotinus": Species(
        (_sweep(58, 29.0, 25.0, 10.5, 5.5),), 0.140, 7.0, loudness_db=3, social=_sweep(35, 17, 14, 12.0, 2)
    ),
    "Myotis daubentonii": Species(
        (_sweep(85, 34.0, 27.5, 4.4, 1.3, 0.5),), 0.072, 5.0, social=_sweep(52, 44, 28, 6.0, -2.5)
    ),
    "Myotis nattereri": Species(
        (_sweep(120, 26.0, 18.0, 4.8, 1.8, 0.5),), 0.085, 4.5, loudness_db=-4, social=_sweep(75, 20, 16, 7.0, 1.5)
    ),
    "Plecotus auritus": Species(
        (_LONG_EARED,), 0.105, 4.0, loudness_db=-10, social=replace(_LONG_EARED, end_hz=12e3, duration_s=0.008)
    ),
    "Barbastella barbastellus": Species(
        (_sweep(38, 34.0, 29.0, 3.0, -1.2, 0.45), replace(_sweep(44.5, 41.0, 33.0, 5.0, -1.5, 0.4), level_db=-8.0)),
        0.065,
        6.0,
        loudness_db=-5,
        social=_sweep(30, 16, 13, 9.0, 2),
    ),
    "Rhinolophus ferrumequinum": Species(
        (_horseshoe(82.5, 69, 68, 48.0, -34.0),), 0.092, 4.5, -4, buzz_drop=0.0, spread=0.006
    ),
    "Rhinolophus hipposideros": Species(
        (_horseshoe(110.5, 98, 95, 42.0, -46.0),), 0.084, 4.0, -6, buzz_drop=0.0, spread=0.009
    ),
}


def draw_individual(species: Species, rng: np.random.Generator) -> Species:
    """One bat in one place: its own voice, and calls that fit the space around it.

    In the open, calls are long and shallow and far apart; near vegetation, short, steep and quick (Schnitzler & Kalko
    2001).
    """
    voice = float(np.clip(1 + species.spread * rng.standard_normal(), 1 - 3 * species.spread, 1 + 3 * species.spread))
    openness = float(rng.uniform())
    peak_shift = float(rng.uniform(-0.12, 0.12))
    return replace(
        species,
        calls=tuple(_in_space(call, voice, openness, peak_shift) for call in species.calls),
        interval_s=species.interval_s * (0.75 + 0.6 * openness),
        speed_m_s=species.speed_m_s * float(rng.uniform(0.7, 1.3)),
        social=None if species.social is None else _scaled(species.social, voice, 1.0),
    )


def draw_call(shape: CallShape, rng: np.random.Generator) -> CallShape:
    """One call of an individual: each is a little different."""
    wobble = 0.002 if shape.law == "cf" else 0.01
    call = _scaled(shape, 1 + wobble * float(rng.standard_normal()), float(np.exp(0.08 * rng.standard_normal())))
    if shape.law == "cf":
        return call
    reach = float(np.exp(0.15 * rng.standard_normal()))
    return replace(
        call,
        start_hz=call.knee_hz + reach * (call.start_hz - call.knee_hz),
        level_db=call.level_db + float(rng.normal(0, 2.5)),
    )


def _in_space(call: CallShape, voice: float, openness: float, peak_shift: float) -> CallShape:
    if call.law == "cf":
        return _scaled(call, voice, 0.6 + 0.6 * openness)
    call = _scaled(call, voice, 0.6 + 0.7 * openness)
    # Hockey-stick calls lose nearly all of their sweep in the open; pure sweeps keep most of it.
    width = 1.5 - 1.25 * openness if call.curvature > 4 else 1.25 - 0.5 * openness
    return replace(call, start_hz=call.knee_hz + width * (call.start_hz - call.knee_hz), peak=call.peak + peak_shift)


def _scaled(call: CallShape, frequency: float, duration: float) -> CallShape:
    return replace(
        call,
        start_hz=call.start_hz * frequency,
        knee_hz=call.knee_hz * frequency,
        end_hz=call.end_hz * frequency,
        duration_s=call.duration_s * duration,
    )
