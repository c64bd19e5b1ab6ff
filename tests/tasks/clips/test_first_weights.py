"""What a recipe of clips begins with is found out before a run folder is made."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from ecotf.datasets.manifest import read_manifest
from ecotf.errors import ConfigError
from ecotf.models.tagger import save_weights
from ecotf.tasks.base import get_task
from ecotf.tasks.clips.first_weights import check_weights
from ecotf.tasks.recipe_files import recipe_names
from ecotf.tasks.recipes import load_any_recipe
from ecotf.tasks.training_run import train_run


@pytest.mark.parametrize("name", [name for name in recipe_names("clips") if "2024" in name])
def test_a_frozen_backbone_of_random_weights_is_refused_before_anything_is_made(name, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(32000, np.float32), 32000)
    (tmp_path / "manifest.csv").write_text("recording,start_s,end_s,label\na.wav,0,1,robin\n")
    with pytest.raises(ConfigError) as error:
        train_run(load_any_recipe(name), read_manifest(tmp_path / "manifest.csv"), tmp_path / "runs")
    said = str(error.value)
    assert said.startswith(f"{name}: stage 'train' freezes the backbone while its weights are random")
    assert "set network.backbone.weights to imagenet or a file" in said and "\n" not in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", [name for name in recipe_names("clips") if "2024" not in name])
def test_other_recipes_can_begin(name):
    if name in ("tagging/transfer", "fewshot/transfer"):
        with pytest.raises(ConfigError, match=rf"{name}: embedder\.model is missing; say where"):
            get_task("clips").check(load_any_recipe(name))
        return
    get_task("clips").check(load_any_recipe(name))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["network.backbone.weights=nowhere.weights.h5"], "there is no such file"),
        (["stages.0.weights_from=no/where"], "no/where/weights.npz: there are no weights"),
        (["stages.0.frozen=[hidden]"], "freezes the hidden while its weights are random"),
        (["stages.1.frozen=[backbone]", "stages.1.weights_from=fresh"], "stage 'train_bce' freezes the backbone"),
    ],
)
def test_weights_that_cannot_be_had(overrides, said):
    with pytest.raises(ConfigError) as error:
        check_weights(load_any_recipe("birds/small", overrides))
    assert said in str(error.value) and "\n" not in str(error.value)


def test_what_was_learned_before_may_be_frozen(tmp_path):
    save_weights(tmp_path / "weights.npz", [np.zeros(3, np.float32)], ["robin"])
    for source in ([f"stages.0.weights_from={tmp_path}", "stages.0.frozen=[backbone]"], ["stages.1.frozen=[backbone]"]):
        check_weights(load_any_recipe("birds/small", source))
