"""Few-shot trainings on a few beeps: the classes are means, other species are judged, and what is refused."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.config import apply_changes, validate
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.errors import ConfigError, DataError
from ecotf.tasks.clips.objective import ClipsSearch
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.clips.reported import report_clips
from ecotf.tasks.clips.run import load_clip_run
from ecotf.tasks.recipes import load_any_recipe, recipe_text
from ecotf.tasks.training_run import train_run

RATE = 16_000
SIDES = {
    "crow": "train",
    "owl": "train",
    "robin": "train",
    "wren": "valid",
    "tit": "valid",
    "rail": "test",
    "ani": "test",
}
SMALL = {
    "sample_rate": RATE, "front_end.high_hz": 7000.0, "front_end.bands": 32, "front_end.hop_s": 0.01,
    "clips.seconds": 0.4, "inference.segment_s": 0.4, "evaluation.bootstrap": 2,
    "network.backbone": {"name": "small", "stem": 4, "filters": [4, 4, 8], "blocks": [1, 1, 1], "expand": 1,
                         "features": 8},
    "stages.0.epochs": 1, "stages.0.episodes": {"way": 3, "shots": 2, "queries": 1, "episodes": 2},
    "evaluation.episodes": [{"way": 2, "shots": 1, "queries": 2, "episodes": 20}, {"way": 3, "shots": 1}],
}  # fmt: skip


def small(name: str, **changes: object) -> ClipRecipe:
    values = load_any_recipe(f"fewshot/{name}").model_dump(mode="json")
    more = [(key.replace("__", "."), value) for key, value in changes.items()]
    return validate(ClipRecipe, apply_changes(values, [*deepcopy(SMALL).items(), *more]), "test")


pytestmark = pytest.mark.usefixtures("uncompiled")


@pytest.fixture(scope="module")
def beeps(tmp_path_factory) -> Manifest:
    """Four recordings of each species at its own pitch; one of the crow's is silent."""
    folder, rows, rng = tmp_path_factory.mktemp("beeps"), [], np.random.default_rng(0)
    times = np.arange(round(0.5 * RATE)) / RATE
    for place, (name, side) in enumerate(SIDES.items()):
        for number in range(4):
            sound = 0.3 * np.sin(2 * np.pi * (600 + 800 * place) * times) + 0.01 * rng.normal(size=len(times))
            silent = (name, number) == ("crow", 3)
            soundfile.write(folder / f"{name}_{number}.wav", 0 * sound if silent else sound, RATE)
            rows.append({"recording": f"{name}_{number}.wav", "start_s": 0.0, "label": name, "split": side})
    return make_manifest(pd.DataFrame(rows).assign(end_s=np.nan), folder, "beeps")


def trained(recipe: ClipRecipe, manifest: Manifest, folder: Path) -> tuple[Path, str]:
    lines: list[str] = []
    path = train_run(recipe, manifest, folder / "runs", cache=manifest.root / "sounds", log=lines.append, threads=1)
    return path, "\n".join(lines)


@pytest.mark.parametrize(
    ("name", "changes"),
    [("prototypical", {"stages.0.training": "classical"}), ("relation", {"network.head.channels": 4})],
)
def test_a_training_is_judged_on_species_that_it_never_saw(name, changes, beeps, tmp_path):
    recipe = small(name, **changes)
    path, said = trained(recipe, beeps, tmp_path)
    assert "validation on 2 species, none of which is trained on: 2-way 2-shot" in said
    assert "left out of the means: 1 clip has an empty image (silence): crow_3.wav" in said
    assert "the classes are the means of 11 clips" in said
    metrics = json.loads((path / "metrics.json").read_text())
    found = metrics["episodes"]
    assert metrics["judged_on"] == {"split": "test", "recordings": 8} and found["unseen"] is True
    assert (found["species"], found["trained"]) == (["ani", "rail"], ["crow", "owl", "robin"])
    judged, refused = found["settings"]
    assert set(judged["rules"]) == {"network", "nearest_mean", "cl2n"} and judged["rules"]["network"]["episodes"] == 20
    assert "3-way episodes need 3 classes" in refused["refused"]
    report = (path / "report.txt").read_text()
    assert "on 2 species of test, none of which was trained on: ani, rail (8 clips)" in report
    shown = report_clips(path, 2)
    assert [one.name for one in shown.figures] == [
        f"2-way 1-shot, {rule}" for rule in ("the network's own rule", "nearest mean", "CL2N")
    ]
    assert shown.figures[0].value == judged["rules"]["network"]["accuracy"] and None not in shown.figures[0].bounds
    assert shown.score_name == "accuracy in episodes" and np.isfinite(shown.curves[0].score).all()
    assert "a guess): crow, owl, robin" in report and "2-way 1-shot, 2 queries a class, 20 episodes" in report
    assert pd.read_csv(path / "history.csv")["accuracy"].between(0, 1).all()
    with np.load(path / "heldout.npz") as kept:
        assert sorted(set(kept["labels"].tolist())) == ["tit", "wren"] and len(set(kept["groups"].tolist())) == 8
        embeddings, names = kept["embeddings"], kept["recordings"]
    run = load_clip_run(path)
    sounds = np.stack([soundfile.read(beeps.root / Path(one).name, dtype="float32")[0] for one in names])
    middle = sounds[:, 800:7200]
    np.testing.assert_allclose(run.model.embed(middle), embeddings, atol=1e-5)
    assert run.model.answers(middle)["clip"].shape == (8, 3)
    if name == "prototypical":
        assert_means(run.model, beeps.root)


def assert_means(model, root: Path) -> None:
    """Logits are squared distances to the means of the training clips, but for what all classes share."""
    names = [f"{name}_{number}.wav" for name in ("crow", "owl", "robin") for number in range(4)]
    sounds = np.stack([soundfile.read(root / name, dtype="float32")[0][800:7200] for name in names])
    rows = model.embed(sounds).astype(np.float64)
    means = np.stack([rows[:3].mean(axis=0), rows[4:8].mean(axis=0), rows[8:].mean(axis=0)])
    logits = -((rows[:, None] - means) ** 2).sum(axis=2) + (rows**2).sum(axis=1, keepdims=True)
    given = model.network.model(model.images(sounds))["clip"].numpy()
    np.testing.assert_allclose(given, logits, rtol=1e-3, atol=1e-4)


def test_what_cannot_be_trained_is_one_line(beeps, tmp_path):
    for changes, said in (
        ({"stages.0.episodes.way": 4}, "4-way episodes need 4 classes with enough clips, and 3 of 3 have"),
        (
            {"stages.0.episodes.shots": 4},
            "tit is not drawn: it has 4 clips of 4 recordings or groups; 4 . 1 are needed",
        ),
    ):
        with pytest.raises(DataError, match=said) as refused:
            trained(small("prototypical", **changes), beeps, tmp_path)
        assert "\n" not in str(refused.value)
    for changes, said in (
        ({"network.head": {"name": "mean_max"}}, "trains heads that compare clips with examples; the head is mean_max"),
        ({"stages.0.image.mixup": {"probability": 0.5}}, "image.mixup mixes the clips of an episode"),
        ({"stages.0.sampler": {"name": "balanced"}}, "draws every class alike"),
        ({"stages.0.batch": 7}, r"batch = 7: it is way \* \(shots \+ queries\) of episodes = 9"),
    ):
        with pytest.raises(ConfigError, match=said) as wrong:
            small("prototypical", **changes)
        assert "\n" not in str(wrong.value)


def test_a_search_compares_the_accuracy_of_validation_species(beeps, tmp_path):
    recipe = load_any_recipe("fewshot/darksound_v1")
    assert recipe.tuning is not None and recipe.tuning.metric == "accuracy" and recipe.tuning.trials == 50
    search = ClipsSearch(small("prototypical"))
    data = search.read(beeps, tmp_path, 1, lambda line: None, lambda done, of: None)
    assert search.known_figures(data) == ["accuracy", "valid_loss"]


def test_published_values_are_keys():
    first, second = (load_any_recipe(f"fewshot/darksound_{name}") for name in ("v1", "v2"))
    assert (first.seed, second.seed) == (1979, 2023)
    assert first.stages[0].batch == 120 and second.stages[0].batch == 10
    assert first.image_shape == second.image_shape == (224, 224, 3)
    assert second.level.separation.order == ("delta", "harmonic", "percussive") and second.clips.max_per_class == 60
    for recipe in (first, second):
        assert "batch" not in recipe_text(recipe).split("inference:")[0]
