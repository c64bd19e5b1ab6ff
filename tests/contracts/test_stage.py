"""Every stage: its config comes back, it trains what it says, and a kill makes no difference to the weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import soundfile
from tiny_embedder import tiny_embedder

import ecotf.tasks.calls.recipe
import ecotf.tasks.clips.episodic_transfer
import ecotf.tasks.clips.recipe
import ecotf.tasks.clips.transfer_recipe
from ecotf.config import validate
from ecotf.datasets.manifest import make_manifest
from ecotf.errors import ConfigError
from ecotf.models.backbones.field_cnn import FieldCnnConfig
from ecotf.models.detector import Detector
from ecotf.models.heads.trees import TreesConfig
from ecotf.models.patch_network import NetworkConfig, build_network
from ecotf.pipelines.patches import PatchesConfig, PatchTable
from ecotf.pipelines.spectrogram_store import StoredSpectrogram
from ecotf.pipelines.teacher_file import Predictions, write_predictions
from ecotf.tasks.calls.material import Material as CallsMaterial
from ecotf.tasks.clips.data import prepare_clip_data
from ecotf.tasks.clips.network_models import fresh_model
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.clips.stages import Material as ClipsMaterial
from ecotf.tasks.recipes import load_any_recipe, load_recipe
from ecotf.training.stages import STAGES, FitPlace

NAMES = [entry.name for entry in STAGES]
RECIPES = {"patches": ecotf.tasks.calls.recipe.CallRecipe, "clips": ecotf.tasks.clips.recipe.ClipRecipe}


@dataclass(frozen=True)
class Lesson:
    """A stage in small: what it is told, and makes of a new model its material and what training changes in it."""

    values: dict[str, Any]
    begin: Callable[[Path], tuple[Any, Any]]
    learned: Callable[[Any], list[np.ndarray]]


def begin_on_patches(_: Path) -> tuple[Detector, CallsMaterial]:
    rng = np.random.default_rng(0)
    values = rng.uniform(0, 1, (800, 32)).astype(np.float32)
    species = np.eye(3, 2, dtype=np.uint8)[np.arange(24) % 3]
    table = PatchTable(np.zeros(24, int), np.linspace(0.02, 0.38, 24), species)
    sounds = [StoredSpectrogram(values, 0.0005, 0.0005, 0.0, np.arange(32.0), 1.0, 256_000, 0.0)]
    keras.utils.set_random_seed(5)
    config = NetworkConfig(name="calls", backbone=FieldCnnConfig(filters=(2, 4, 4), squeeze=2, embedding=4))
    patches = PatchesConfig(width_s=0.016)
    detector = Detector(
        load_recipe("bats/field").front_end, patches, ("low", "high"), (build_network(config, 2, 16, 16),)
    )
    trees = TreesConfig(n_estimators=3, max_depth=2)
    return detector, CallsMaterial(table, table, sounds, patches, 7, trees)


TINY = {"name": "small", "stem": 4, "filters": [4, 4, 8], "blocks": [1, 1, 1], "expand": 1, "features": 8}
ON_CLIPS = {
    "name": "fit_clips", "title": "small", "loss": {"name": "binary", "frames_share": 0.5}, "epochs": 2, "batch": 2,
    "ema": 0.9, "weight_decay": 0.01, "sampler": {"name": "balanced"}, "image": {"mixup": {"probability": 0.5}},
}  # fmt: skip


SIDES = {"robin": ("train", "train", "valid"), "wren": ("train", "train", "valid")}
PITCH = {"robin": 2000, "wren": 4000, "owl": 500, "crow": 1000}


def begin_on_clips(
    folder: Path,
    sides: dict[str, tuple[str, ...]] = SIDES,
    head: str | dict[str, Any] = "sed",
    stage: dict[str, Any] = ON_CLIPS,
    boxes: bool = False,
    more: dict[str, Any] | None = None,
) -> tuple[Any, ClipsMaterial]:
    rows, times = [], np.arange(8000) / 16_000
    for name, splits in sides.items():
        pitch = PITCH[name]
        for number, split in enumerate(splits):
            rows.append({"recording": f"{name}_{number}.wav", "start_s": 0.0, "label": name, "split": split})
            sound = (0.3 + 0.01 * number) * np.sin(2 * np.pi * pitch * times)
            soundfile.write(folder / rows[-1]["recording"], sound, 16_000)
    values = load_any_recipe("birds/small").model_dump(mode="json")
    values |= {"sample_rate": 16_000, "clips": {"seconds": 0.4}, "stages": [stage]}
    values |= {
        "inference": {"segment_s": 0.4},
        "network": {"backbone": TINY, "head": {"name": head} if isinstance(head, str) else head},
    }
    values |= more or {}
    values["front_end"] |= {"high_hz": 7000.0, "bands": 32}
    plan = validate(ClipRecipe, values, "test")
    table = pd.DataFrame(rows).assign(end_s=np.nan)
    if boxes:  # of the first recordings; the others have labels that are somewhere in them
        first = table["recording"].str.endswith(("_0.wav", "_2.wav"))
        table = table.assign(end_s=np.where(first, 0.4, np.nan), fully_annotated=np.where(first, "yes", ""))
    manifest = make_manifest(table, folder, "test")
    data = prepare_clip_data(manifest, plan, None, lambda line: None)
    return fresh_model(plan, ("robin", "wren")).network, ClipsMaterial(data, ("robin", "wren"), 3)


ON_EPISODES = {
    "name": "fit_episodes", "title": "small", "epochs": 2, "episodes": {"way": 2, "shots": 1, "episodes": 3},
}  # fmt: skip


def begin_on_episodes(folder: Path) -> tuple[Any, ClipsMaterial]:
    sides = dict.fromkeys(("robin", "wren"), ("train", "train")) | dict.fromkeys(("owl", "crow"), ("valid", "valid"))
    return begin_on_clips(folder, sides, "matching", ON_EPISODES)


ON_CONTRAST = {
    "name": "fit_contrast", "title": "small", "epochs": 2, "seconds": 0.35, "classes": 4, "ema": 0.9,
    "projector": [6, 4], "validation": {"way": 2, "shots": 1, "episodes": 2},
    "image": {"compander": {"probability": 0.5}, "band_shift": {"probability": 0.5}},
}  # fmt: skip


def begin_on_contrast(folder: Path) -> tuple[Any, ClipsMaterial]:
    sides = dict.fromkeys(("robin", "wren"), ("train", "train")) | dict.fromkeys(("owl", "crow"), ("valid", "valid"))
    return begin_on_clips(folder, sides, "prototype", ON_CONTRAST)


ON_EVENTS = {
    **ON_CLIPS, "name": "fit_events", "loss": {"name": "binary"}, "sampler": {"name": "plain"}, "batch": 4,
    "draws": {"events": 0.4, "weak": 0.3, "anywhere": 0.2, "mined": 0.1, "clips": 8}, "weights_from": "trained.npz",
    "mining": {"score": 0.01, "distance_s": 0.0}, "sound": {"backgrounds": [{"probability": 0.5}]},
}  # fmt: skip


def begin_on_events(folder: Path) -> tuple[Any, ClipsMaterial]:
    return begin_on_clips(folder, head="events", stage=ON_EVENTS, boxes=True)


ON_ONSETS = {**ON_EVENTS, "name": "fit_onsets", "mining": None, "draws": {**ON_EVENTS["draws"], "mined": 0.0}}


def begin_on_onsets(folder: Path) -> tuple[Any, ClipsMaterial]:
    more = {"inference": {"segment_s": 0.4, "report": "events", "events": {"name": "onsets"}}}
    head = {"name": "events", "onsets": True}
    return begin_on_clips(folder, head=head, stage=ON_ONSETS, boxes=True, more=more)


def begin_with_a_teacher(folder: Path) -> tuple[Any, ClipsMaterial]:
    network, material = begin_on_clips(folder)
    names = material.data.manifest.of_split("train").recordings
    numbers = np.random.default_rng(1).normal(size=(len(names), 6)).astype(np.float32)
    ends, digests = np.full(len(names), 0.5), [material.data.splits.state_of(name).digest for name in names]
    taught = Predictions(
        "embeddings", "made up", "0", (), names, digests, np.arange(len(names)), 0 * ends, ends, numbers
    )
    write_predictions(Path("teacher.npz"), taught)
    return network, material


def begin_on_embeddings(folder: Path) -> tuple[Any, ClipsMaterial]:
    _, material = begin_on_clips(folder)
    recipe = load_any_recipe("tagging/transfer", [*tiny_embedder(folder), "inference.segment_s=0.4"])
    model, _ = recipe.models(None).begin(0, material.classes, None)
    return model, ClipsMaterial(material.data.for_plan(recipe), material.classes, 3)


def begin_on_projection(folder: Path) -> tuple[Any, ClipsMaterial]:
    sides = dict.fromkeys(("robin", "wren"), ("train", "train")) | dict.fromkeys(("owl", "crow"), ("valid", "valid"))
    _, material = begin_on_clips(folder, sides)
    settings = [*tiny_embedder(folder), "inference.segment_s=0.4", "project.units=[4]"]
    recipe = load_any_recipe("fewshot/transfer", [*settings, "head={name: matching}"])
    model, _ = recipe.models(None).begin(0, material.classes, None)
    return model, ClipsMaterial(material.data.for_plan(recipe), material.classes, 3)


def weights_of_first(detector: Detector) -> list[np.ndarray]:
    return detector.networks[0].model.get_weights()


def weights_of_all(network: Any) -> list[np.ndarray]:
    return network.model.get_weights()


def answers_of_trees(detector: Detector) -> list[np.ndarray]:
    assert detector.trees is not None
    return [detector.trees.predict(np.random.default_rng(0).normal(size=(50, 4)))]


LESSONS = {
    "fit_network": Lesson({"network": "calls", "epochs": 2, "batch": 8}, begin_on_patches, weights_of_first),
    "fit_trees": Lesson({}, begin_on_patches, answers_of_trees),
    "fit_head": Lesson(
        {}, begin_on_embeddings, lambda model: [*model.head.parts[0].kernels, *model.head.parts[0].biases]
    ),
    "fit_clips": Lesson({**ON_CLIPS, "accumulation": 2}, begin_on_clips, lambda network: network.model.get_weights()),
    "fit_events": Lesson(ON_EVENTS, begin_on_events, lambda network: network.model.get_weights()),
    "fit_onsets": Lesson(ON_ONSETS, begin_on_onsets, lambda network: network.model.get_weights()),
    "fit_episodes": Lesson(ON_EPISODES, begin_on_episodes, lambda network: network.model.get_weights()),
    "fit_projection": Lesson(
        {**ON_EPISODES, "name": "fit_projection"}, begin_on_projection, lambda model: model.head.model.get_weights()
    ),
    "fit_contrast": Lesson(ON_CONTRAST, begin_on_contrast, lambda network: network.model.get_weights()),
    "distil": Lesson(
        {**ON_CLIPS, "name": "distil", "teacher": "teacher.npz"},
        begin_with_a_teacher,
        lambda network: network.model.get_weights(),
    ),
}


@pytest.fixture(autouse=True)
def deterministic(tmp_path, monkeypatch):
    import tensorflow as tf

    monkeypatch.chdir(tmp_path)
    tf.config.experimental.enable_op_determinism()


def config_of(name: str, **more: Any) -> Any:
    return validate(STAGES[name].config_class, {**LESSONS[name].values, "name": name, **more}, "test")


def run(name: str, folder: Path, log: Callable[[str], None] = lambda line: None, **more: Any) -> Any:
    folder.mkdir(exist_ok=True)
    model, material = LESSONS[name].begin(folder)
    place = FitPlace(folder / "fitting.npz", log, threads=1, save_every_s=-1.0)
    return STAGES.build(config_of(name, **more), model, material, place)


def assert_equal(name: str, first: Any, second: Any) -> None:
    for one, other in zip(LESSONS[name].learned(first), LESSONS[name].learned(second), strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_stage_is_tried():
    assert set(LESSONS) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_its_config_comes_back_and_an_unknown_key_is_refused(name):
    config = config_of(name)
    assert validate(type(config), config.model_dump(mode="json"), "test") == config
    assert config.trains and isinstance(config.needs_frames, bool)
    with pytest.raises(ConfigError, match="strange") as refused:
        config_of(name, strange=1)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_of_another_task_refuses_it_in_one_line(name):
    (other,) = {"patches", "clips"} - {config_of(name).learns_from}
    recipe = {"patches": "bats/field", "clips": "birds/small"}[other]
    values = {**load_any_recipe(recipe).model_dump(mode="json"), "stages": [config_of(name).model_dump(mode="json")]}
    with pytest.raises(ConfigError, match=f"'{name}' is a stage with learns_from = ") as refused:
        validate(RECIPES[other], values, "test")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", NAMES)
def test_it_trains_and_a_kill_makes_no_difference(tmp_path, name):
    said: list[str] = []

    def log(line: str) -> None:
        said.append(line)
        if "epoch 1/2" in line:  # what a kill would leave
            shutil.copytree(tmp_path / "whole", tmp_path / "killed")

    fitted = run(name, tmp_path / "whole", log)
    assert said and all("\n" not in line for line in said)
    epochs = len(fitted.history)
    assert epochs == LESSONS[name].values.get("epochs", 0)
    if not epochs:  # there is no state to go on from; it is done again
        assert_equal(name, run(name, tmp_path / "again").model, fitted.model)
        return
    assert np.isfinite(fitted.history["loss"]).all()

    again: list[str] = []
    resumed = run(name, tmp_path / "killed", again.append)
    assert [line for line in again if "epoch 1/2" in line] == [next(x for x in again if "continues after" in x)]
    assert_equal(name, resumed.model, fitted.model)
    pd.testing.assert_frame_equal(
        resumed.history.drop(columns="seconds", errors="ignore"),
        fitted.history.drop(columns="seconds", errors="ignore"),
    )


# Those that train by fit_clips are one path.
BY_FIT_CLIPS = {"fit_events", "fit_onsets", "fit_contrast", "fit_projection", "distil"}
LEARNING = [name for name in NAMES if "learning_rate" in STAGES[name].config_class.model_fields]


@pytest.mark.parametrize("name", [name for name in LEARNING if name not in BY_FIT_CLIPS])
def test_a_loss_that_is_no_number_is_one_line(tmp_path, name):
    with pytest.raises(ConfigError, match=r"the loss is not a number; use a smaller learning_rate than") as refused:
        run(name, tmp_path, learning_rate=1e38, epochs=4)
    assert "\n" not in str(refused.value)
