"""A model that knows nothing, and recordings that are well, for commands that are given something else."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from .commands import RATE, TINY, call, sound, write_manifest


@pytest.fixture(autouse=True)
def narrow_terminal(monkeypatch):
    """A message is one line, however few columns the terminal has."""
    monkeypatch.setenv("COLUMNS", "40")


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A complete run folder whose network has learned nothing."""
    from ecotf.models.saved import build_detector, save_detector
    from ecotf.runs import RunFolder
    from ecotf.tasks.recipes import load_recipe, recipe_text

    recipe = load_recipe("bats/cnn8", TINY)
    run = RunFolder.create(tmp_path_factory.mktemp("runs"), "bats/tiny")
    run.write_text("recipe.yaml", recipe_text(recipe))
    run.write_table("labels.csv", pd.DataFrame({"label": ["Myotis", "Pipistrellus"], "training_annotations": [1, 1]}))
    thresholds = {"call": 0.5, "Myotis": 0.5, "Pipistrellus": 0.5}
    run.write_json("thresholds.json", {"thresholds": thresholds, "unfitted": []})
    with run.writing("model", folder=True) as folder:
        save_detector(
            build_detector(recipe.front_end, recipe.patches, recipe.networks, ["Myotis", "Pipistrellus"]), folder
        )
    run.finish()
    return run.path


@pytest.fixture
def annotated(tmp_path):
    """Four short recordings, all calls annotated."""
    folder = tmp_path / "calls"
    folder.mkdir()
    rows = []
    for number in range(4):
        soundfile.write(folder / f"{number}.wav", sound(seed=number), RATE, subtype="PCM_16")
        rows += [call(f"{number}.wav", start, start + 0.004) for start in np.arange(0.05, 0.38, 0.08)]
    return write_manifest(folder, rows)
