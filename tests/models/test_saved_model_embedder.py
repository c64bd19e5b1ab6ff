"""A SavedModel of anybody: a line for each way in which it does not fit its description."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecotf.errors import ConfigError
from ecotf.models.embedders import build_embedder, open_embedder
from ecotf.models.embedders.saved_model import SavedModelConfig

FACTS = {"rate_hz": 8000, "samples": 16, "embedding": "embedding"}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, 16), tf.float32, "inputs")])
    def serve(inputs):
        return {"embedding": inputs[:, :3], "map": inputs[:, None] * inputs[..., None]}

    module = tf.Module()
    module.serve = serve
    folder = tmp_path_factory.mktemp("saved") / "tiny"
    tf.saved_model.save(module, str(folder), {"serving_default": serve})
    return folder


def test_the_samples_are_brought_to_the_size_that_is_asked_for(model):
    windows = np.random.default_rng(2).uniform(-1, 1, (2, 16)).astype(np.float32)
    loud = build_embedder(SavedModelConfig(model=model, scale=32768, **FACTS)).embed(windows)
    np.testing.assert_allclose(loud, 32768 * windows[:, :3], rtol=1e-6)
    centred = windows - windows.mean(axis=1, keepdims=True)
    wanted = 0.25 * centred / np.abs(centred).max(axis=1, keepdims=True)
    embedder = build_embedder(SavedModelConfig(model=model, peak=0.25, **FACTS))
    np.testing.assert_allclose(embedder.embed(windows), wanted[:, :3], atol=1e-6)
    assert not embedder.embed(np.full((1, 16), 0.3, np.float32)).any()


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"signature": "embed"}, "has no signature 'embed'; it has: serving_default"),
        ({"embedding": "output_1"}, "the signature has no output 'output_1'; it has: embedding, map"),
        ({"input": "sound"}, "the signature has no argument 'sound'; it has: inputs"),
        ({"samples": 15}, r"takes float32 of the shape \[None, 16\]; expected was float32 \[1, 15\]"),
        ({"embedding": "map"}, r"the embedding has the shape \[1, 16, 16\]"),
    ],
)
def test_a_model_that_does_not_fit_its_description(model, facts, line):
    with pytest.raises(ConfigError, match=line) as error:
        build_embedder(SavedModelConfig.model_validate(FACTS | facts | {"model": model}))
    assert "\n" not in str(error.value) and str(model) in str(error.value)


def test_a_damaged_folder_is_one_line(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"no graph at all")
    with pytest.raises(ConfigError, match="cannot be loaded as a SavedModel") as error:
        open_embedder("perch", tmp_path)
    assert "\n" not in str(error.value)
