"""Crops of one recording: where a clip begins, and how it is filled up or added up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ecotf.audio.channels import ChannelChoice
from ecotf.audio.fades import centred, faded_passage
from ecotf.pipelines.clips import ClipsConfig
from ecotf.pipelines.sound_cache import ENVELOPE_HOP_S, decode
from ecotf.pipelines.sources import Sound


class Passages(Protocol):
    """Sound of one recording at the training rate, of which passages can be read.

    Attributes
    ----------
    n_samples
        Its length.
    """

    @property
    def n_samples(self) -> int: ...  # noqa: D102

    @property
    def envelope(self) -> np.ndarray:
        """Energies, each of `ENVELOPE_HOP_S`; raises `RecordingError`."""

    def read(self, start: int, stop: int) -> np.ndarray:
        """Samples ``start`` to ``stop``, or as many as there are; raises `RecordingError`."""


@dataclass(frozen=True)
class SoundPassages:
    """Passages of an opened sound, read from it each time."""

    sound: Sound
    sample_rate: int
    channel: ChannelChoice

    @property
    def n_samples(self) -> int:
        """Length at the training rate."""
        return round(self.sound.n_frames * self.sample_rate / self.sound.sample_rate)

    @property
    def envelope(self) -> np.ndarray:
        """Energies, each of `ENVELOPE_HOP_S`."""
        return decode(self.sound, self.sample_rate, self.channel, None).envelope

    def read(self, start: int, stop: int) -> np.ndarray:
        """Samples ``start`` to ``stop``, or as many as there are."""
        rate = self.sample_rate
        start = min(start, round(self.sound.duration_s * rate))
        return self.sound.read(start / rate, stop / rate, channel=self.channel, sample_rate=rate)[: stop - start]


def cut_clip(
    passages: Passages,
    sample_rate: int,
    start_s: float,
    clips: ClipsConfig,
    rng: np.random.Generator,
    foreground: bool = True,
) -> np.ndarray:
    """Cut one clip out of a recording.

    Parameters
    ----------
    start_s
        Where it begins; NaN draws the place, as ``clips.crop`` says.
    rng
        For the place.
    foreground
        Whether a label is in the foreground (`ClipsConfig.self_mixup`).

    Returns
    -------
    float32 ``[round(clips.seconds * sample_rate)]``

    Raises
    ------
    RecordingError
        The recording cannot be read, there or anywhere.
    """
    wanted = round(clips.seconds * sample_rate)
    if np.isfinite(start_s):
        start = round(start_s * sample_rate)
        return padded(_faded(passages, start, start + wanted, sample_rate, clips), wanted, clips.pad)
    summed = clips.self_mixup == "all" or (clips.self_mixup == "background" and not foreground)
    length = max(wanted, round(clips.self_mixup_s * sample_rate)) if summed else wanted
    start = draw_start(passages, length, sample_rate, clips, rng)
    sound = _faded(passages, start, start + length, sample_rate, clips)
    if not summed or len(sound) <= wanted:
        return padded(sound, wanted, clips.pad)
    # up to self_mixup_s of the recording, cut into clips that are added up
    parts = padded(sound, wanted * -(-len(sound) // wanted), "zeros")
    return np.asarray(parts.reshape(-1, wanted).sum(axis=0), np.float32)


def _faded(passages: Passages, start: int, stop: int, sample_rate: int, clips: ClipsConfig) -> np.ndarray:
    """Read a passage; the beginning and the end of the recording are faded where the config says so."""
    sound = passages.read(start, stop)
    if not clips.fade_s:
        return sound
    return faded_passage(sound, start, passages.n_samples, clips.fade_s, sample_rate)


def draw_start(passages: Passages, wanted: int, sample_rate: int, clips: ClipsConfig, rng: np.random.Generator) -> int:
    """Draw the first of ``wanted`` samples of a clip, as ``clips.crop`` says; raises `RecordingError`."""
    spare = passages.n_samples - wanted
    if clips.crop == "start" or spare <= 0:
        return 0
    if clips.crop == "energy":
        return draw_where_it_is_loud(passages.envelope, wanted, spare, sample_rate, rng)
    return int(rng.integers(0, spare + 1))


def padded(sound: np.ndarray, wanted: int, pad: str) -> np.ndarray:
    """``sound`` made ``wanted`` samples long: repeated, or with zeros after or around it; no sound becomes zeros."""
    if len(sound) >= wanted:
        return np.ascontiguousarray(sound[:wanted])
    if pad == "repeat" and len(sound):
        return np.resize(sound, wanted)
    if pad == "centre":
        return centred(sound, wanted)
    return np.concatenate([sound, np.zeros(wanted - len(sound), np.float32)])


def draw_where_it_is_loud(
    envelope: np.ndarray, wanted: int, spare: int, sample_rate: int, rng: np.random.Generator
) -> int:
    """Draw the first sample of a clip, each place with the energy above the recording's median that its clip holds.

    Where the recording is equally loud everywhere, all places are alike.

    Parameters
    ----------
    envelope
        Energies, each of `ENVELOPE_HOP_S`.
    wanted, spare
        Samples in the clip, and in the recording beyond it.
    """
    hop = round(ENVELOPE_HOP_S * sample_rate)
    above = np.concatenate([[0.0], np.cumsum(np.maximum(envelope - np.median(envelope), 0), dtype=np.float64)])
    starts = np.arange(spare // hop + 1)
    ends = np.minimum(starts + -(-wanted // hop), len(envelope))
    held = np.maximum(above[ends] - above[starts], 0)
    if not held.sum() > 0:
        return int(rng.integers(0, spare + 1))
    place = int(rng.choice(starts, p=held / held.sum())) * hop
    return min(spare, place + int(rng.integers(0, hop)))
