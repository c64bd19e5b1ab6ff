"""Which recordings a training reads and how they are split: the part of a recipe's ``data`` that all tasks share."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from ecotf.audio.recording import ChannelChoice
from ecotf.config import Config
from ecotf.datasets.folds import FoldsConfig


class DataConfig(Config):
    """How recordings are split when the manifest does not say, and which channel is read.

    Attributes
    ----------
    train, valid, test
        Shares of the groups; together 1.
    folds
        Sides by the folds that the manifest names in a column, instead of shares.
    black_list
        A text file of recordings that are not learned from, one name a line (`ecotf.datasets.black_list`). What the
        manifest puts into validation or test stays there.
    channel
        ``mix`` or the number of a channel, counted from 1.
    """

    train: float = Field(0.7, gt=0)
    valid: float = Field(0.15, ge=0)
    test: float = Field(0.15, ge=0)
    folds: FoldsConfig | None = None
    black_list: Path | None = None
    channel: ChannelChoice = "mix"

    @property
    def shares(self) -> dict[str, float]:
        """The share of each side that has one."""
        shares = {"train": self.train, "valid": self.valid, "test": self.test}
        return {side: share for side, share in shares.items() if share}

    @field_validator("channel", mode="before")
    @classmethod
    def _known_channel(cls, channel: Any) -> Any:
        if channel != "mix" and not (isinstance(channel, int) and not isinstance(channel, bool) and channel >= 1):
            raise ValueError(f"{channel!r} is not a channel; allowed: mix, or a channel's number, counted from 1")
        return channel

    @model_validator(mode="after")
    def _shares_of_one(self) -> Self:
        total = self.train + self.valid + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train, valid and test add up to {total:g}; they must add up to 1")
        return self
