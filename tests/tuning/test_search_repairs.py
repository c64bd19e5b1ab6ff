"""What a search must bear: torn files, a folder of somebody else, stages that not every trial has."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest

from ecotf.commands.tuning_folder import Begun, SearchFolder
from ecotf.errors import ConfigError
from ecotf.tasks.calls.published_params import read_start
from ecotf.tasks.recipes import load_recipe
from ecotf.tuning.config import StoppingConfig
from ecotf.tuning.folder_objective import trial_place
from ecotf.tuning.pictures import _place
from ecotf.tuning.space import read_space
from ecotf.tuning.stopping import limits_from
from ecotf.tuning.trial import Outcome, Task


@pytest.mark.parametrize("content", ["", '{"values": {"a"', "[]"])
def test_a_torn_trial_begins_afresh(tmp_path, content):
    task = Task(3, {"trees.eta": 0.1})
    place = trial_place(tmp_path, task)
    (place / "trial.json").write_text(content)
    (place / "left").touch()
    assert trial_place(tmp_path, task) == place and not (place / "left").exists()
    (place / "kept").touch()
    assert trial_place(tmp_path, task) == place and (place / "kept").exists()
    assert json.loads((place / "trial.json").read_text())["values"] == {"trees.eta": 0.1}


def test_somebodys_manifest_is_neither_used_nor_replaced(tmp_path):
    (tmp_path / "manifest.csv").write_text("mine")
    begun = Begun(load_recipe("bats/field"), [], 1)
    with SearchFolder(tmp_path) as folder, pytest.raises(ConfigError, match=r"holds a manifest\.csv and no search"):
        folder.begin(begun, None)  # type: ignore[arg-type]
    assert (tmp_path / "manifest.csv").read_text() == "mine"


def test_files_that_fit_nothing_are_no_starting_point(tmp_path):
    for name in ("cnn_params.csv", "resnet_params.csv"):
        (tmp_path / name).write_text("model,unknown\na,1\n")
    with pytest.raises(ConfigError, match="its columns are of no part of this recipe"):
        read_start([tmp_path], load_recipe("bats/field"))


def test_a_value_that_is_no_number_has_no_place_on_an_axis():
    expression = read_space({"a": {"name": "uniform", "low": 0, "high": 1}})["a"]
    assert _place(expression, 0.5, None, 0) == 0.5
    assert math.isnan(_place(expression, None, None, 0))


def test_a_name_that_is_no_word():
    with pytest.raises(ConfigError, match="a: expression"):
        read_space({"a": {"name": ["uniform"], "low": 0, "high": 1}})


def test_stages_that_not_every_trial_has():
    scores = [{"one": [0.2, 0.4]}, {"one": [0.3, 0.5], "two": [0.1]}, {"two": [0.2]}]
    trials = [SimpleNamespace(outcome=Outcome("done", {}, each, 2)) for each in scores]
    config = StoppingConfig(after_trials=2, after_epochs=1)
    assert limits_from(trials, config) == {"one": [0.25, 0.45], "two": pytest.approx([0.15])}
