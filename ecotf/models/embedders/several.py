"""Embedders side by side: their embeddings of the same sound, one behind the other."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ecotf.audio.resample import resample
from ecotf.config import Config
from ecotf.errors import ConfigError
from ecotf.models.embedders.base import EMBEDDERS, Embedder, EmbedderConfig, build_embedder, find_config
from ecotf.models.embedders.described_embedder import check_windows


class Member(Config):
    """One of the embedders, as `ecotf.models.embedders.open_embedder` takes it.

    Attributes
    ----------
    model
        Its file or folder; relative to the description that names it.
    description
        One that comes with ecotf, or a ``.yaml``; a run needs none, nor does a model that has it beside it.
    """

    model: Path
    description: str | None = None

    @property
    def config(self) -> EmbedderConfig:
        """Its own description; raises `ConfigError`."""
        return find_config(self.model) if self.description is None else find_config(self.description, self.model)


class SeveralConfig(EmbedderConfig):
    """Two embedders or more, which err on different sounds.

    Attributes
    ----------
    members
        The embedders. A window is as long as the longest of theirs; one with shorter windows embeds several in it, and
        their mean is taken.
    """

    described: ClassVar[bool] = False
    has_model: ClassVar[bool] = False

    name: Literal["several"] = "several"
    members: tuple[Member, ...] = Field(min_length=2)

    @property
    def window_s(self) -> float | None:
        """The longest window of a member, in seconds; None where one is not known before its model is opened."""
        each = [member.config.window_s for member in self.members]
        return None if None in each else max(seconds for seconds in each if seconds is not None)

    def located(self, model: Path, folder: Path) -> SeveralConfig:
        """Return it with full paths; ``model`` is the description itself."""
        members = []
        for member in self.members:
            beside = folder / (member.description or "")
            description = str(beside.resolve()) if beside.is_file() else member.description
            members.append(Member(model=(folder / member.model).resolve(), description=description))
        return self.model_copy(update={"model": model.resolve(), "members": tuple(members)})


@EMBEDDERS.register(SeveralConfig)
def build_several(config: SeveralConfig) -> Embedder:
    """Open all members; raises `ConfigError`."""
    return SeveralEmbedder(config)


class SeveralEmbedder:
    """Embedders side by side; see `ecotf.models.embedders.base.Embedder`."""

    def __init__(self, config: SeveralConfig) -> None:
        self.config: EmbedderConfig = config
        self.members = [build_embedder(member.config) for member in config.members]
        self.threads = len(os.sched_getaffinity(0))
        self.sample_rate = max(member.sample_rate for member in self.members)
        seconds = max(member.samples / member.sample_rate for member in self.members)
        self.samples = round(seconds * self.sample_rate)
        self.hop_samples = self.samples if config.hop_s is None else max(1, round(config.hop_s * self.sample_rate))
        self.numbers = sum(member.numbers for member in self.members)
        self.classes: tuple[str, ...] = ()
        self.title = config.title or " and ".join(member.title for member in self.members)
        licences = {member.title: member.licence or "licence unknown" for member in self.members}
        self.licence = config.licence or "; ".join(f"{title}: {licence}" for title, licence in licences.items())
        kept = " ".join(member.digest for member in self.members)
        self.digest = hashlib.blake2b(kept.encode(), digest_size=16).hexdigest()

    def embed(self, windows: np.ndarray) -> np.ndarray:
        """Embed windows ``[n, samples]``: float32 ``[n, numbers]``, the members' numbers one behind the other."""
        windows = check_windows(windows, self.samples, self.title)
        if not len(windows):
            return np.empty((0, self.numbers), np.float32)
        return np.concatenate([self._of(member, windows) for member in self.members], axis=1)

    def scores(self, windows: np.ndarray) -> np.ndarray:
        """Refuse: each member has scores of its own (`ConfigError`)."""
        raise ConfigError(f"{self.title}: several embedders have no scores in common; ask one of them")

    def _of(self, member: Embedder, windows: np.ndarray) -> np.ndarray:
        from ecotf.models.frozen import Frozen

        member.threads = self.threads
        sounds = np.stack([resample(window, self.sample_rate, member.sample_rate) for window in windows])
        short = member.samples - sounds.shape[1]  # resampling rounds
        return Frozen(member, 0.0).embed(np.pad(sounds, ((0, 0), (0, max(0, short)))))
