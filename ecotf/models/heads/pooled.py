"""From a feature map to one row of numbers: the poolings that heads share."""

from __future__ import annotations

from typing import Any, Literal

Pool = Literal["mean", "mean_max"]
"""``mean``: over time and frequency. ``mean_max``: the mean over frequency, then maximum plus mean over time."""


def mean_max_over_time(features: Any) -> Any:
    """Mean over frequency; maximum plus mean over time, as PANNs have it: ``(batch, t, f, c) -> (batch, c)``."""
    import keras

    x = keras.ops.mean(features, axis=2)
    return keras.layers.Add()([keras.layers.GlobalMaxPooling1D()(x), keras.layers.GlobalAveragePooling1D()(x)])


def pooled(features: Any, pool: Pool, name: str) -> Any:
    """Pool ``(batch, t, f, c)`` to ``(batch, c)`` in float32; the last layer is called ``name``."""
    import keras

    if pool == "mean":
        return keras.layers.GlobalAveragePooling2D(dtype="float32", name=name)(features)
    return keras.layers.Activation("linear", dtype="float32", name=name)(mean_max_over_time(features))
