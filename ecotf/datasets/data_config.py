"""Which recordings a training reads and how they are split: the part of a recipe's ``data`` that all tasks share."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from ecotf.audio.channels import ChannelChoice
from ecotf.config import Config
from ecotf.datasets.folds import FoldsConfig
from ecotf.datasets.labels import NO_EVENT_LABELS, UNNAMED_EVENT_LABELS, labels_that_match, unnamed_among


class DataConfig(Config):
    """How recordings are split when the manifest does not say, and which channel is read.

    Attributes
    ----------
    train, valid, test
        Shares of the groups, or of the species; together 1.
    valid_groups
        In how many groups of the validation side each label is, as far as train keeps as many, where the split is drawn
        by groups. One recording would choose epochs and thresholds otherwise.
    split_by
        What is dealt to the sides. ``group``: each side has recordings of every label, as far as groups allow.
        ``species``: all recordings of a species are on one side, so that a model is chosen and tested on species that
        it has never seen (few-shot learning). A recording with species of two sides is named and left out. Where the
        manifest or ``folds`` give the sides, one species on two sides is refused.
    folds
        Sides by the folds that the manifest names in a column, instead of shares.
    black_list
        A text file of recordings that are not learned from, one name a line (`ecotf.datasets.black_list`). What the
        manifest puts into validation or test stays there.
    channel
        ``mix`` or the number of a channel, counted from 1.
    ignored_labels
        Shell patterns of labels that are annotated but are no event (:mod:`ecotf.datasets.labels`).
    unnamed_labels
        Shell patterns of labels of events whose species is not known.
    """

    train: float = Field(0.7, gt=0)
    valid: float = Field(0.15, ge=0)
    test: float = Field(0.15, ge=0)
    valid_groups: int = Field(1, ge=1)
    split_by: Literal["group", "species"] = "group"
    folds: FoldsConfig | None = None
    black_list: Path | None = None
    channel: ChannelChoice = "mix"
    ignored_labels: tuple[str, ...] = NO_EVENT_LABELS
    unnamed_labels: tuple[str, ...] = UNNAMED_EVENT_LABELS

    @property
    def shares(self) -> dict[str, float]:
        """The share of each side that has one."""
        shares = {"train": self.train, "valid": self.valid, "test": self.test}
        return {side: share for side, share in shares.items() if share}

    def no_species(self, labels: Collection[str]) -> list[str]:
        """List those of ``labels`` that are no species: no event, or one of unknown species."""
        ignored = labels_that_match(labels, self.ignored_labels)
        return [*ignored, *unnamed_among([name for name in labels if name not in ignored], self.unnamed_labels)]

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
