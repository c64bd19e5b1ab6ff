"""Every head of feature maps exports as it says of itself, and gives on a device what it gives here."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from convert_here import convert_here
from tflite_runtime.interpreter import Interpreter

from ecotf.detection.segments import SegmentsConfig, score_windows
from ecotf.errors import ConfigError
from ecotf.export.convert.chain import chain_stages
from ecotf.export.convert.converter import refuse_recurrent
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.stage import DEFAULT, Signature, Stage
from ecotf.export.stages.tagger import clip_stages
from ecotf.features import FRONT_ENDS
from ecotf.features.image import ImageConfig
from ecotf.models.heads import HEADS
from ecotf.models.image_network import ClipNetworkConfig
from ecotf.models.tagger import ClipModel, build_clip_model

RATE = 16_000
SMALL = {"name": "small", "stem": 4, "filters": [4, 4, 8], "blocks": [1, 1, 1], "expand": 1, "features": 8}
LESS = {
    "units": 4,
    "filters": 4,
    "samples": 2,
    "hidden": 8,
    "onsets": True,
}  # what of these a head knows keeps it small
OF_IMAGES = [entry.name for entry in HEADS if entry.config_class.takes == "features"]


# After a front end inside the network, which halves frames and bands.
AFTER = {"name": "cnn6", "width": 0.0625, "first_block": False}
IN_GRAPH = [entry.name for entry in FRONT_ENDS if entry.config_class.in_graph]


def tiny_model(head: str, front_end: str = "mel_spectrogram") -> ClipModel:
    """An untrained model with this head, whose answers differ between sounds."""
    known = HEADS[head].config_class.model_fields
    config = {"name": head, **{key: value for key, value in LESS.items() if key in known}}
    inside = FRONT_ENDS[front_end].config_class.in_graph
    network = ClipNetworkConfig.model_validate({"backbone": AFTER if inside else SMALL, "head": config})
    keras.utils.set_random_seed(3)
    values = {"name": front_end, "window_s": 0.032, "hop_s": 0.01, "bands": 32, "low_hz": 200, "high_hz": 7000}
    values |= {"hop_s": 0.02, "width": 0.0625} if inside else {}
    front_end = FRONT_ENDS[front_end].config_class.model_validate(values)
    model = build_clip_model(network, ("owl", "wren"), front_end, ImageConfig(), RATE, 1.0, "sigmoid", pretrained=False)
    for weight in model.network.model.weights:
        if "kernel" in weight.path:
            weight.assign(2 * weight.numpy())
    return model


SHARED = ("image", "backbone")


@pytest.fixture(scope="module")
def converted() -> dict[tuple[Any, ...], bytes]:
    """The stages that are the same for every head, converted once."""
    return {}


def key_of(stage: Stage, front_end: str) -> tuple[Any, ...]:
    """What of a stage is not the same for every head: its front end, shapes and weights."""
    weights = (weight for model in stage.models for weight in model.get_weights())
    return front_end, stage.name, tuple(stage.inputs.items()), tuple(weight.tobytes() for weight in weights)


@pytest.mark.parametrize(
    ("head", "front_end"), [*((head, "mel_spectrogram") for head in OF_IMAGES), *(("panns", name) for name in IN_GRAPH)]
)
def test_a_head_gives_on_a_device_what_it_gives_here(head, front_end, converted):
    model, segments = tiny_model(head, front_end), SegmentsConfig(segment_s=1.0)
    config = model.network.config
    stages = clip_stages(model, config, segments, ExportSettings(rate=RATE, sound="float32", embedding=True))
    assert any(stage.name == "front_end" for stage in stages) == model.front_end.in_graph
    gives = config.head.gives_frames
    assert ("attention" in stages[-1].inputs) == gives
    recurrent = config.head.recurrent
    assert any(stage.name == "pool" for stage in stages) != recurrent
    with pytest.raises(ConfigError, match="cannot be quantised while it is a loop") if recurrent else nullcontext():
        refuse_recurrent(stages, "int8")
    outputs = ("scores", "frames", "embedding") if gives else ("scores", "embedding")
    signatures = {DEFAULT: Signature(tuple(stage.name for stage in stages), outputs)}
    keys = {stage.name: key_of(stage, front_end) for stage in stages if stage.name in SHARED}
    kept = {name: converted[key] for name, key in keys.items() if key in converted}
    made = kept | convert_here([stage for stage in stages if stage.name not in kept], "f32", Path(), None)
    converted.update({key: made[name] for name, key in keys.items()})
    in_order = {stage.name: made[stage.name] for stage in stages}
    interpreter = Interpreter(model_content=chain_stages(in_order, signatures))
    interpreter.allocate_tensors()
    run = interpreter.get_signature_runner()
    sounds = 0.1 * np.random.default_rng(1).standard_normal((3, RATE)).astype(np.float32)
    given = [run(sound=sound[None]) for sound in sounds]
    scores, frames, _ = score_windows(model, segments, sounds)
    np.testing.assert_allclose(np.concatenate([one["scores"] for one in given]), sigmoid(scores), atol=2e-5)
    if config.head.embedding_layer is not None:
        embedded = np.concatenate([one["embedding"] for one in given])
        np.testing.assert_allclose(embedded, model.embed(sounds), rtol=1e-4, atol=1e-5)
    assert (frames is not None) == gives
    if frames is not None:
        np.testing.assert_allclose(np.concatenate([one["frames"] for one in given]), sigmoid(frames), atol=2e-5)


def test_a_finder_that_reads_no_onsets_leaves_them_out_of_the_file():
    model, segments = tiny_model("events"), SegmentsConfig(segment_s=1.0)
    kept, left = (
        clip_stages(model, model.network.config, segments, ExportSettings(rate=RATE, sound="float32"), onsets)
        for onsets in (True, False)
    )
    shapes = [stages[-1].inputs["frame_logits"].shape[-1] for stages in (kept, left)]
    assert shapes == [4 * len(model.classes), len(model.classes)]
    sizes = [
        sum(weight.size for layers in stages[-2].models for weight in layers.get_weights()) for stages in (kept, left)
    ]
    assert sizes[1] < sizes[0]
    pooled = np.random.default_rng(1).standard_normal((1, *kept[-2].inputs["pooled"].shape[1:])).astype(np.float32)
    whole, part = (np.asarray(stages[-2].function(pooled=pooled)["frame_logits"]) for stages in (kept, left))
    np.testing.assert_array_equal(whole[..., : len(model.classes)], part)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.astype(np.float64)))
