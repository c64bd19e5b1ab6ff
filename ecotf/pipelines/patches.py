"""Patches of spectrograms: how they are cut, and tables of those to train on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from ecotf._kernels.events import mean_patches
from ecotf.config import Config
from ecotf.pipelines.spectrogram_store import StoredSpectrogram


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
        """Return the patches at ``index``."""
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
