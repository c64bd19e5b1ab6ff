"""What every run promises: it is all that is needed to listen; what is no run of the task is refused in one line."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

from ecotf.errors import ConfigError
from ecotf.tasks.base import TASKS, get_task


def test_a_run_can_be_read_twice_from_anywhere(case, whole, tmp_path):
    """Nothing is looked up outside of the folder."""
    task = get_task(case.task)
    moved = shutil.copytree(whole, tmp_path / "elsewhere")
    first, second = task.load(whole), task.load(moved)
    assert second.path == moved and first.recipe == second.recipe == case.recipe
    assert first.thresholds == second.thresholds
    labels = pd.read_csv(whole / "labels.csv")["label"].tolist()
    assert set(first.thresholds) - {"call"} == set(labels)


def test_a_run_answers_alone(case, whole):
    task = get_task(case.task)
    assert task.join([task.load(whole)]) is not None


def test_a_run_of_another_task_is_refused(case, whole):
    for other in set(TASKS) - {case.task}:
        with pytest.raises(ConfigError, match=f"task {case.task}") as error:
            get_task(other).load(whole)
        assert "\n" not in str(error.value)


def test_what_is_no_whole_run_is_refused(case, whole, tmp_path):
    task = get_task(case.task)
    with pytest.raises(ConfigError, match="not a run folder"):
        task.load(tmp_path)
    for name in ("labels.csv", "thresholds.json", "recipe.yaml"):
        torn = shutil.copytree(whole, tmp_path / name)
        (torn / name).unlink()
        with pytest.raises(ConfigError, match=f"the run lacks {name}") as error:
            task.load(torn)
        assert "\n" not in str(error.value)


def test_an_unknown_task_lists_the_known_ones():
    with pytest.raises(ConfigError, match="unknown task 'sounds'; known: calls, clips"):
        get_task("sounds")
