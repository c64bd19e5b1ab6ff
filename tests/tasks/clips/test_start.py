"""A training that begins with the network of another run hears what that run heard, in frames of its own length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecotf.errors import ConfigError
from ecotf.models.tagger import save_weights
from ecotf.tasks.clips.network_models import NetworkModels, fresh_model
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.recipes import load_trainable, recipe_text
from ecotf.tasks.start import begun_from, refuse_changes

NARROW = {
    "fewshot/small": ["network.backbone.stem=4", "network.backbone.filters=[4,6,8]"],
    "birds/small": ["network.backbone.stem=4", "network.backbone.filters=[4,4,6,6]", "network.backbone.features=12"],
}


def run_of(folder: Path, name: str, *overrides: str) -> tuple[Path, list[np.ndarray]]:
    """A folder as a run leaves it: its recipe, and the weights of its last stage."""
    recipe = load_trainable(name, [*NARROW.get(name, ()), *overrides])
    assert isinstance(recipe, ClipRecipe)
    run = folder / "run"
    stage = run / "stages" / f"{len(recipe.stages) - 1}_{recipe.stages[-1].title}"
    stage.mkdir(parents=True)
    (run / "recipe.yaml").write_text(recipe_text(recipe))
    network = fresh_model(recipe, ("wren", "owl")).network.model
    rng = np.random.default_rng(0)
    network.set_weights([rng.normal(0.5, 0.1, one.shape).astype(one.dtype) for one in network.get_weights()])
    save_weights(stage / "weights.npz", network.get_weights(), ("wren", "owl"))
    return run, network.get_layer("backbone").get_weights()


@pytest.mark.parametrize("name", ["fewshot/small", "birds/small"])
def test_events_begin_with_a_run(tmp_path, name):
    run, weights = run_of(tmp_path, name)
    events = load_trainable("birds/events", [])
    recipe = begun_from(events, run)
    theirs = load_trainable(name, NARROW[name])
    assert recipe.front_end == theirs.front_end and recipe.level == theirs.level
    assert recipe.network.head == events.network.head and recipe.stages[1:] == events.stages[1:]
    step_s = recipe.front_end.hop_s * 2**recipe.network.backbone.halvings
    assert step_s == pytest.approx(0.04)  # as birds/events has it, whatever the run had
    network, told = NetworkModels(recipe).begin(0, ("pitta",), run_store=None)
    assert "the head is another one and begins anew" in told
    for mine, own in zip(network.model.get_layer("backbone").get_weights(), weights, strict=True):
        np.testing.assert_array_equal(mine, own)
    frames = network.model(np.zeros((1, 80, recipe.front_end.bands, 1), np.float32), training=False)["frames"]
    assert frames.shape[1] == 80 / 2**recipe.network.backbone.halvings


def test_what_cannot_be_begun_with_is_said(tmp_path):
    events = load_trainable("birds/events", [])
    run, _ = run_of(tmp_path / "coarse", "birds/small", "network.backbone={name: plain}")
    with pytest.raises(ConfigError, match="no run with a network of clips"):
        (tmp_path / "calls").mkdir()
        (tmp_path / "calls" / "recipe.yaml").write_text(recipe_text(load_trainable("bats/field", [])))
        begun_from(events, tmp_path / "calls")
    with pytest.raises(ConfigError, match="bats/field: no recipe whose network begins"):
        begun_from(load_trainable("bats/field", []), run)
    (next(run.glob("stages/*")) / "weights.npz").unlink()
    with pytest.raises(ConfigError, match="no weights in 1_train_bce; a finished run is needed"):
        begun_from(events, run)


def test_a_backbone_of_one_step_is_refused(tmp_path):
    run, _ = run_of(tmp_path, "birds/small", "network.backbone={name: mn, width: 0.05}")
    with pytest.raises(ConfigError, match="the frames of its backbone mn have one length"):
        begun_from(load_trainable("birds/events", []), run)


@pytest.mark.parametrize(
    "change", ["front_end.low_hz=300", "sample_rate=22050", "network.backbone={name: plain}", "level.scale=1"]
)
def test_what_the_run_has_the_say_in_is_not_changed_in_silence(change):
    with pytest.raises(ConfigError, match="with --start-from it is what the run has"):
        refuse_changes(["seed=2", change])
    refuse_changes(["seed=2", "stages.0.epochs=3", "network.head.onsets=true"])
