"""A head on a frozen embedder: a run that stands alone, never embeds twice, and says in one line what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_embedder import RATE, SAMPLES, tiny_embedder, tiny_transfer_run, tones
from tiny_tflite import TinyModel

from ecotf.errors import ConfigError, EcotfError
from ecotf.models.embedders.tflite import TfliteEmbedder
from ecotf.models.frozen import window_starts
from ecotf.tasks.base import get_task
from ecotf.tasks.recipes import load_any_recipe
from ecotf.tasks.training_run import resume_run, train_run
from ecotf.tuning.keys import with_settings

CLIPS = get_task("clips")


@pytest.fixture
def counted(monkeypatch) -> list[int]:
    """How many windows went through the embedder at a time."""
    counts: list[int] = []
    rows = TfliteEmbedder.embed

    def embed(self, windows):
        counts.append(len(windows))
        return rows(self, windows)

    monkeypatch.setattr(TfliteEmbedder, "embed", embed)
    return counts


def refused(folder: Path, *settings: str, manifest=None) -> str:
    recipe = load_any_recipe("tagging/transfer", [*tiny_embedder(folder), "inference.segment_s=1.0", *settings])
    with pytest.raises(EcotfError) as error:
        train_run(recipe, manifest or tones(folder), folder / "runs", threads=1, log=lambda line: None)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_second_training_embeds_nothing_and_the_run_needs_no_other_file(tmp_path, counted):
    first = tiny_transfer_run(tmp_path)
    assert sum(counted) > 0
    counted.clear()
    again = tiny_transfer_run(tmp_path, "head.strength=0.3")
    assert sum(counted) == 0
    for name in ("tiny.tflite", "tiny.yaml"):
        (tmp_path / name).unlink()
    runs = [CLIPS.load(run) for run in (first, again)]
    kept = (first / "model" / "embedder" / "description.yaml").read_text()
    assert "licence: free" in kept and str(tmp_path) not in kept
    assert CLIPS.join(runs).scores(np.zeros(RATE, np.float32), RATE)["label"].tolist() == ["owl", "wren"]
    assert runs[0].embed(np.zeros(3 * RATE, np.float32), RATE).shape == (3, 8)


def test_a_segment_and_a_clip_are_a_window_unless_the_recipe_says_otherwise(tmp_path):
    recipe = load_any_recipe("tagging/transfer", tiny_embedder(tmp_path))
    assert recipe.inference.segment_s == recipe.clips.seconds == SAMPLES / RATE
    recipe = load_any_recipe("tagging/transfer", ["inference.segment_s=5"])
    assert (recipe.inference.segment_s, recipe.clips.seconds) == (5.0, 5.0)
    assert with_settings(recipe, {"head.strength": 0.1}).head.strength == 0.1
    assert window_starts(240, 144, 144).tolist() == [0, 96] and window_starts(144, 144, 48).tolist() == [0]


def test_a_class_with_too_few_recordings(tmp_path):
    manifest = tones(tmp_path)
    few = manifest.with_splits({name: "valid" if "owl" in name and "0" not in name else "train"
                                for name in manifest.recordings})  # fmt: skip
    said = refused(tmp_path, manifest=few)
    assert said.startswith("stage 'head': owl has 1 training recording, and the head needs 2; add some")
    assert "stages.0.least=1" in said


def test_embeddings_that_are_all_the_same(tmp_path):
    settings = tiny_embedder(tmp_path)
    model = TinyModel((1, SAMPLES)).dense(np.zeros((3, SAMPLES)), "embedding")
    model.dense(np.ones((2, 3)), "logits").apply("LOGISTIC", "scores").write(tmp_path / "tiny.tflite")
    recipe = load_any_recipe("tagging/transfer", settings)
    with pytest.raises(EcotfError, match="tiny gives the same embedding for all 42 training clips, so nothing can be"):
        train_run(recipe, tones(tmp_path), tmp_path / "runs", threads=1, log=lambda line: None)


def test_no_validation_recordings_are_said(tmp_path):
    manifest, lines = tones(tmp_path), []
    manifest = manifest.with_splits(dict.fromkeys(manifest.recordings, "train"))
    recipe = load_any_recipe("tagging/transfer", [*tiny_embedder(tmp_path), "inference.segment_s=1.0"])
    run = train_run(recipe, manifest, tmp_path / "runs", threads=1, log=lines.append)
    assert "head: no validation recording has a class, so every threshold is a guess of 0.5" in lines
    assert CLIPS.load(run).thresholds == {"owl": 0.5, "wren": 0.5}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["embedder.model=null"], "embedder.model is missing; say where your model is, for example embedder.model="),
        (["embedder.model=gone.tflite"], "model gone.tflite: no such file or folder"),
        (["clips.seconds=0.1"], "clips.seconds = 0.1, but tiny hears 0.25 s at once; allowed: at least that"),
    ],
)
def test_an_embedder_that_does_not_fit_is_refused_before_anything_is_written(tmp_path, settings, said):
    assert said in refused(tmp_path, *settings)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["network={}"], "unknown key 'network'"),
        (["head.name=sed"], "'sed' is a head with takes = features; here takes = table is needed; allowed: 'logistic'"),
        (["stages.0.name=fit_clips"], "'fit_clips' is a stage with learns_from = clips, fits = network; here"),
        (["inference.parts=2"], "inference.parts: a frozen embedder gives one row of numbers for a segment"),
        (["head={name: trees, measures: true}"], "head.measures: a frozen embedder gives"),
    ],
)
def test_settings_that_do_not_go_with_an_embedder(settings, said):
    with pytest.raises(ConfigError) as error:
        load_any_recipe("tagging/transfer", settings)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_an_embedder_that_has_changed_is_noticed(tmp_path):
    """While a training was interrupted, and in the folder of a run."""
    recipe = load_any_recipe("tagging/transfer", [*tiny_embedder(tmp_path), "inference.segment_s=1.0"])

    def kill(line: str) -> None:
        if "logistic, " in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(recipe, tones(tmp_path), tmp_path / "runs", threads=1, log=kill)
    (folder,) = (tmp_path / "runs" / "tagging" / "transfer").iterdir()
    run = resume_run(folder, threads=1, log=lambda line: None)
    kept = run / "model" / "embedder" / "tiny.tflite"
    kept.write_bytes(kept.read_bytes() + b"\0")
    with pytest.raises(ConfigError, match="the embedder is not the one that the head was fitted on") as error:
        CLIPS.load(run)
    assert "\n" not in str(error.value)
    models = recipe.models(None)
    fitted_on = run / "stages" / "0_head"
    assert models.finished(fitted_on, ("owl", "wren")).classes == ("owl", "wren")
    (tmp_path / "tiny.tflite").write_bytes((tmp_path / "tiny.tflite").read_bytes() + b"\0")
    with pytest.raises(ConfigError, match="the embedder has changed since the head was fitted on it; put the earlier"):
        recipe.models(None).finished(fitted_on, ("owl", "wren"))
