"""What a device model says about itself: ``model.json``, read strictly, every number resolved for its sample rate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecotf_recorder.errors import ModelError
from ecotf_recorder.scoring.block import DENOISE
from ecotf_recorder.scoring.boxes import BoxSettings
from ecotf_recorder.scoring.pulses import PulseSettings
from ecotf_recorder.scoring.windows import RESIZE, WindowSettings

FORMAT = 1


@dataclass(frozen=True)
class FrontEndFacts:
    """How the ``spectrogram`` signature is fed, and what is done with its frames.

    Attributes
    ----------
    hop, n_window
        Samples from one frame to the next, and in each.
    chunk_frames, chunk_samples
        What one call takes and gives.
    block_frames
        Denoising and smoothing are done over consecutive blocks of this length.
    taps
        The right half of the smoothing kernel, its middle first.
    """

    hop: int
    n_window: int
    hop_s: float
    offset_s: float
    rows: int
    frequencies_hz: NDArray[np.float64]
    chunk_frames: int
    chunk_samples: int
    block_frames: int
    denoise: str
    mask_level: float
    taps: NDArray[np.float32]


@dataclass(frozen=True)
class DetectionFacts:
    """From scores to candidates, as the run was trained: at ``pulses`` or on a ``grid``."""

    at: str
    stride_s: float
    smooth_s: float
    separation_s: float
    floor: float
    box: BoxSettings


@dataclass(frozen=True)
class ModelFacts:
    """Everything that a recorder needs to know of a model.

    Attributes
    ----------
    takes
        ``int16`` or ``float32``: the samples of the signatures that take sound.
    window_s
        A shorter recording has no answer.
    """

    name: str
    run: str
    precision: str
    kind: str
    sample_rate_hz: int
    takes: str
    species: tuple[str, ...]
    thresholds: dict[str, float]
    unnamed: bool
    cascade: bool
    measures: bool
    window_s: float
    front_end: FrontEndFacts
    pulses: PulseSettings
    windows: WindowSettings
    detection: DetectionFacts


def read_facts(text: str | bytes) -> ModelFacts:
    """Read ``model.json``.

    Raises
    ------
    ModelError
        It is not JSON, of another format, or lacks something; says what.
    """
    try:
        facts = json.loads(text)
    except ValueError:
        raise ModelError("its model.json is not JSON") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        found = facts.get("format") if isinstance(facts, dict) else None
        raise ModelError(f"its model.json is of format {found}; this recorder reads format {FORMAT}")
    if facts.get("kind") != "pulses":
        raise ModelError(f"it is a model of kind {facts.get('kind')!r}; this recorder runs kind 'pulses'")
    try:
        return _facts(facts)
    except KeyError as error:
        raise ModelError(f"its model.json lacks {error}") from None
    except (TypeError, ValueError) as error:
        raise ModelError(f"its model.json cannot be used ({error})") from None


def _facts(facts: Mapping[str, Any]) -> ModelFacts:
    front_end, windows = _front_end(facts["front_end"]), facts["windows"]
    at = facts["detection"]["scoring"]
    detection = DetectionFacts(
        _one_of(at["at"], ("pulses", "grid"), "detection.scoring.at"),
        float(at["stride_s"]),
        float(facts["detection"]["smooth_s"]),
        float(facts["detection"]["separation_s"]),
        float(facts["detection"]["floor"]),
        BoxSettings.read(facts["detection"]["box"]),
    )
    made = WindowSettings.read(windows)
    _one_of(made.resize, RESIZE, "windows.resize")
    return ModelFacts(
        str(facts["name"]),
        str(facts["run"]),
        str(facts["precision"]),
        str(facts["kind"]),
        int(facts["sample_rate_hz"]),
        _one_of(facts["input"], ("int16", "float32"), "input"),
        tuple(map(str, facts["species"])),
        {str(label): float(level) for label, level in facts["thresholds"].items()},
        bool(facts["unnamed"]),
        bool(facts["cascade"]),
        bool(facts["measures"]),
        float(windows.get("width_s", made.slices * front_end.hop_s)),
        front_end,
        PulseSettings.read(facts["pulses"]),
        made,
        detection,
    )


def _front_end(facts: Mapping[str, Any]) -> FrontEndFacts:
    counts = {
        name: int(facts[name]) for name in ("hop", "n_window", "rows", "chunk_frames", "chunk_samples", "block_frames")
    }
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"front_end.{name} = {count}")
    frequencies = np.asarray(facts["frequencies_hz"], np.float64)
    if len(frequencies) != counts["rows"]:
        raise ValueError(f"front_end has {counts['rows']} rows and {len(frequencies)} frequencies_hz")
    if counts["chunk_samples"] != (counts["chunk_frames"] - 1) * counts["hop"] + counts["n_window"]:
        raise ValueError("front_end.chunk_samples is not (chunk_frames - 1) * hop + n_window")
    return FrontEndFacts(
        hop_s=float(facts["hop_s"]),
        offset_s=float(facts["offset_s"]),
        frequencies_hz=frequencies,
        denoise=_one_of(facts["denoise"], DENOISE, "front_end.denoise"),
        mask_level=float(facts["mask_level"]),
        taps=np.asarray(facts["smoothing"], np.float32),
        **counts,
    )


def _one_of(value: Any, allowed: tuple[str, ...], name: str) -> str:
    if value not in allowed:
        raise ValueError(f"{name} = {value!r}; allowed: {', '.join(allowed)}")
    return str(value)
