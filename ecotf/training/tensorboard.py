"""The progress of a fit as TensorBoard reads it."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, nan
from pathlib import Path
from typing import Any

_SHOWN = ("learning_rate", "loss", "valid_loss", "padded_cmap", "accuracy", "frame_ap", "onset_ap")


def log_writer(logs: Path | None) -> Any:
    """Open a writer into the folder ``logs``; None where nothing is to be written."""
    if logs is None:
        return None
    import tensorflow as tf

    return tf.summary.create_file_writer(str(logs))


def log_epoch(writer: Any, number: int, row: Mapping[str, Any]) -> None:
    """Write the figures of an epoch, counted from 1."""
    import tensorflow as tf

    with writer.as_default(step=number):
        for name in _SHOWN:
            if isfinite(row.get(name, nan)):
                tf.summary.scalar(name, row[name])
    writer.flush()
