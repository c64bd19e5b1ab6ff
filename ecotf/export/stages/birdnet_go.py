"""The profile of a custom model for BirdNET-Go.

As its model code reads it (github.com/tphakala/birdnet-go, internal/birdnet): the first input is float32 [1, 144000],
three seconds at 48 kHz; the first output is float32 with as many numbers as the label file has lines; it takes them for
logits and puts a sigmoid with the user's sensitivity behind them. A label is ``Scientific name_Common name``. The files
are named in its settings as birdnet.modelpath and birdnet.labelpath.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ecotf.errors import ConfigError
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.stage import DEFAULT, ExportPlan, Signature, Stage, TensorKind

RATE_HZ, SAMPLES = 48_000, 144_000
LABELS_NAME = "labels.txt"
_LEAST = 1e-7  # a probability nearer to 0 or 1 has no logit that float32 can hold


def birdnet_go(plan: ExportPlan, settings: ExportSettings) -> ExportPlan:
    """Return the same model with the one signature that BirdNET-Go runs.

    Raises
    ------
    ConfigError
        The model does not listen to three seconds at 48 kHz.
    """
    sound = next((stage.inputs["sound"] for stage in plan.stages if "sound" in stage.inputs), None)
    alone = len(plan.signatures) == 1  # else a recorder does something between them
    if not alone or settings.rate != RATE_HZ or sound is None or sound.shape != (1, SAMPLES):
        taken = "single peaks" if not alone or sound is None else f"{sound.shape[1] / settings.rate:g} s"
        raise ConfigError(
            f"--profile birdnet-go: BirdNET-Go gives a model 3 s of sound at 48 kHz; this one takes {taken} at "
            f"{settings.rate} Hz, so it cannot run there"
        )
    if settings.sound != "float32":
        raise ConfigError(
            "--profile birdnet-go: BirdNET-Go gives float32 samples; leave --input out or set it to float32"
        )
    if settings.embedding:
        raise ConfigError("--profile birdnet-go: BirdNET-Go takes scores alone; leave --embedding out")
    first = plan.first_class  # "not a call" is no label there
    n_scores = first + len(plan.facts["species"])
    stage = Stage("logits", lambda scores: _logits(scores[:, first:]), {"scores": TensorKind((1, n_scores))})
    signature = Signature((*plan.signatures[DEFAULT].stages, "logits"), ("logits",))
    return replace(plan, stages=(*plan.stages, stage), signatures={DEFAULT: signature})


def _logits(scores: Any) -> dict[str, Any]:
    """Logits of probabilities."""
    import tensorflow as tf

    likely = tf.clip_by_value(scores, _LEAST, 1 - _LEAST)
    return {"logits": tf.math.log(likely / (1 - likely))}


def scores_of(logits: np.ndarray) -> np.ndarray:
    """Compute the scores that BirdNET-Go makes of logits at sensitivity 1."""
    return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))), np.float32)


def label_text(species: Sequence[str]) -> str:
    """Write the label file; a species without a common name is called by its scientific one."""
    return "".join(f"{name if '_' in name else f'{name}_{name}'}\n" for name in species)
