"""A model of clips whose sound goes through a frozen embedder; only the head on top is fitted."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from ecotf.features import MelSpectrogram, MelSpectrogramConfig
from ecotf.models.embedders import Embedder
from ecotf.models.embedders.keeping import keep_embedder
from ecotf.models.heads import TableHead

Pool = Literal["embeddings", "scores"]
EMBEDDER, HEAD = "embedder", "head"
"""Folders inside that of a saved model."""
_LEAST = 1e-12


def window_starts(samples: int, window: int, hop: int) -> np.ndarray:
    """Place windows evenly over sound, so that all of it is heard: first samples, int ``[windows]``.

    They are at most ``hop`` apart; the last one ends with the sound.

    Examples
    --------
    >>> window_starts(240_000, 144_000, 144_000)
    array([    0, 96000])
    """
    spare = max(0, samples - window)
    return np.rint(np.linspace(0, spare, 1 + -(-spare // hop))).astype(int)


def fade_around(samples: int, rate: int, listen_s: float) -> np.ndarray:
    """Make factors float32 ``[samples]`` that keep the middle of a window: 1 there, a fade on both sides, 0 beyond.

    A fade is a quarter of ``listen_s`` long, a raised cosine, and lies outside of what is kept.

    Examples
    --------
    >>> fade_around(8, 4, 1.0).round(2).tolist()
    [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 0.5, 0.0]
    """
    half, fade = listen_s * rate / 2, max(1.0, listen_s * rate / 4)
    away = np.abs(np.arange(samples) + 0.5 - samples / 2)
    return (0.5 - 0.5 * np.cos(np.pi * np.clip((half + fade - away) / fade, 0, 1))).astype(np.float32)


@dataclass(frozen=True)
class Frozen:
    """An embedder, and the length of sound that a model made with it answers for.

    Attributes
    ----------
    window_s
        Seconds; at least a window of the embedder's.
    listen_s
        What is kept of each window of the embedder, in its middle (`fade_around`); None keeps all of it.
    gives_frames
        Its answer for a window is also that of a frame, so that windows around short segments make events.
    """

    embedder: Embedder
    window_s: float
    listen_s: float | None = field(default=None, kw_only=True)
    gives_frames: bool = field(default=False, kw_only=True)

    @property
    def sample_rate(self) -> int:
        """Hz; sound is resampled to it."""
        return self.embedder.sample_rate

    @cached_property
    def fade(self) -> np.ndarray | None:
        """The factors of a window's samples, float32 ``[embedder.samples]``; None where all of it is kept."""
        if self.listen_s is None:
            return None
        return fade_around(self.embedder.samples, self.sample_rate, self.listen_s)

    def windows(self, sound: np.ndarray) -> np.ndarray:
        """Cut the embedder's windows ``[n, windows, samples]`` out of sound ``[n, samples]``."""
        starts = window_starts(sound.shape[1], self.embedder.samples, self.embedder.hop_samples)
        cut = np.stack([sound[:, start : start + self.embedder.samples] for start in starts], axis=1)
        return cut if self.fade is None else cut * self.fade

    def embeddings(self, sound: np.ndarray) -> np.ndarray:
        """Embed the windows of sound ``[n, samples]``: float32 ``[n, windows, numbers]``."""
        cut = np.ascontiguousarray(self.windows(np.asarray(sound, np.float32)))
        return self.embedder.embed(cut.reshape(-1, cut.shape[-1])).reshape(*cut.shape[:2], -1)

    def embed(self, sound: np.ndarray) -> np.ndarray:
        """Embed sound ``[n, samples]``: the mean of its windows, float32 ``[n, numbers]``."""
        return self.embeddings(sound).mean(axis=1)

    def with_head(self, head: TableHead, classes: tuple[str, ...], pool: Pool) -> FrozenModel:
        """Return the model with a head that was fitted on the embeddings."""
        return FrozenModel(
            self.embedder, self.window_s, head, classes, pool, listen_s=self.listen_s, gives_frames=self.gives_frames
        )


@dataclass(frozen=True)
class FrozenModel(Frozen):
    """An embedder with a fitted head; see `ecotf.detection.segment_model.SegmentModel`.

    Attributes
    ----------
    pool
        Several windows become one answer as the mean of their ``embeddings``, or of their ``scores``.
    """

    head: TableHead
    classes: tuple[str, ...]
    pool: Pool = "embeddings"

    @property
    def band_hz(self) -> tuple[float, float]:
        """The frequencies that the embedder may hear."""
        return 0.0, self.sample_rate / 2

    @property
    def n_parameters(self) -> int:
        """Numbers that were fitted: those of the head."""
        return self.head.n_parameters

    @cached_property
    def spectrogram(self) -> MelSpectrogram:
        """A spectrogram for people to look at; the embedder has its own."""
        config = MelSpectrogramConfig(
            window_s=0.03, hop_s=0.01, low_hz=50.0, high_hz=self.sample_rate / 2, bands=64, mel_scale="htk"
        )
        return MelSpectrogram(config, self.sample_rate)

    def embed(self, sound: np.ndarray) -> np.ndarray:
        """Embed sound ``[n, samples]`` as the head compares it: projected, where it has learned a projection."""
        rows = super().embed(sound)
        project = getattr(self.head, "embed", None)
        return rows if project is None else np.asarray(project(rows), np.float32)

    def answers(self, sound: np.ndarray) -> dict[str, np.ndarray]:
        """``clip`` ``[n, classes]``: the logits of sound ``[n, samples]``; ``frames`` ``[n, 1, classes]``, if any."""
        clip = self.logits(self.embeddings(sound))
        return {"clip": clip, **({"frames": clip[:, None]} if self.gives_frames else {})}

    def logits(self, embeddings: np.ndarray) -> np.ndarray:
        """Compute logits float32 ``[n, classes]`` from the embeddings of windows ``[n, windows, numbers]``."""
        if self.pool == "embeddings":
            scores = self.head.predict(embeddings.mean(axis=1))
        else:
            each = self.head.predict(embeddings.reshape(-1, embeddings.shape[-1]))
            scores = each.reshape(*embeddings.shape[:2], -1).mean(axis=1)
        likely = np.clip(np.asarray(scores, np.float64), _LEAST, 1 - _LEAST)
        return (np.log(likely) - np.log1p(-likely)).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write the head, and a copy of the embedder, into an existing folder."""
        for name in (HEAD, EMBEDDER):
            (folder / name).mkdir()
        self.head.save(folder / HEAD)
        keep_embedder(self.embedder, folder / EMBEDDER)
