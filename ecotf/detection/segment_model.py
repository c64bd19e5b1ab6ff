"""The contract of a model that answers for segments: a network of clips, or a frozen embedder with a head."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from ecotf.features import MelSpectrogram


class SegmentModel(Protocol):
    """A model that answers for segments.

    Attributes
    ----------
    sample_rate
        Hz; sound is resampled to it.
    window_s
        Length of the sound that it answers for, in seconds.
    band_hz
        The lowest and the highest frequency that it hears.
    n_parameters
        Numbers that were fitted.
    spectrogram
        Of its sound: what a network sees, or what people look at.
    """

    @property
    def classes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def sample_rate(self) -> int: ...  # noqa: D102
    @property
    def window_s(self) -> float: ...  # noqa: D102
    @property
    def band_hz(self) -> tuple[float, float]: ...  # noqa: D102
    @property
    def n_parameters(self) -> int: ...  # noqa: D102

    @property
    def spectrogram(self) -> MelSpectrogram: ...  # noqa: D102

    def answers(self, sound: np.ndarray) -> dict[str, np.ndarray]:
        """Compute logits of sound ``[n, samples]``.

        ``clip`` ``[n, classes]`` and, of some models, ``frames`` ``[n, t, classes]``.
        """

    def embed(self, sound: np.ndarray) -> np.ndarray:
        """Embed sound ``[n, samples]``: float32 ``[n, numbers]``."""

    def save(self, folder: Path) -> None:
        """Write what a run must keep of it into an existing folder."""
