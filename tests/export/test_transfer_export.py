"""A head with its embedder as one file: what the recorder finds with it, and what has no such form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import tensorflow as tf
import yaml
from convert_here import make_here
from tiny_embedder import RATE, SAMPLES, tiny_transfer_run
from tiny_tflite import TinyModel

from ecotf.errors import ConfigError
from ecotf.export.export import ExportJob
from ecotf.export.exportable import plan_of
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.heads import head_function
from ecotf.inference.device_run import DeviceRun
from ecotf.models.heads import HEADS as HEADS_OF
from ecotf.models.heads.logistic import LogisticConfig
from ecotf.models.heads.nearest_mean import NearestMeanConfig
from ecotf.models.heads.ridge import RidgeConfig
from ecotf.models.heads.small_network import SmallNetworkConfig
from ecotf.models.heads.trees import TreesConfig
from ecotf.tasks.base import get_task


def exported(run: Path, tmp_path: Path, **settings) -> tuple[DeviceRun, list[str]]:
    lines: list[str] = []
    exportable = get_task("clips").exportable(get_task("clips").load(run))
    chosen = ExportSettings(rate=RATE, sound="float32", **settings)
    made = make_here(exportable, chosen, ExportJob(seconds=3.0), lines.append)
    assert not made.parity["failures"] and made.parity["front_end"] is None
    (tmp_path / "model.tflite").write_bytes(made.model)
    return DeviceRun(tmp_path / "model.tflite"), lines


HEADS = [
    LogisticConfig(strength=0.01),
    LogisticConfig(strength=0.01, strategy="powerset"),
    SmallNetworkConfig(units=4, epochs=2, strategy="chain"),
    TreesConfig(n_estimators=4, max_depth=2),
    NearestMeanConfig(),
    RidgeConfig(),
    NearestMeanConfig(centred=False, normalised=False),
]


@pytest.mark.parametrize("config", HEADS, ids=str)
def test_a_head_gives_the_same_in_the_graph(config):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(30, 4)).astype(np.float32)
    head = HEADS_OF.build(config, rows, (rows[:, :2] > 0).astype(np.float32), seed=1, threads=1)
    given = np.concatenate([head_function(head)(tf.constant(row[None])) for row in rows])
    np.testing.assert_allclose(given, head.predict(rows), atol=1e-6)


@pytest.mark.parametrize(
    ("head", "settings", "within"),
    [
        (("head={name: logistic, strategy: chain}", "pool=scores"), {"embedding": True}, 1e-5),
        (("inference.segment_s=0.25",), {"precision": "f16"}, 0.02),
        (("head={name: nearest_mean}",), {}, 1e-5),
    ],
    ids=["chain of scores", "f16", "nearest mean"],
)
def test_the_file_gives_what_the_run_gives(head, settings, within, tmp_path):
    run = tiny_transfer_run(tmp_path, *head)
    device, lines = exported(run, tmp_path, **settings)
    assert "the embedder is tiny: free" in lines
    assert ("f16 is the precision of the head; the embedder stays as its author made it" in lines) == bool(
        settings.get("precision")
    )
    sound, _ = soundfile.read(tmp_path / "owl_0.wav", dtype="float32")
    expected, found = (one.scores(sound, RATE) for one in (get_task("clips").load(run), device))
    assert len(found) > 2 and found["label"].tolist() == expected["label"].tolist()
    for column in ("start_s", "end_s", "score", "detection_score"):
        np.testing.assert_allclose(found[column], expected[column], atol=within)


def test_a_saved_model_is_converted(tmp_path):
    class Model(tf.Module):
        def __init__(self) -> None:
            times = np.arange(SAMPLES) / RATE
            waves = [np.sin(2 * np.pi * pitch * times) for pitch in (1000.0, 1001.0, 3000.0, 3001.0)]
            self.kernel = tf.Variable(np.stack(waves, axis=1).astype(np.float32) / 500)

        @tf.function(input_signature=[tf.TensorSpec((None, SAMPLES), tf.float32, name="sound")])
        def embed(self, sound):
            return {"embedding": tf.abs(sound @ self.kernel)}

    model = Model()
    tf.saved_model.save(model, tmp_path / "saved", signatures=model.embed)
    about = {"name": "saved_model", "rate_hz": RATE, "samples": SAMPLES, "embedding": "embedding"}
    (tmp_path / "saved.yaml").write_text(yaml.safe_dump(about))
    run = tiny_transfer_run(tmp_path, f"embedder.model={tmp_path / 'saved'}", "embedder.description=null")
    device, _ = exported(run, tmp_path)
    sound, _ = soundfile.read(tmp_path / "wren_0.wav", dtype="float32")
    expected = get_task("clips").load(run).scores(sound, RATE)
    np.testing.assert_allclose(device.scores(sound, RATE)["score"], expected["score"], atol=1e-5)


def test_what_has_no_form_on_a_recorder_is_one_line(tmp_path):
    run = get_task("clips").load(tiny_transfer_run(tmp_path))
    exportable = get_task("clips").exportable(run)
    with pytest.raises(ConfigError, match="--rate 32000: the embedder hears 16000 Hz; leave --rate out"):
        plan_of(exportable, ExportSettings(rate=32_000))
    inner = tmp_path / "inner"
    inner.mkdir()
    outer = tiny_transfer_run(inner, f"embedder.model={run.path}", "embedder.description=null", "clips.seconds=1.0")
    with pytest.raises(ConfigError, match="as an embedder has no form in one file with a head") as error:
        plan_of(get_task("clips").exportable(get_task("clips").load(outer)), ExportSettings(rate=RATE))
    assert "\n" not in str(error.value)
    odd = TinyModel((1, SAMPLES)).custom("Morlet", "odd").dense(np.ones((2, SAMPLES)), "embedding")
    odd.apply("LOGISTIC", "scores").write(run.path / "model" / "embedder" / "tiny.tflite")
    with pytest.raises(ConfigError, match="needs Morlet, which no recorder's runtime has") as error:
        plan_of(exportable, ExportSettings(rate=RATE))
    assert "\n" not in str(error.value)
