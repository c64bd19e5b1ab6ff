"""The check that everything which takes a finished spectrogram shares."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def checked_frames(values: NDArray[Any]) -> NDArray[np.float32]:
    """``values`` as contiguous float32 [n_frames, n_rows] of finite numbers; ValueError if they are not that."""
    values = np.asarray(values)
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.floating):
        raise ValueError(f"values of {values.dtype} {values.shape}: expected a spectrogram, float32 [n_frames, n_rows]")
    values = np.ascontiguousarray(values, np.float32)
    if not np.isfinite(values).all():
        frame, row = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(f"frame {frame}, row {row} is {values[frame, row]}: expected finite numbers")
    return values
