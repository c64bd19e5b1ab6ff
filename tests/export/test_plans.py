"""Every family of bat models as stages, and the profile of BirdNET-Go, in the runtime of a device."""

from __future__ import annotations

import numpy as np
import pytest
from convert_here import convert_here
from tflite_runtime.interpreter import Interpreter

from ecotf.errors import ConfigError
from ecotf.export.convert.chain import chain_stages
from ecotf.export.exportable import plan_of
from ecotf.export.prove.recordings import simulated
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.birdnet_go import label_text, scores_of
from ecotf.tasks.calls.export import CallExport

CNN2 = tuple(f"networks.{n}.backbone.{key}" for n in (0, 1) for key in ("filters=3", "dense_units=6", "dense_layers=1"))
BIRDS = (
    "front_end.window_s=0.02", "front_end.hop_s=0.01", "front_end.low_hz=500", "front_end.high_hz=15000",
    "front_end.block_s=0.5", "patches.width_s=3.0", "patches.reduce_time=4", "patches.reduce_frequency=4",
    "patches.at=calls", "detection.scoring.at=grid", "networks.0.backbone.filters=4",
    "networks.0.backbone.dense_units=6",
)  # fmt: skip


def in_the_runtime(run, settings):
    """What each signature gives for its examples, and what is expected."""
    heard = simulated(settings.rate, n=2, seconds=3.5)
    examples = CallExport(run).examples(settings, heard)
    plan = plan_of(CallExport(run), settings)
    content = chain_stages(convert_here(plan.stages, "f32", None, None), plan.signatures)
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    given = {}
    for signature in plan.signatures:
        runner = interpreter.get_signature_runner(signature)
        inputs = {name: examples.inputs[f"{signature}.{name}"][:20] for name in runner.get_input_details()}
        rows = [runner(**{k: v[i : i + 1] for k, v in inputs.items()}) for i in range(len(next(iter(inputs.values()))))]
        given |= {f"{signature}.{name}": np.concatenate([row[name] for row in rows]) for name in rows[0]}
    return plan, given, examples.expected


def test_a_cascade_takes_its_species_from_the_second_network(make_run):
    run = make_run("bats/cnn2", CNN2)
    assert run.detector.is_cascade
    plan, given, expected = in_the_runtime(run, ExportSettings(rate=250_000, sound="float32", embedding=True))
    assert [stage.name for stage in plan.stages] == ["spectrogram", "strongest", "network"]
    assert plan.facts["cascade"] and not plan.facts["measures"]
    for name in ("spectrogram.frames", "serving_default.scores", "score.scores", "score.embedding"):
        tolerance = 2e-3 if name == "spectrogram.frames" else 1e-5
        np.testing.assert_allclose(given[name], expected[name][: len(given[name])], atol=tolerance)


def test_the_published_way_scores_the_window_in_the_middle(make_run):
    overrides = ("patches.at=calls", "detection.scoring.at=grid", "patches.resize=corners", "mining.rounds=0")
    run = make_run("bats/cnn8", (*overrides, "networks.0.backbone.filters=3", "networks.0.backbone.dense_units=6"))
    plan, given, expected = in_the_runtime(run, ExportSettings(rate=384_000))
    assert plan.kind == "patches" and list(plan.signatures) == ["serving_default"]
    np.testing.assert_allclose(given["serving_default.scores"], expected["serving_default.scores"][:20], atol=1e-5)


def test_three_seconds_at_48_khz_are_a_model_of_birdnet_go(make_run):
    run = make_run("bats/cnn8", BIRDS)
    settings = ExportSettings(rate=48_000, sound="float32", profile="birdnet-go")
    plan, given, expected = in_the_runtime(run, settings)
    assert plan.stages[0].inputs["sound"].shape == (1, 144_000)
    assert list(given) == ["serving_default.logits"]
    logits = given["serving_default.logits"]
    assert logits.shape[1] == len(label_text(run.detector.species).splitlines()) == 2
    np.testing.assert_allclose(scores_of(logits), expected["serving_default.scores"][:20, 1:], atol=1e-5)


@pytest.mark.parametrize("setting", ["front_end.centred=true", "front_end.scale=pcen"])
def test_frames_that_hang_on_the_sound_around_them_are_refused(make_run, setting):
    run = make_run("bats/cnn8", (setting, "networks.0.backbone.filters=3"))
    with pytest.raises(ConfigError, match=rf"{setting.partition('=')[0]} = .*: a recorder takes each frame alone"):
        plan_of(CallExport(run), ExportSettings())


def test_labels_of_birdnet_go():
    assert label_text(["Parus major_Great Tit", "Strix aluco"]) == "Parus major_Great Tit\nStrix aluco_Strix aluco\n"


def test_a_bat_model_is_none_of_birdnet_go(field, make_run):
    settings = ExportSettings(rate=256_000, sound="float32", profile="birdnet-go")
    with pytest.raises(ConfigError, match=r"3 s of sound at 48 kHz; this one takes single peaks at 256000 Hz"):
        plan_of(CallExport(field), settings)
    birds = make_run("bats/cnn8", BIRDS)
    with pytest.raises(ConfigError, match="float32 samples"):
        plan_of(CallExport(birds), settings.model_copy(update={"rate": 48_000, "sound": "int16"}))
