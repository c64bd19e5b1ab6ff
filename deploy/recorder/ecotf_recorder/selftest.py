"""``selftest``: whether this board gives what the desktop gave when the model was exported."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecotf_recorder.errors import ModelError
from ecotf_recorder.model import DeviceModel, member
from ecotf_recorder.scoring.held import Detection
from ecotf_recorder.scoring.opening import open_stream

# A board adds numbers in another order; a network of integers may round one step further.
_SCORE = {"f32": 1e-3, "f16": 2e-3, "dynamic": 0.03, "int8": 0.03}
_LEVEL = 0.05  # units of the spectrogram, on average; a wrong operator is off by many
_STEPS = 1.01
_MOST_BYTES = 64 << 20


def selftest(model: DeviceModel) -> str:
    """Run the sound and the patches that the model carries; returns one line of figures.

    Raises
    ------
    ModelError
        Something does not come out as it did at the export; says what, and by how much.
    """
    path = model.path
    try:
        golden = _arrays(member(path, "golden.npz"))
        return _compared(model, golden)
    except KeyError as error:
        raise ModelError(f"{path}: its golden.npz lacks {error}") from None
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path}: its golden.npz cannot be read ({error})") from None
    except ModelError as error:
        raise ModelError(str(error) if str(path) in str(error) else f"{path}: {error}") from None


def _arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` file, unless they would fill the memory."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(info.file_size for info in archive.infolist())
    if size > _MOST_BYTES:
        raise ValueError(f"{size:,} bytes; allowed: {_MOST_BYTES:,}")
    return dict(np.load(io.BytesIO(content)).items())


def _compared(model: DeviceModel, golden: Mapping[str, NDArray[Any]]) -> str:
    facts = model.facts
    tolerance = _SCORE.get(facts.precision, 0.03)
    sound = golden["sound"]
    worst = max(_worst(model, signature, golden) for signature in model.signatures)
    if not worst <= tolerance:
        raise ModelError(f"a score is off by {worst:.3g}; allowed is {tolerance:g}")
    began = perf_counter()
    stream = open_stream(model)
    found = stream.push(sound) + stream.finish()
    factor = len(sound) / facts.sample_rate_hz / (perf_counter() - began)
    n = _check_detections(found, golden, model, tolerance)
    return (
        f"ok: {n} detections as exported, scores within {worst:.1e}, {factor:.1f} times real time ({model.runtime}), "
        f"model {model.id}"
    )


def _worst(model: DeviceModel, signature: str, golden: Mapping[str, NDArray[Any]]) -> float:
    """The greatest difference of a score; frames of a spectrogram are compared on average, as they have no limits."""
    kept = {name: arrays for name, arrays in golden.items() if name.startswith(f"{signature}.")}
    if not kept:
        raise KeyError(signature)
    worst = 0.0
    for at in range(min(map(len, kept.values()))):
        given = model.run(signature, {name: arrays[at : at + 1] for name, arrays in kept.items()})
        if "scores" in given:
            worst = max(worst, float(np.abs(given["scores"] - golden[f"{signature}.scores"][at]).max()))
        else:
            level = float(np.abs(given["frames"][0] - golden[f"{signature}.frames"][at]).mean())
            if not level <= _LEVEL:
                raise ModelError(f"the spectrogram is off by {level:.3g} on average; allowed is {_LEVEL:g}")
    return worst


def _check_detections(
    found: list[Detection], golden: Mapping[str, NDArray[Any]], model: DeviceModel, tolerance: float
) -> int:
    """Every detection has its like; one whose score is as near to its threshold as rounding reaches may lack it."""
    names = Detection._fields
    expected = [Detection(*row) for row in zip(*(golden[f"detections.{name}"].tolist() for name in names), strict=True)]
    facts = model.facts
    slack_s, slack_hz = _STEPS * facts.step_s, facts.edge_hz
    left = list(found)
    alone = []
    for one in expected:
        same = [
            other for other in left
            if other.label == one.label and abs(other.start_s - one.start_s) < slack_s
            and abs(other.end_s - one.end_s) < slack_s and abs(other.score - one.score) <= tolerance
            and max(abs(other.low_hz - one.low_hz), abs(other.high_hz - one.high_hz)) <= slack_hz
        ]  # fmt: skip
        if same:
            left.remove(same[0])
        else:
            alone.append(one)
    thresholds = model.facts.thresholds
    for one in [*alone, *left]:
        label = one.label if one.label in thresholds else "call"
        if abs(one.score - thresholds.get(label, 0.0)) > tolerance:
            what = "is missing" if one in alone else "is new"
            raise ModelError(f"the detection {one.label} at {one.start_s:.4f} s (score {one.score:.4f}) {what}")
    return len(expected)
