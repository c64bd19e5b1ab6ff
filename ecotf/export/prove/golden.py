"""Golden outputs: what a device's self-test must give, with the sound that gives it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.export.prove.recordings import Sound
from ecotf.export.stages.stage import DEFAULT

if TYPE_CHECKING:
    import pandas as pd

SECONDS = 2.0
_WINDOWS = 8


def golden_bytes(
    sound: Sound,
    inputs: Mapping[str, np.ndarray],
    outputs: Mapping[str, np.ndarray],
    found: Mapping[str, pd.DataFrame],
) -> bytes:
    """Make the bytes of ``golden.npz``.

    Parameters
    ----------
    inputs, outputs
        Of the file's signatures in tflite-runtime on the machine that exported it, by ``signature.name``.
    found
        Detections in the sound: ``detections`` with the networks of the file, ``desktop`` with those of the run.
    """
    arrays: dict[str, Any] = {"sound": sound.pcm, "sample_rate_hz": np.array(sound.rate)}
    for name, values in {**inputs, **outputs}.items():
        signature = name.partition(".")[0]
        if signature == "score":
            arrays[name] = values[:_WINDOWS]
        elif signature in ("spectrogram", DEFAULT):
            arrays[name] = values[:1]
    for source, table in found.items():
        for column in ("start_s", "end_s", "low_hz", "high_hz", "score", "detection_score"):
            arrays[f"{source}.{column}"] = table[column].to_numpy(np.float64)
        arrays[f"{source}.label"] = np.array(table["label"].tolist(), dtype="U")
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()
