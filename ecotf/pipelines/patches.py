"""Training patches: where they lie, what they are labelled with, and how they are cut from spectrograms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from ecotf._kernels.events import match_intervals, mean_patches, merge_intervals
from ecotf.config import Config
from ecotf.pipelines.spectrogram_store import StoredSpectrogram

if TYPE_CHECKING:
    import pandas as pd


class PatchesConfig(Config):
    """Patches of the spectrogram and how training positions are chosen. All times are real seconds.

    Attributes
    ----------
    width_s
        Length of a patch.
    at
        ``calls``: patches on the annotated calls, and random ones away from them, as published. ``peaks``: patches on
        the peaks that detection looks at; those that match a call are calls, those away from
        calls are not, and a call's further peaks (echoes) are left out.
    match_s
        A peak matches a call when it lies in the call widened by this much, and no other peak does so better.
    reduce_time, reduce_frequency
        Slices and rows that are averaged into one column and band of the network's input.
    resize
        ``mean`` averages; ``corners`` is the published linear interpolation between the patch's corner points.
    shift_s
        Extra positives this much before and after each call; none when empty.
    negatives_per_call
        Negative patches for each call of a recording.
    negatives_per_second
        Negative patches per second of sound, where there are few calls or none.
    negative_margin_s
        Negatives keep this far from every call.
    merge_s
        A patch is labelled with every call whose middle is this near to its own.
    annotated_negatives
        Whether annotated sounds that are no calls (insects, rain) are negatives too. For ``calls``; of ``peaks``, all
        that are away from calls are negatives already.
    """

    width_s: float = Field(0.0232, gt=0)
    at: Literal["calls", "peaks"] = "calls"
    match_s: float = Field(0.005, ge=0)
    reduce_time: int = Field(2, ge=1)
    reduce_frequency: int = Field(2, ge=1)
    resize: Literal["mean", "corners"] = "mean"
    shift_s: tuple[float, ...] = (0.0015,)
    negatives_per_call: float = Field(3.0, ge=0)
    negatives_per_second: float = Field(10.0, ge=0)
    negative_margin_s: float = Field(0.013, ge=0)
    merge_s: float = Field(0.003, ge=0)
    annotated_negatives: bool = True

    def slices(self, nominal_hop_s: float) -> int:
        """Spectrogram slices in a patch: the nearest whole number of columns, and even, so that it has a middle.

        Parameters
        ----------
        nominal_hop_s
            The hop of the recipe, not that of a recording, so that patches are alike at every sample rate.
        """
        unit = 2 * self.reduce_time
        return max(unit, unit * round(self.width_s / nominal_hop_s / unit))


UNNAMED = 2
"""Stands in all of a patch's row of species where there is a call whose species is not known."""
NOT_KNOWN = -1.0
"""A target that teaches nothing."""
_NOT_LEARNED, _UNNAMED_CODE = -1, -2


@dataclass(frozen=True)
class PatchTable:
    """Training patches.

    Attributes
    ----------
    recording
        int ``[n]``, index into a list of spectrograms.
    time_s
        float64 ``[n]``, middle of the patch.
    species
        uint8 ``[n, species]``, 1 for every species that calls there; a row of zeros is not a call, and a row of
        :data:`UNNAMED` is a call whose species is not known.
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

    @property
    def is_unnamed(self) -> np.ndarray:
        """bool ``[n]``: calls whose species is not known."""
        return (self.species == UNNAMED).any(axis=1)

    def targets(self, answers: Literal["call_and_species", "call", "species"]) -> np.ndarray:
        """Make the targets of a head that gives ``answers``: float32 ``[n, scores]``, :data:`NOT_KNOWN` where none is.

        A call of unknown species says that there is a call; what it says about each species is not known.
        """
        call = self.is_call[:, None]
        if answers == "call":
            return np.hstack([~call, call]).astype(np.float32)
        species = np.where(self.species == UNNAMED, np.float32(NOT_KNOWN), self.species.astype(np.float32))
        return species if answers == "species" else np.hstack([~call, species]).astype(np.float32)

    def take(self, index: np.ndarray) -> PatchTable:
        """The patches at ``index``."""
        return PatchTable(self.recording[index], self.time_s[index], self.species[index])

    def joined(self, other: PatchTable) -> PatchTable:
        """These patches followed by ``other``."""
        return PatchTable(
            np.concatenate([self.recording, other.recording]),
            np.concatenate([self.time_s, other.time_s]),
            np.concatenate([self.species, other.species]),
        )


def empty_patches(n_species: int) -> PatchTable:
    """A table of no patches."""
    return PatchTable(np.empty(0, np.int64), np.empty(0), np.empty((0, n_species), np.uint8))


@dataclass(frozen=True)
class Annotations:
    """What is annotated in one recording, in seconds: calls, with the index of their species, -1 for one that is not
    to be learned or -2 for one whose species is not known, and the middles of sounds that are no calls."""

    starts: np.ndarray
    ends: np.ndarray
    codes: np.ndarray
    sounds: np.ndarray

    @property
    def middles(self) -> np.ndarray:
        """Middle of each call."""
        return (self.starts + self.ends) / 2


def annotations_of(
    calls: pd.DataFrame, sounds: pd.DataFrame, species: Sequence[str], unnamed: Sequence[str] = ()
) -> Annotations:
    """Gather the annotations of one recording; calls labelled ``unnamed`` are of no known species."""
    code = dict.fromkeys(unnamed, _UNNAMED_CODE) | {label: index for index, label in enumerate(species)}
    middles = ((sounds["start_s"] + sounds["end_s"]) / 2).to_numpy(float)
    return Annotations(
        calls["start_s"].to_numpy(float),
        calls["end_s"].to_numpy(float),
        np.array([code.get(label, _NOT_LEARNED) for label in calls["label"]], dtype=int),
        middles[np.isfinite(middles)],  # a sound that holds for the whole recording has no end
    )


def patches_at_calls(
    recording: int,
    duration_s: float,
    annotations: Annotations,
    n_species: int,
    config: PatchesConfig,
    rng: np.random.Generator,
) -> PatchTable:
    """The published training patches of one recording: on its calls, and at random away from them.

    Parameters
    ----------
    recording
        Its index in the list of spectrograms.
    """
    starts, ends = annotations.starts, annotations.ends
    known = annotations.middles[annotations.codes != _NOT_LEARNED]
    positive = _shifted(known, config.shift_s)
    targets = _targets(np.repeat(known, len(_shifts(config.shift_s))), annotations, n_species, config.merge_s)
    n_random = round(
        config.negatives_per_call * len(starts) if len(starts) else config.negatives_per_second * duration_s
    )
    drawn = rng.uniform(0, duration_s, size=4 * n_random + 16)
    away = _away_from(drawn, starts, ends, config.negative_margin_s)[:n_random]
    if config.annotated_negatives:
        away = np.concatenate([_away_from(annotations.sounds, starts, ends, config.negative_margin_s), away])
    return _table(recording, positive, targets, away)


def patches_at_peaks(
    recording: int,
    peaks_s: np.ndarray,
    strengths: np.ndarray,
    duration_s: float,
    annotations: Annotations,
    n_species: int,
    config: PatchesConfig,
    rng: np.random.Generator,
) -> PatchTable:
    """Training patches on the peaks of one recording, the very patches that detection will look at.

    Parameters
    ----------
    peaks_s, strengths
        Time and strength of each peak, ``[n]``; a call goes to its strongest peak.
    """
    match = match_peaks(peaks_s, strengths, annotations, config.match_s)
    hit = match >= 0
    without = np.setdiff1d(np.flatnonzero(annotations.codes != _NOT_LEARNED), match)
    learned = label_peaks(peaks_s, match, annotations, n_species, config.merge_s)
    missed = annotations.middles[without]
    calls = np.concatenate([peaks_s[learned.any(axis=1)], missed])
    targets = np.concatenate([learned[learned.any(axis=1)], _targets(missed, annotations, n_species, config.merge_s)])
    shifts = len(_shifts(config.shift_s))
    # A further peak of a call (its echo, its harmonic) is neither: it sounds like the call that it belongs to.
    away = _away_from(peaks_s, annotations.starts, annotations.ends, config.negative_margin_s)
    others = np.flatnonzero(np.isin(peaks_s, away) & ~hit)
    most = round(max(config.negatives_per_call * len(annotations.starts), config.negatives_per_second * duration_s))
    if len(others) > most:
        others = np.sort(rng.choice(others, most, replace=False))
    return _table(recording, _shifted(calls, config.shift_s), np.repeat(targets, shifts, axis=0), peaks_s[others])


def match_peaks(peaks_s: np.ndarray, strengths: np.ndarray, annotations: Annotations, match_s: float) -> np.ndarray:
    """The call that each peak stands for, or -1; a call goes to the strongest peak that lies in it."""
    times, ranks = np.asarray(peaks_s, float), np.asarray(strengths, float)
    return np.asarray(match_intervals(times, ranks, annotations.starts, annotations.ends, match_s))


def label_peaks(
    peaks_s: np.ndarray, match: np.ndarray, annotations: Annotations, n_species: int, merge_s: float
) -> np.ndarray:
    """The species of each peak, uint8 ``[n, species]``: of its call and of calls at the same time, if it has one."""
    targets = np.zeros((len(peaks_s), n_species), np.uint8)
    hit = np.flatnonzero(match >= 0)
    targets[hit] = _targets(peaks_s[hit], annotations, n_species, merge_s)
    own = annotations.codes[match[hit]]
    named = hit[own >= 0]
    targets[named[(targets[named] == UNNAMED).any(axis=1)]] = 0
    targets[named, own[own >= 0]] = 1
    unnamed = hit[own == _UNNAMED_CODE]
    targets[unnamed[~targets[unnamed].any(axis=1)]] = UNNAMED
    return targets


def _shifts(shift_s: Sequence[float]) -> np.ndarray:
    return np.array([0.0, *(sign * shift for shift in shift_s for sign in (-1, 1))])


def _shifted(times: np.ndarray, shift_s: Sequence[float]) -> np.ndarray:
    return (times[:, None] + _shifts(shift_s)[None, :]).ravel()


def _targets(times: np.ndarray, annotations: Annotations, n_species: int, merge_s: float) -> np.ndarray:
    """The species of every call whose middle is near to each time: uint8 ``[n, species]``; a known one comes first."""
    targets = np.zeros((len(times), n_species), np.uint8)
    order = np.argsort(annotations.middles, kind="stable")
    middles, codes = annotations.middles[order], annotations.codes[order]
    first = np.searchsorted(middles, times - merge_s, side="left")
    last = np.searchsorted(middles, times + merge_s, side="right")
    for row, (low, high) in enumerate(zip(first, last, strict=True)):
        near = codes[low:high]
        if (near >= 0).any():
            targets[row, near[near >= 0]] = 1
        elif (near == _UNNAMED_CODE).any():
            targets[row] = UNNAMED
    return targets


def _table(recording: int, positive: np.ndarray, targets: np.ndarray, negative: np.ndarray) -> PatchTable:
    times = np.concatenate([positive, negative])
    targets = np.concatenate([targets, np.zeros((len(negative), targets.shape[1]), np.uint8)])
    return PatchTable(np.full(len(times), recording), times, targets)


def _away_from(times: np.ndarray, starts: np.ndarray, ends: np.ndarray, margin: float) -> np.ndarray:
    if not len(starts):
        return times
    opens, closes = merge_intervals(starts - margin, ends + margin)
    before = np.searchsorted(opens, times, side="left") - 1
    return times[(before < 0) | (times >= closes[before])]


def cut_patches(values: np.ndarray, centres: np.ndarray, slices: int, config: PatchesConfig) -> np.ndarray:
    """Cut patches from a spectrogram and reduce them to the network's input.

    Parameters
    ----------
    values
        float32 ``[slices, rows]``.
    centres
        int ``[n]``, slice in the middle of each patch; what lies outside of the recording is zero.
    slices
        Length of a patch in slices.

    Returns
    -------
    float32 ``[n, columns, bands, 1]``
    """
    if config.resize == "mean":
        values, middles = np.ascontiguousarray(values, np.float32), np.asarray(centres, np.intp)
        return mean_patches(values, middles, slices, config.reduce_time, config.reduce_frequency)[..., None]
    half = slices // 2
    index = np.asarray(centres)[:, None] + np.arange(-half, half)[None, :]
    inside = (index >= 0) & (index < len(values))
    patches = (
        values[np.where(inside, index, 0)] if len(values) else np.zeros((*index.shape, values.shape[1]), np.float32)
    )
    patches[~inside] = 0
    return reduce_patches(patches, config)[..., None]


def reduce_patches(patches: np.ndarray, config: PatchesConfig) -> np.ndarray:
    """Reduce ``[n, slices, rows]`` to ``[n, slices / reduce_time, rows / reduce_frequency]``."""

    from scipy.ndimage import zoom

    n, slices, rows = patches.shape
    time, frequency = config.reduce_time, config.reduce_frequency
    rows -= rows % frequency
    patches = patches[:, :, :rows]
    if config.resize == "corners":
        return zoom(patches, (1, 1 / time, 1 / frequency), order=1)
    return patches.reshape(n, slices // time, time, rows // frequency, frequency).mean(axis=(2, 4), dtype=np.float32)


def cut_table(table: PatchTable, spectrograms: Sequence[StoredSpectrogram], config: PatchesConfig) -> np.ndarray:
    """Cut the patches of ``table``, in its order: float32 ``[n, columns, bands, 1]``."""
    result: np.ndarray | None = None
    for recording in np.unique(table.recording):
        spectrogram = spectrograms[recording]
        rows = np.flatnonzero(table.recording == recording)
        centres = np.array([spectrogram.slice_at(time) for time in table.time_s[rows]])
        cut = cut_patches(spectrogram.values, centres, config.slices(spectrogram.nominal_hop_s), config)
        if result is None:
            result = np.empty((len(table), *cut.shape[1:]), np.float32)
        result[rows] = cut
    if result is None:
        raise ValueError("cut_table: the table holds no patches")
    return result
