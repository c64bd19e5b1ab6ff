"""The gate in detection: which patches it lets through, what it loses, and the threshold that loses few calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecotf.audio.channels import ChannelChoice
from ecotf.audio.recording import Recording
from ecotf.features.configs import BandSpectrogramConfig
from ecotf.features.gate import GateConfig, RunningGate, before_denoising
from ecotf.features.spectrogram import BandSpectrogram

_BLOCK_S = 1.0
_NOWHERE_DB = -999.0  # of a call in a recording too short for a frame


@dataclass(frozen=True)
class FittedGate:
    """A gate's threshold, and what it did on the recordings that it was fitted on.

    Attributes
    ----------
    threshold_db
        A frame reaches the gate when a band of it is at least so far over its running floor.
    calls, calls_lost
        Annotated calls, and those in which nothing reaches the gate.
    patches, patches_skipped
        Patches that would be scored without the gate, and those in which nothing reaches it.
    """

    threshold_db: float
    calls: int
    calls_lost: int
    patches: int
    patches_skipped: int

    def as_text(self) -> str:
        """One line: the threshold, and what it skips and loses."""
        skipped = self.patches_skipped / max(1, self.patches)
        lost = self.calls_lost / max(1, self.calls)
        return (
            f"{self.threshold_db:.2f} dB over the running floor; skips {skipped:.1%} of {self.patches} patches and "
            f"loses {lost:.2%} of {self.calls} calls"
        )


@dataclass(frozen=True)
class GateTrack:
    """Measure how far the loudest band of every frame of a recording is above its running floor.

    Attributes
    ----------
    over_floor
        float32 ``[frames]``, dB.
    hop_s, offset_s
        Seconds between frames, and the time of the middle of frame 0.
    """

    over_floor: np.ndarray
    hop_s: float
    offset_s: float

    def of_calls(self, starts: np.ndarray, ends: np.ndarray, match_s: float) -> np.ndarray:
        """Return the highest frame in each call widened by ``match_s``; where none lies in it, the next: ``[n]``."""
        last = len(self.over_floor) - 1
        if last < 0:
            return np.full(len(starts), _NOWHERE_DB)
        first = np.clip(np.ceil((starts - match_s - self.offset_s) / self.hop_s), 0, last).astype(int)
        final = np.clip(np.floor((ends + match_s - self.offset_s) / self.hop_s), first, last).astype(int)
        return np.array([self.over_floor[a : b + 1].max() for a, b in zip(first, final, strict=True)], float)

    def reaches(self, threshold_db: float) -> np.ndarray:
        """bool ``[frames]``: which reach a gate at ``threshold_db``."""
        return self.over_floor >= np.float32(threshold_db)


def track_gate(
    recording: Recording, front_end: BandSpectrogramConfig, config: GateConfig, channel: ChannelChoice = "mix"
) -> GateTrack:
    """Measure a recording's levels for the gate; raises `ConfigError` where the front end's levels are no energies."""
    spectrogram = BandSpectrogram(front_end, recording.sample_rate)
    gate, levels = RunningGate(config, spectrogram), before_denoising(spectrogram).stream()
    parts = [np.empty(0, np.float32)]
    for block in recording.blocks(round(_BLOCK_S * recording.sample_rate), channel=channel):
        parts += gate.push(levels.push(block))
    parts += gate.push(levels.finish()) + gate.finish()
    return GateTrack(np.concatenate(parts), spectrogram.hop_s, spectrogram.offset_s)


def open_patches(reaches: np.ndarray, centres: np.ndarray, slices: int) -> np.ndarray:
    """In which patches of ``slices`` around ``centres`` a slice reaches the gate: bool ``[n]``."""
    before = np.concatenate([[0], np.cumsum(reaches)])
    first = np.clip(np.asarray(centres) - slices // 2, 0, len(reaches))
    end = np.clip(np.asarray(centres) - slices // 2 + slices, 0, len(reaches))
    return np.asarray(before[end] > before[first])


def largest_threshold(of_calls: np.ndarray, may_lose: float) -> float:
    """Return the largest threshold in hundredths of a dB that loses at most the share ``may_lose`` of calls.

    Parameters
    ----------
    of_calls
        The highest frame in each call, dB over the floor, ``[n]``, at least one.
    """
    ranked = np.sort(np.asarray(of_calls, float))
    return float(np.floor(ranked[int(may_lose * len(ranked) + 1e-9)] * 100) / 100)


def fit_threshold(
    of_calls: np.ndarray, tracks: Sequence[GateTrack], centres: Sequence[np.ndarray], slices: int, may_lose: float
) -> FittedGate:
    """Fit the threshold on calls, and count what it skips of the patches around ``centres``, ``[n]`` for each track."""
    threshold = largest_threshold(of_calls, may_lose)
    is_open = [open_patches(track.reaches(threshold), at, slices) for track, at in zip(tracks, centres, strict=True)]
    patches = sum(len(part) for part in is_open)
    lost = int((np.asarray(of_calls, np.float32) < np.float32(threshold)).sum())
    return FittedGate(threshold, len(of_calls), lost, patches, patches - sum(int(part.sum()) for part in is_open))
