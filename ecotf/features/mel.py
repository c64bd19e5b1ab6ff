"""Mel scales and the triangular bands made from them."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecotf.features.configs import MelSpectrogramConfig

_HTK = ("htk", "kaldi")
_LINEAR_HZ = 200 / 3  # Slaney: hertz per mel below the knee
_KNEE_HZ, _KNEE_MEL = 1000.0, 15.0
_LOG_STEP = np.log(6.4) / 27


def hz_to_mel(hz: ArrayLike, scale: str) -> NDArray[np.float64]:
    """Hertz to mel on the ``htk`` (or ``kaldi``) or the ``slaney`` scale."""
    hz = np.asarray(hz, np.float64)
    if scale in _HTK:
        return np.asarray(2595 * np.log10(1 + hz / 700))
    above = _KNEE_MEL + np.log(np.maximum(hz, _KNEE_HZ) / _KNEE_HZ) / _LOG_STEP
    return np.where(hz < _KNEE_HZ, hz / _LINEAR_HZ, above)


def mel_to_hz(mel: ArrayLike, scale: str) -> NDArray[np.float64]:
    """Mel to hertz on the ``htk`` (or ``kaldi``) or the ``slaney`` scale."""
    mel = np.asarray(mel, np.float64)
    if scale in _HTK:
        return np.asarray(700 * (10 ** (mel / 2595) - 1))
    above = _KNEE_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _KNEE_MEL) - _KNEE_MEL))
    return np.where(mel < _KNEE_MEL, mel * _LINEAR_HZ, above)


def mel_edges(config: MelSpectrogramConfig) -> NDArray[np.float64]:
    """Return the corners of the triangles in hertz, [bands + 2]: band i rises from i to i + 1 and falls to i + 2."""
    ends = hz_to_mel([config.low_hz, config.high_hz], config.mel_scale)
    return mel_to_hz(np.linspace(ends[0], ends[1], config.bands + 2), config.mel_scale)


def mel_weights(config: MelSpectrogramConfig, bins_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much of each frequency bin goes into each band.

    Parameters
    ----------
    bins_hz
        [n_bins], ascending.

    Returns
    -------
    float64 [bands, n_bins]
        A band narrower than the bins are apart may hold none; a warning names such bands.
    """
    edges = mel_edges(config)
    if config.mel_scale == "kaldi":
        weights = _triangles(hz_to_mel(edges, "kaldi"), hz_to_mel(bins_hz, "kaldi"))
    else:
        weights = _triangles(edges, bins_hz)
    if config.band_norm == "slaney":
        weights *= 2 / (edges[2:] - edges[:-2])[:, None]
    empty = np.flatnonzero(weights.max(axis=1) == 0)
    if len(empty):
        named = ", ".join(f"{i} ({edges[i]:.0f}-{edges[i + 2]:.0f} Hz)" for i in empty[:5])
        more = f" and {len(empty) - 5} more" if len(empty) > 5 else ""
        warnings.warn(
            f"{len(empty)} of {config.bands} mel bands hold no frequency bin and stay empty: band {named}{more}; "
            "take fewer bands or a longer window_s",
            stacklevel=2,
        )
    return weights


def _triangles(edges: NDArray[np.float64], bins: NDArray[np.float64]) -> NDArray[np.float64]:
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    return np.maximum(0, np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)))
