"""Where the training patches of a recording lie, and what they are labelled with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ecotf._kernels.events import match_intervals, merge_intervals
from ecotf.pipelines.patches import UNNAMED, PatchesConfig, PatchTable

if TYPE_CHECKING:
    import pandas as pd


_NOT_LEARNED, _UNNAMED_CODE = -1, -2


@dataclass(frozen=True)
class Annotations:
    """The annotations of one recording, in seconds: calls, with the index of their species, -1 for one that is not
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
    """Return the published training patches of one recording: on its calls, and at random away from them.

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
    """Return the call that each peak stands for, or -1; a call goes to the strongest peak that lies in it."""
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
