"""Epochs are compared by frames, and by onsets too where the boxes say that events are made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.config import validate
from ecotf.datasets.manifest import make_manifest
from ecotf.tasks.clips.data import prepare_clip_data
from ecotf.tasks.clips.event_lesson import EventLesson
from ecotf.tasks.clips.network_models import fresh_model
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.clips.stages import Material as ClipsMaterial
from ecotf.tasks.recipes import load_any_recipe

RATE, SECONDS = 16_000, 3.0
TINY = {"name": "small", "stem": 4, "filters": [4, 4, 8], "blocks": [1, 1, 1], "expand": 1, "features": 8}


def lesson_on(folder: Path, every_s: float) -> EventLesson:
    """Learn from recordings with a call of 0.2 s at every such time."""
    rows, rng = [], np.random.default_rng(1)
    for name, split in (("a", "train"), ("b", "train"), ("c", "valid"), ("d", "test")):
        soundfile.write(folder / f"{name}.wav", 0.1 * rng.standard_normal(round(SECONDS * RATE)), RATE)
        # In the tested one they always follow each other; nobody looks at that.
        starts = np.arange(0.2, 2.6, 0.2 if name == "d" else every_s)
        rows += [(f"{name}.wav", at, at + 0.2, "piha", split, "yes") for at in starts]
    values = load_any_recipe("birds/events").model_dump(mode="json")
    stage = {**values["stages"][0], "batch": 2, "epochs": 1}
    stage["draws"] |= {"clips": 4}
    values |= {"sample_rate": RATE, "clips": {"seconds": 1.0}, "stages": [stage]}
    values["inference"] |= {"segment_s": 1.0, "window_s": 1.0, "boxes": None}
    values["network"]["backbone"] = {**TINY, "halvings": 2}
    values["front_end"] |= {"high_hz": 7000.0, "bands": 32}
    recipe = validate(ClipRecipe, values, "test")
    table = pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label", "split", "fully_annotated"])
    data = prepare_clip_data(make_manifest(table, folder, "test"), recipe, None, lambda line: None)
    material = ClipsMaterial(data, ("piha",), 3)
    stage_config = recipe.stages[0]
    train = data.training_clips(stage_config, ("piha",))
    return EventLesson(fresh_model(recipe, ("piha",)).network, stage_config, material, train, None)


@pytest.mark.parametrize(("every_s", "title"), [(0.24, "mean AP of frames and onsets"), (0.8, "frame AP")])
def test_epochs_are_compared_by_what_makes_the_events(tmp_path, every_s, title):
    lesson = lesson_on(tmp_path, every_s)
    assert lesson.score_title == title
    truth = lesson.truth
    packed = truth.packed(np.zeros(3, int), np.array([0.0, 1.0, 2.0]))
    own = truth.unpacked(packed)
    perfect = [20 * (part - 0.4) for part in (own.frames, own.onsets)]
    blind = [perfect[0], 0 * perfect[1]]
    measured = []
    for parts in (perfect, blind):
        logits = np.concatenate([own.clip, *(part.reshape(3, -1) for part in parts[: 1 + lesson.judges_onsets])], 1)

        class Given:
            def __init__(self, value: np.ndarray) -> None:
                self.numpy = lambda: value

            def __len__(self) -> int:
                return 3

        _, score = lesson.judge([(None, Given(packed), None)], lambda *_, logits=logits: (0.0, Given(logits)))
        measured.append(score)
    assert measured[0] == pytest.approx(1.0)
    assert (measured[1] < 0.9) == lesson.judges_onsets
