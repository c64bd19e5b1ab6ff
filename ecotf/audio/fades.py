"""Make a clip of a sound: faded in and out, in the middle of a fixed length, as published for Darksound."""

from __future__ import annotations

import numpy as np

from ecotf.errors import RecordingError


def faded(sound: np.ndarray, fade_s: float, sample_rate: int) -> np.ndarray:
    """Fade a sound in at its beginning and out at its end, along half a period of a cosine, from 0 to 1.

    The shape is that of torchaudio's ``Fade`` with ``half_sine``: ``sin(pi * t - pi / 2) / 2 + 1 / 2``, t from 0 to 1.

    Parameters
    ----------
    sound
        float32 ``[..., samples]``; not changed.
    fade_s
        Length of each fade in seconds; 0 for none.

    Returns
    -------
    float32 ``[..., samples]``

    Raises
    ------
    RecordingError
        ``short``: the sound is shorter than one fade. Between one and two fades, both are applied where they overlap.

    Examples
    --------
    >>> faded(np.ones(6, np.float32), 0.3, 10).round(3).tolist()
    [0.0, 0.5, 1.0, 1.0, 0.5, 0.0]
    """
    return faded_passage(sound, 0, sound.shape[-1], fade_s, sample_rate)


def faded_passage(sound: np.ndarray, start: int, whole: int, fade_s: float, sample_rate: int) -> np.ndarray:
    """Fade what a passage has of the beginning and of the end of its recording; as `faded` of the whole.

    Parameters
    ----------
    sound
        float32 ``[..., samples]``, the passage; not changed.
    start, whole
        The place of its first sample in the recording, and how many samples the recording has.
    """
    wanted, there = int(fade_s * sample_rate), whole
    if wanted > there:
        raise RecordingError(
            f"{there / sample_rate:.3f} s long; a fade of {fade_s:g} s needs at least {fade_s:g} s", "short"
        )
    result = np.array(sound, np.float32)
    if wanted:
        shape = ((np.sin(np.pi * np.linspace(0, 1, wanted) - np.pi / 2) + 1) / 2).astype(np.float32)
        place = start + np.arange(sound.shape[-1])
        for from_end in (place, whole - 1 - place):
            near = from_end < wanted
            result[..., near] *= shape[np.maximum(from_end[near], 0)]
    return result


def centred(sound: np.ndarray, samples: int) -> np.ndarray:
    """Put a sound into the middle of ``samples`` samples; of a longer one, the first ``samples`` are taken.

    Where the silence cannot be halved, its odd sample stands before the sound, as published.

    Parameters
    ----------
    sound
        ``[..., any]``

    Returns
    -------
    numpy.ndarray
        ``[..., samples]``, of the type of ``sound``.

    Examples
    --------
    >>> centred(np.array([1, 2]), 5).tolist(), centred(np.array([1, 2, 3]), 2).tolist()
    ([0, 0, 1, 2, 0], [1, 2])
    """
    missing = max(0, samples - sound.shape[-1])
    before = missing - missing // 2
    return np.pad(sound[..., :samples], [(0, 0)] * (sound.ndim - 1) + [(before, missing - before)])
