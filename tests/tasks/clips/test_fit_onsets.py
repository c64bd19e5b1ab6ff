"""Onsets learn on alone where events are made of them; what was known of frames stays as it was, to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.config import validate
from ecotf.datasets.manifest import make_manifest
from ecotf.models.heads.sed import onset_layers
from ecotf.tasks.clips.data import prepare_clip_data
from ecotf.tasks.clips.network_models import fresh_model
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.clips.stages import Material
from ecotf.tasks.recipes import load_any_recipe
from ecotf.training.stages import STAGES, FitPlace

RATE, SECONDS = 16_000, 3.0
TINY = {"name": "small", "stem": 4, "filters": [4, 4, 8], "blocks": [1, 1, 1], "expand": 1, "features": 8}


def fitted(folder: Path, every_s: float, said: list[str], finder: str = "best") -> tuple[Any, Any, list[np.ndarray]]:
    """Train onsets on recordings with a call of 0.2 s at every such time: the network, its history, earlier weights."""
    rows, rng = [], np.random.default_rng(1)
    for name, split in (("a", "train"), ("b", "train"), ("c", "valid"), ("d", "test")):
        soundfile.write(folder / f"{name}.wav", 0.1 * rng.standard_normal(round(SECONDS * RATE)), RATE)
        # In the tested one they always follow each other; nobody looks at that.
        starts = np.arange(0.2, 2.6, 0.2 if name == "d" else every_s)
        rows += [(f"{name}.wav", at, at + 0.2, "piha", split, "yes") for at in starts]
    values = load_any_recipe("birds/events").model_dump(mode="json")
    for stage in values["stages"]:
        stage |= {"batch": 2, "epochs": 2}
        stage["draws"] |= {"clips": 4}
    values |= {"sample_rate": RATE, "clips": {"seconds": 1.0}}
    values["inference"] |= {"segment_s": 1.0, "window_s": 1.0, "boxes": None}
    values["inference"]["events"] = values["inference"]["events"] if finder == "best" else {"name": finder}
    values["network"]["backbone"] = {**TINY, "halvings": 2}
    values["front_end"] |= {"high_hz": 7000.0, "bands": 32}
    recipe = validate(ClipRecipe, values, "test")
    table = pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label", "split", "fully_annotated"])
    data = prepare_clip_data(make_manifest(table, folder, "test"), recipe, None, lambda line: None)
    network = fresh_model(recipe, ("piha",)).network
    before = [np.array(weight) for weight in network.model.get_weights()]
    place = FitPlace(folder / "fitting.npz", said.append, threads=1)
    found = STAGES.build(recipe.stages[-1], network, Material(data, ("piha",), 3), place)
    return network, found.history, before


@pytest.mark.parametrize(("every_s", "finder"), [(0.24, "best"), (0.8, "onsets")])
def test_onsets_alone_change(tmp_path, every_s, finder):
    said: list[str] = []
    network, history, before = fitted(tmp_path, every_s, said, finder)
    assert len(history) == 2 and any("onset AP" in line for line in said)
    assert history["onset_ap"].notna().all() and history["frame_ap"].isna().all()  # it is no score of frames
    own = {weight.path for layer in onset_layers(network.head) for weight in layer.weights}
    assert len(own) == 12  # three of context, and those of onsets, ends and lengths
    changed = {
        weight.path
        for weight, old in zip(network.model.weights, before, strict=True)
        if not np.array_equal(np.array(weight), old)
    }
    assert changed == own
    assert all(layer.trainable for layer in network.head.layers)


@pytest.mark.parametrize(("every_s", "finder"), [(0.8, "best"), (0.24, "change_detection")])
def test_nothing_is_learned_where_no_event_is_made_of_onsets(tmp_path, every_s, finder):
    said: list[str] = []
    network, history, before = fitted(tmp_path, every_s, said, finder)
    assert not len(history) and said == ["onsets: no event is made of onsets, so nothing is learned of them"]
    for weight, old in zip(network.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)
