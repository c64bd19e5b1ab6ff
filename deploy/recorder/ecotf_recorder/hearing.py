"""Whether a microphone hears at all: level, clipping, silence and noise floor of its latest minute of sound."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_REMEMBERED_S = 60
_MOST = 0.95  # of the remembered seconds; a dead microphone may crackle now and then
_CLIPPED_SHARE = 0.01  # of the samples of a second that is called clipped
_OFTEN_CLIPPED = 0.5
_FULL = 32767 / 32768
_SILENT = 0.5 / 32768  # of 16 bits the last one, now and then: no converter with a microphone is so quiet
_LOUD_FLOOR_DBFS = -20.0  # rain is some 10 dB below; what is quieter than such a noise cannot be heard
_PART_S = 0.1  # the noise floor of a second is its quietest part
_LEAST_DBFS = -120.0


class _Second(NamedTuple):
    power: float
    quietest: float
    clipped: bool
    silent: bool


class Hearing:
    """Level meter of live sound.

    Parameters
    ----------
    sample_rate
        In Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._parts = max(1, round(1 / _PART_S))
        self._n = max(1, sample_rate // self._parts)  # samples of a part
        self._seconds: deque[_Second] = deque(maxlen=_REMEMBERED_S)
        self._waiting: list[NDArray[Any]] = []
        self._held = 0

    def push(self, samples: NDArray[Any]) -> None:
        """Take the next samples, int16 or float in [-1, 1]."""
        self._waiting.append(samples)
        self._held += len(samples)
        whole = self._n * self._parts
        if self._held < whole:
            return
        sound = np.concatenate(self._waiting)
        for at in range(0, len(sound) - whole + 1, whole):
            self._seconds.append(self._measure(sound[at : at + whole]))
        rest = sound[len(sound) // whole * whole :].copy()
        self._waiting, self._held = [rest], len(rest)

    @property
    def facts(self) -> dict[str, float | None]:
        """Of the latest minute: levels in dB below full scale, and shares of seconds; None before the first second."""
        if not self._seconds:
            return dict.fromkeys(("level_dbfs", "noise_floor_dbfs", "clipped_share", "silent_share"))
        n = len(self._seconds)
        floor = sorted(second.quietest for second in self._seconds)[n // 10]
        return {
            "level_dbfs": _dbfs(sum(second.power for second in self._seconds) / n),
            "noise_floor_dbfs": _dbfs(floor),
            "clipped_share": round(sum(second.clipped for second in self._seconds) / n, 3),
            "silent_share": round(sum(second.silent for second in self._seconds) / n, 3),
        }

    @property
    def problem(self) -> str:
        """Why nothing can be heard, after a minute of such sound; empty if all is well."""
        if len(self._seconds) < _REMEMBERED_S:
            return ""
        facts = self.facts
        silent, clipped, floor = (facts[name] or 0.0 for name in ("silent_share", "clipped_share", "noise_floor_dbfs"))
        if silent >= _MOST:
            return "the microphone is silent: its samples do not change; check plug, switch and source.channel"
        if clipped >= _OFTEN_CLIPPED:
            return f"the sound is clipped in {clipped:.0%} of the seconds; lower the gain, or the microphone is broken"
        if floor > _LOUD_FLOOR_DBFS:
            return f"noise of {floor:.0f} dBFS all the time hides every call; check the microphone and its cable"
        return ""

    def _measure(self, sound: NDArray[Any]) -> _Second:
        scaled = sound.astype(np.float32)
        if sound.dtype == np.int16:
            scaled *= np.float32(1 / 32768)
        clipped = np.count_nonzero(np.abs(scaled) >= _FULL) >= _CLIPPED_SHARE * len(scaled)
        parts = scaled.reshape(self._parts, self._n)
        powers = parts.var(axis=1)  # around the mean: a constant is no sound
        return _Second(float(scaled.var()), float(powers.min()), bool(clipped), bool(scaled.std() < _SILENT))


def _dbfs(power: float) -> float:
    """Power to dB below the power of a full square wave."""
    return round(max(_LEAST_DBFS, 10 * float(np.log10(max(power, 1e-12)))), 1)
