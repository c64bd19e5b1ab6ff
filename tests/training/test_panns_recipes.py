"""Recipes of PANNs, narrow: they train, blank out inside the network, answer and embed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from clip_runs import beeps, train

from ecotf.datasets.manifest import Manifest
from ecotf.models.image_network import ClipNetwork
from ecotf.tasks.clips.run import load_clip_run
from ecotf.tasks.recipes import load_any_recipe

RATE = 32_000
NARROW = {
    "tagging/cnn6": ("network.backbone.width=0.0625",),
    "tagging/wavegram_logmel_cnn14": (
        "front_end.width=0.0625", "network.backbone={name: cnn6, width: 0.0625, first_block: false}",
    ),
}  # fmt: skip
QUICK = (
    "clips.seconds=1.0", "inference.segment_s=1.0", "stages.0.epochs=1", "stages.0.batch=3", "stages.0.sampler.clips=6",
)  # fmt: skip


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Manifest:
    return beeps(tmp_path_factory.mktemp("beeps"), ("train", "train", "valid"), ("robin", "wren"), 1.2)


@pytest.mark.parametrize("name", NARROW)
def test_a_narrow_one_trains_answers_and_embeds(name, manifest, tmp_path, monkeypatch):
    asked = []
    mask = ClipNetwork.mask
    monkeypatch.setattr(ClipNetwork, "mask", lambda self, image: asked.append(mask(self, image)) or asked[-1])
    recipe = load_any_recipe(name, [*QUICK, *NARROW[name]])
    assert recipe.stages[0].amsgrad
    path = train(recipe, manifest, tmp_path, quick=True)
    # Both masks are left to the network; clips are mixed as images, or as sound before a front end inside.
    assert asked[0].time_mask.probability == asked[0].frequency_mask.probability == 0
    assert asked[0].changes != recipe.front_end.in_graph
    history = pd.read_csv(path / "history.csv")
    assert np.isfinite(history["loss"]).all() and history["clips"].tolist() == [6]
    run = load_clip_run(path)
    sound = np.random.default_rng(0).normal(0, 0.1, round(2.5 * RATE)).astype(np.float32)
    assert run.embed(sound, RATE).shape == (3, 32)  # 512 channels, narrow
    scores = run.scores(sound, RATE)
    assert len(scores) == 3 * 2 and scores["score"].between(0, 1).all()
    stream = run.open_stream(RATE, options=_options())
    pieces = [stream.push(sound[:700]), stream.push(sound[700:]), stream.finish()]
    expected = scores[scores["score"] >= scores["label"].map(run.thresholds)]
    assert len(pd.concat(pieces)) == len(expected)


def _options():
    from ecotf.tasks.base import StreamOptions

    return StreamOptions()
