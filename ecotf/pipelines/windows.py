"""Training windows: where they lie, what they are labelled with, and how they are cut from spectrograms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field
from scipy.ndimage import zoom

from ecotf.config import Config
from ecotf.pipelines.spectrogram_store import StoredSpectrogram


class WindowsConfig(Config):
    """Windows of the spectrogram and how training positions are chosen. All times are real seconds.

    Attributes
    ----------
    width_s
        Length of a window.
    reduce_time, reduce_frequency
        Slices and rows that are averaged into one column and band of the network's input.
    resize
        ``mean`` averages (the same for every window, so windows can share work); ``corners`` is the published linear
        interpolation between the window's corner points, which only exact scoring can use.
    shift_s
        Extra positives this much before and after each call; none when empty.
    negatives_per_call
        Random windows away from calls, for each call of a recording.
    negatives_per_second
        The same for recordings without a call, per second of sound.
    negative_margin_s
        Random negatives keep this far from every call.
    merge_s
        A window is labelled with every call whose middle is this near to its own.
    annotated_negatives
        Whether annotated sounds that are no calls (insects, rain) are negatives too.
    """

    width_s: float = Field(0.0232, gt=0)
    reduce_time: int = Field(2, ge=1)
    reduce_frequency: int = Field(2, ge=1)
    resize: Literal["mean", "corners"] = "mean"
    shift_s: tuple[float, ...] = (0.0015,)
    negatives_per_call: float = Field(3.0, ge=0)
    negatives_per_second: float = Field(10.0, ge=0)
    negative_margin_s: float = Field(0.013, ge=0)
    merge_s: float = Field(0.003, ge=0)
    annotated_negatives: bool = True

    def slices(self, hop_s: float) -> int:
        """Spectrogram slices in a window: the nearest whole number of columns, and even, so that it has a middle."""
        unit = 2 * self.reduce_time
        return max(unit, unit * round(self.width_s / hop_s / unit))


@dataclass(frozen=True)
class WindowTable:
    """Training windows.

    Attributes
    ----------
    recording
        int ``[n]``, index into a list of spectrograms.
    time_s
        float64 ``[n]``, middle of the window.
    species
        uint8 ``[n, species]``, 1 for every species that calls there; a row of zeros is not a call.
    """

    recording: np.ndarray
    time_s: np.ndarray
    species: np.ndarray

    def __len__(self) -> int:
        return len(self.time_s)

    @property
    def is_call(self) -> np.ndarray:
        """bool ``[n]``."""
        return self.species.any(axis=1)

    def targets(self, answers: Literal["call_and_species", "call", "species"]) -> np.ndarray:
        """float32 ``[n, scores]`` in the order of a head that gives ``answers``."""
        call = self.is_call[:, None]
        if answers == "species":
            return self.species.astype(np.float32)
        if answers == "call":
            return np.hstack([~call, call]).astype(np.float32)
        return np.hstack([~call, self.species.astype(bool)]).astype(np.float32)

    def take(self, index: np.ndarray) -> WindowTable:
        """The windows at ``index``."""
        return WindowTable(self.recording[index], self.time_s[index], self.species[index])

    def joined(self, other: WindowTable) -> WindowTable:
        """These windows followed by ``other``."""
        return WindowTable(
            np.concatenate([self.recording, other.recording]),
            np.concatenate([self.time_s, other.time_s]),
            np.concatenate([self.species, other.species]),
        )


def empty_windows(n_species: int) -> WindowTable:
    """A table of no windows."""
    return WindowTable(np.empty(0, np.int64), np.empty(0), np.empty((0, n_species), np.uint8))


def place_windows(
    recording: int,
    duration_s: float,
    calls: pd.DataFrame,
    sounds: pd.DataFrame,
    species: Sequence[str],
    config: WindowsConfig,
    rng: np.random.Generator,
) -> WindowTable:
    """Choose the training windows of one recording.

    Parameters
    ----------
    recording
        Its index in the list of spectrograms.
    calls, sounds
        Its annotated calls, and its annotated sounds that are no calls.
    species
        Class names; calls of other classes are no positives, but keep negatives away.
    """
    starts, ends = calls["start_s"].to_numpy(float), calls["end_s"].to_numpy(float)
    middles = (starts + ends) / 2
    code = {label: index for index, label in enumerate(species)}
    codes = np.array([code.get(label, -1) for label in calls["label"]], dtype=int)

    shifts = [0.0, *(sign * shift for shift in config.shift_s for sign in (-1, 1))]
    times = (middles[codes >= 0][:, None] + np.array(shifts)[None, :]).ravel()
    targets = np.zeros((len(times), len(species)), np.uint8)
    for row, middle in enumerate(np.repeat(middles[codes >= 0], len(shifts))):
        near = np.abs(middles - middle) <= config.merge_s
        targets[row, codes[near & (codes >= 0)]] = 1

    n_random = config.negatives_per_call * len(calls) if len(calls) else config.negatives_per_second * duration_s
    candidates = [rng.uniform(0, duration_s, size=4 * round(n_random) + 16)]
    if config.annotated_negatives and len(sounds):
        candidates.insert(0, ((sounds["start_s"] + sounds["end_s"]) / 2).to_numpy(float))
    negatives = [_away_from(times_, starts, ends, config.negative_margin_s) for times_ in candidates]
    negatives[-1] = negatives[-1][: round(n_random)]
    away = np.concatenate(negatives)
    times = np.concatenate([times, away])
    targets = np.concatenate([targets, np.zeros((len(away), len(species)), np.uint8)])
    return WindowTable(np.full(len(times), recording), times, targets)


def _away_from(times: np.ndarray, starts: np.ndarray, ends: np.ndarray, margin: float) -> np.ndarray:
    if not len(starts):
        return times
    near = (times[:, None] > starts[None, :] - margin) & (times[:, None] < ends[None, :] + margin)
    return times[~near.any(axis=1)]


def cut_windows(
    values: np.ndarray, centres: np.ndarray, slices: int, config: WindowsConfig, context: int = 0
) -> np.ndarray:
    """Cut windows from a spectrogram and reduce them to the network's input.

    Parameters
    ----------
    values
        float32 ``[slices, rows]``.
    centres
        int ``[n]``, slice in the middle of each window; what lies outside of the recording is zero.
    slices
        Length of a window in slices.
    context
        Slices to add on either side.

    Returns
    -------
    float32 ``[n, columns, bands, 1]``
    """
    half = slices // 2 + context
    index = np.asarray(centres)[:, None] + np.arange(-half, half)[None, :]
    inside = (index >= 0) & (index < len(values))
    windows = values[np.where(inside, index, 0)]
    windows[~inside] = 0
    return reduce_windows(windows, config)[..., None]


def reduce_windows(windows: np.ndarray, config: WindowsConfig) -> np.ndarray:
    """Reduce ``[n, slices, rows]`` to ``[n, slices / reduce_time, rows / reduce_frequency]``."""
    n, slices, rows = windows.shape
    time, frequency = config.reduce_time, config.reduce_frequency
    rows -= rows % frequency
    windows = windows[:, :, :rows]
    if config.resize == "corners":
        return zoom(windows, (1, 1 / time, 1 / frequency), order=1)
    return windows.reshape(n, slices // time, time, rows // frequency, frequency).mean(axis=(2, 4), dtype=np.float32)


def cut_table(
    table: WindowTable, spectrograms: Sequence[StoredSpectrogram], config: WindowsConfig, context: int = 0
) -> np.ndarray:
    """Cut the windows of ``table``, in its order: float32 ``[n, columns, bands, 1]``."""
    result: np.ndarray | None = None
    for recording in np.unique(table.recording):
        spectrogram = spectrograms[recording]
        rows = np.flatnonzero(table.recording == recording)
        centres = np.array([spectrogram.slice_at(time) for time in table.time_s[rows]])
        cut = cut_windows(spectrogram.values, centres, config.slices(spectrogram.hop_s), config, context)
        if result is None:
            result = np.empty((len(table), *cut.shape[1:]), np.float32)
        result[rows] = cut
    if result is None:
        raise ValueError("cut_table: the table holds no windows")
    return result
