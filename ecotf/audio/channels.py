"""Which channels of a recording are heard: their mean, or one by its number, counted from 1."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ecotf.errors import ConfigError, RecordingError
from ecotf.wording import counted

ChannelChoice = Literal["mix"] | int


def channels_to_read(n_channels: int, choice: ChannelChoice | Literal["each"]) -> list[ChannelChoice]:
    """Turn a choice of channels into the reads that it takes: one, or one for every channel (``"each"``).

    Raises
    ------
    RecordingError
        ``unsupported`` for a channel number that the recording does not have.
    ConfigError
        For a choice that is none of ``"mix"``, ``"each"`` and a number from 1.
    """
    if choice == "mix":
        return ["mix"]
    if choice == "each":
        return list(range(1, n_channels + 1))
    if not isinstance(choice, int) or isinstance(choice, bool) or choice < 1:
        raise ConfigError(f"channel {choice!r}: allowed are mix, each, or a channel's number, counted from 1")
    if choice > n_channels:
        count = counted(n_channels, "channel")
        raise RecordingError(f"channel {choice} was asked for, it has {count}", "unsupported")
    return [choice]


def take_channel(piece: np.ndarray, channel: ChannelChoice) -> np.ndarray:
    """One channel, or the mean of all, of sound ``[frames, channels]``: float32 ``[frames]``."""
    if channel != "mix":
        return np.ascontiguousarray(piece[:, channel - 1])
    if piece.shape[1] == 1:
        return piece[:, 0]
    return piece @ np.full(piece.shape[1], 1 / piece.shape[1], np.float32)
