"""What every embedder promises: equal sound gives equal numbers, whatever its company; a wrong model is one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_tflite import tiny_tagger

from ecotf.errors import ConfigError
from ecotf.models.embedders import EMBEDDERS, Embedder, EmbedderConfig, build_embedder, open_embedder
from ecotf.models.embedders.base import find_config
from ecotf.models.embedders.keeping import keep_embedder, open_kept_embedder
from ecotf.models.embedders.saved_model import SavedModelConfig
from ecotf.models.embedders.tflite import TfliteConfig
from ecotf.tasks.run_embedder import RunEmbedderConfig

RATE, SAMPLES = 8000, 16


def make_tflite(folder: Path) -> EmbedderConfig:
    file = tiny_tagger(folder / "tiny.tflite", SAMPLES)
    (folder / "names.txt").write_text("owl\nrail\n")
    config = TfliteConfig(
        title="Tiny", licence="CC0", rate_hz=RATE, samples=SAMPLES, embedding="embedding", scores="scores",
        labels=Path("names.txt"),
    )  # fmt: skip
    return config.located(file, folder)


def make_saved_model(folder: Path) -> EmbedderConfig:
    import tensorflow as tf

    inner, outer = (
        tf.constant(np.random.default_rng(5).normal(0, 0.3, shape), tf.float32) for shape in ((16, 3), (3, 2))
    )

    @tf.function(input_signature=[tf.TensorSpec((None, SAMPLES), tf.float32, "inputs")])
    def serve(inputs):
        embedding = inputs @ inner
        return {"embedding": embedding, "label": embedding @ outer}

    model = tf.Module()
    model.serve = serve
    tf.saved_model.save(model, str(folder / "tiny"), {"serving_default": serve})
    (folder / "names.csv").write_text("name\nowl\nrail\n")
    config = SavedModelConfig(
        title="Tiny", rate_hz=RATE, samples=SAMPLES, embedding="embedding", scores="label", activation="softmax",
        labels=Path("names.csv"), peak=0.25,
    )  # fmt: skip
    return config.located(folder / "tiny", folder)


def make_several(folder: Path) -> EmbedderConfig:
    """Two that hear windows of 16 and 8 samples, at 8 kHz and 4 kHz."""
    for name, samples, rate in (("long", SAMPLES, RATE), ("short", SAMPLES // 4, RATE // 2)):
        tiny_tagger(folder / f"{name}.tflite", samples)
        (folder / f"{name}.yaml").write_text(
            f"name: tflite\nrate_hz: {rate}\nsamples: {samples}\nembedding: embedding\n"
        )
    (folder / "both.yaml").write_text(
        "name: several\ntitle: Both\nmembers:\n"
        "- {model: long.tflite}\n- {model: short.tflite, description: short.yaml}\n"
    )
    return find_config(folder / "both.yaml")


MAKE: dict[str, Callable[[Path], EmbedderConfig]] = {
    "tflite": make_tflite, "saved_model": make_saved_model, "several": make_several,
}  # fmt: skip
"""How a test gets an embedder of each kind; one that is a run comes from the trainings of all contract tests."""


def windows_of(embedder: Embedder, n: int) -> np.ndarray:
    return np.random.default_rng(3).uniform(-0.5, 0.5, (n, embedder.samples)).astype(np.float32)


class Contract:
    """What each kind of embedder is held to; a subclass has the fixture ``config``."""

    @pytest.fixture(scope="class")
    @classmethod
    def embedder(cls, config) -> Embedder:
        return build_embedder(config)

    def test_it_says_what_it_is(self, config, embedder):
        assert embedder.config == config and embedder.sample_rate > 0 and embedder.title and embedder.digest
        assert 0 < embedder.hop_samples <= embedder.samples

    def test_rows_of_numbers(self, embedder):
        found = embedder.embed(windows_of(embedder, 3))
        assert found.shape == (3, embedder.numbers) and found.dtype == np.float32 and np.isfinite(found).all()
        assert np.ptp(found, axis=0).max() > 0
        assert embedder.embed(np.empty((0, embedder.samples), np.float32)).shape == (0, embedder.numbers)

    def test_an_embedding_does_not_depend_on_its_company(self, embedder):
        """Also: a second call leaves the answers of the first as they were."""
        windows = windows_of(embedder, 5)
        together = embedder.embed(windows)
        kept = together.copy()
        alone = np.concatenate([embedder.embed(windows[at : at + 1]) for at in range(5)])
        np.testing.assert_array_equal(together, kept)
        np.testing.assert_array_equal(alone, together)

    def test_scores_are_probabilities_with_names_or_a_sentence(self, embedder):
        if not embedder.classes:
            with pytest.raises(ConfigError, match="scores") as error:
                embedder.scores(windows_of(embedder, 1))
            assert "\n" not in str(error.value)
            return
        found = embedder.scores(windows_of(embedder, 3))
        assert found.shape == (3, len(embedder.classes)) and found.dtype == np.float32
        assert found.min() >= 0 and found.max() <= 1

    def test_windows_of_another_length_are_refused(self, embedder):
        with pytest.raises(ConfigError, match=f"{embedder.samples}") as error:
            embedder.embed(np.zeros((2, embedder.samples + 1), np.float32))
        assert "\n" not in str(error.value)

    def test_the_digest_is_of_what_changes_an_embedding(self, config, embedder):
        """The same model is the same anywhere; another hop and title are no other model."""
        hop_s = 0.5 * embedder.samples / embedder.sample_rate
        other = config.model_copy(update={"title": "Another", "licence": "none", "hop_s": hop_s})
        again = build_embedder(other)
        assert again.digest == embedder.digest and again.hop_samples < embedder.hop_samples

    def test_it_is_opened_again_by_its_path_or_description(self, config, embedder):
        if config.described:
            with pytest.raises(ConfigError, match=r"needs a description, .*\.yaml beside it") as error:
                open_embedder(config.model)
            assert "\n" not in str(error.value)
        else:
            assert open_embedder(config.model).digest == embedder.digest

    def test_a_model_that_is_not_there_is_one_line(self, config, tmp_path):
        if not config.has_model:
            return
        with pytest.raises(ConfigError, match="nowhere") as error:
            build_embedder(config.model_copy(update={"model": tmp_path / "nowhere"}))
        assert "\n" not in str(error.value)

    def test_a_kept_copy_is_the_same_embedder(self, embedder, tmp_path):
        keep_embedder(embedder, tmp_path)
        again = open_kept_embedder(tmp_path)
        windows = windows_of(embedder, 2)
        assert again.digest == embedder.digest
        np.testing.assert_array_equal(again.embed(windows), embedder.embed(windows))


class TestDescribed(Contract):
    @pytest.fixture(scope="class", params=[entry.name for entry in EMBEDDERS if entry.name != "run"])
    @classmethod
    def config(cls, request, tmp_path_factory) -> EmbedderConfig:
        return MAKE[request.param](tmp_path_factory.mktemp(request.param))


class TestRun(Contract):
    @pytest.fixture(scope="class")
    @classmethod
    def config(cls, whole) -> EmbedderConfig:
        return RunEmbedderConfig(model=whole)
