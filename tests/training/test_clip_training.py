"""Training on clips: every stage of every recipe, a kill between, and rows that are carried over by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.commands.train_clips import clip_steps, train_clip_run
from ecotf.config import validate
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.errors import ConfigError, DataError
from ecotf.models.clip_model import read_weights, softmax_logits
from ecotf.recipe import ClipRecipe, load_any_recipe, load_recipe, recipe_names, recipe_text
from ecotf.runs import RunFolder
from ecotf.training import fit_clips as fitting
from ecotf.training.clip_stages import FitClipsStage, ScheduleConfig

RATE = 32000
PITCH = {"robin": 2000.0, "wren": 4000.0, "crow": 1000.0, "owl": 500.0}
TINY = "network.backbone={name: small, stem: 4, filters: [4, 4, 8], blocks: [1, 1, 1], expand: 1, features: 8}"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Manifest:
    """Three species that beep at their own pitch, and a fourth to pre-train on; one recording is damaged."""
    folder, rows = tmp_path_factory.mktemp("beeps"), []
    rng = np.random.default_rng(0)
    times = np.arange(2 * RATE) / RATE
    for species, pitch in PITCH.items():
        for number in range(6):
            name = f"{species}_{number}.wav"
            sound = 0.3 * np.sin(2 * np.pi * pitch * times) * (times % 0.4 < 0.2) + 0.01 * rng.normal(size=len(times))
            soundfile.write(folder / name, sound.astype(np.float32), RATE)
            rows.append({
                "recording": name, "start_s": 0.0, "end_s": np.nan, "label": species,
                "split": ["train", "train", "train", "train", "valid", "test"][number],
                "role": "pretrain" if species == "owl" else "",
            })  # fmt: skip
    (folder / "broken.wav").write_bytes(b"RIFF")
    rows.append({**rows[0], "recording": "broken.wav", "split": "train"})
    return make_manifest(pd.DataFrame(rows), folder, "beeps")


def small(*overrides: str, name: str = "birds/small") -> ClipRecipe:
    recipe = load_any_recipe(
        name,
        [TINY, "clips.seconds=1.2", "inference.row_s=1.0", *([] if name != "birds/small" else ["stages.0.batch=6"]),
         *overrides],
    )  # fmt: skip
    assert isinstance(recipe, ClipRecipe)
    return recipe


def chain(**more: object) -> list[dict]:
    """A stage on all species, two on those without a role: the published chain, its repetitions left out."""
    stages = []
    for title, loss in (("pretrain", "cross_entropy"), ("train", "binary"), ("finetune", "binary")):
        stage = {
            "title": title, "loss": {"name": loss, "frames_share": 0.5}, "epochs": 2, "batch": 6, "learning_rate": 0.01,
            "data": {"values": [""]} if title[0] != "p" else {}, "keep": "last",
        }  # fmt: skip
        stages.append({**stage, **more, "frozen": ["backbone"] if title == "finetune" else []})
    return stages


def with_stages(stages: list[dict]) -> ClipRecipe:
    values = small().model_dump(mode="json")
    return validate(ClipRecipe, {**values, "stages": stages}, "test")


def train(
    recipe: ClipRecipe, manifest: Manifest, folder: Path, run: RunFolder | None = None, quick: bool = False
) -> Path:
    """Train and judge; ``quick`` does not compile the steps, which takes longer than a few of them."""
    import tensorflow as tf

    if run is None:
        run = RunFolder.create(folder / "runs", recipe.name, steps=clip_steps(recipe))
        run.write_text("recipe.yaml", recipe_text(recipe))
    tf.config.run_functions_eagerly(quick)
    try:
        train_clip_run(recipe, manifest, run, manifest.root / "sounds", threads=1)
    finally:
        tf.config.run_functions_eagerly(False)
        run.close()
    return run.path


def test_stages_killed_in_the_second_end_in_the_same_weights(manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "_SAVE_EVERY_S", -1.0)
    recipe = with_stages(chain(ema=0.9, accumulation=2, weight_decay=0.01, image={"time_mask": {"probability": 0.5}}))
    whole = train(recipe, manifest, tmp_path / "whole")
    steps, real = [], fitting.padded_cmap

    def killed(*arguments):
        steps.append(1)
        if len(steps) == 4:  # the second epoch of the second stage, before it is noted
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(fitting, "padded_cmap", killed)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, manifest, tmp_path / "killed")
    path = next((tmp_path / "killed" / "runs" / "birds" / "small").iterdir())
    assert sorted(p.name for p in (path / "stages").iterdir()) == ["0_pretrain"]
    assert list(path.glob(".fitting_*"))
    monkeypatch.setattr(fitting, "padded_cmap", real)
    train(recipe, manifest, tmp_path / "killed", RunFolder.resume(path))
    assert not list(path.glob(".fitting_*"))
    for stage in ("1_train", "2_finetune"):
        expected, names = read_weights(whole / "stages" / stage / "weights.npz")
        found, same = read_weights(path / "stages" / stage / "weights.npz")
        assert names == same == ["crow", "robin", "wren"]
        assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))
    assert read_weights(path / "stages" / "0_pretrain" / "weights.npz")[1] == ["crow", "owl", "robin", "wren"]
    assert len(pd.read_csv(path / "history.csv")) == 6
    # The frozen backbone of the last stage is that of the one before.
    before, after = (read_weights(path / "stages" / s / "weights.npz")[0] for s in ("1_train", "2_finetune"))
    unchanged = [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    assert any(unchanged) and not all(unchanged)
    metrics = json.loads((path / "metrics.json").read_text())
    assert metrics["judged_on"] == {"split": "test", "recordings": 3}
    assert metrics["recordings"]["n"] == 3 and set(metrics["rows"]["classes"]) == {"crow", "robin", "wren"}
    assert "broken.wav" in (path / "problems.csv").read_text()
    assert RunFolder.open(path).complete


@pytest.mark.parametrize("name", recipe_names("clips"))
def test_every_recipe_trains_two_steps_per_stage(name, manifest, tmp_path):
    """With a tiny backbone; the backbones themselves are tested in tests/models."""
    stages = len(load_any_recipe(name).stages)  # type: ignore[union-attr]
    overrides = [f"stages.{i}.{key}" for i in range(stages) for key in ("epochs=1", "batch=6", "sound={}")]
    if "cnn" in name:
        overrides += ["clips.seconds=2.0", "inference.window_s=1.0", "network.parts=1"]
    recipe = small(*overrides, name=name)
    path = train(recipe, manifest, tmp_path, quick=True)
    history = pd.read_csv(path / "history.csv")
    assert history["stage"].tolist() == [stage.title for stage in recipe.stages]
    assert np.isfinite(history["loss"]).all() and (history["clips"] >= 12).all()
    assert (path / "model" / "network.weights.h5").is_file()


def test_the_published_augmentation_runs(manifest, tmp_path):
    keep = ["stages.0.epochs=1", "stages.0.batch=6", "stages.0.sound.pitch_shift.probability=0"]
    values = small(*keep, name="birds/2023_sed_v2s").model_dump(mode="json")
    recipe = validate(ClipRecipe, {**values, "stages": values["stages"][:1]}, "test")
    path = train(recipe, manifest, tmp_path, quick=True)
    assert len(pd.read_csv(path / "history.csv")) == 1


def test_no_validation_and_no_test(manifest, tmp_path):
    table = manifest.table[manifest.table["recording"] != "broken.wav"].assign(split="train")
    path = train(small("stages.0.epochs=1"), make_manifest(table, manifest.root, "test"), tmp_path, quick=True)
    report = (path / "report.txt").read_text()
    assert "no figure here says how good it is" in report and "a guess" in report
    assert json.loads((path / "thresholds.json").read_text())["thresholds"] == dict.fromkeys(sorted(PITCH), 0.5)


def test_the_rate_follows_a_cosine_and_restarts():
    schedule = ScheduleConfig(least=1e-6, restart_epochs=4)
    rates = [schedule.rate(1e-3, epoch, 8) for epoch in range(8)]
    expected = [1e-6 + (1e-3 - 1e-6) * (1 + np.cos(np.pi * (e % 4) / 4)) / 2 for e in range(8)]
    np.testing.assert_allclose(rates, expected, rtol=1e-4)
    assert ScheduleConfig(name="constant").rate(0.1, 5, 8) == 0.1
    assert ScheduleConfig(warmup_epochs=1).rate(0.1, 0, 8) == 0.05


def test_a_softmax_becomes_logits_of_its_own():
    from scipy.special import expit, softmax

    values = np.random.default_rng(0).normal(0, 3, (4, 5, 6))
    np.testing.assert_allclose(expit(softmax_logits(values)), softmax(values, axis=-1), rtol=1e-9)
    extreme = softmax_logits(np.array([[100.0, 0.0, -800.0]]))
    assert np.isfinite(extreme).all() and extreme[0, 0] == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["stages.0.weights_from=nothing"], "weights_from = 'nothing'; allowed: previous, fresh"),
        (["network.head={name: gem}"], "gives no frames"),
        (["inference.row_s=9"], "longer than what the model sees"),
        (["clips.seconds=0.3", "inference.row_s=0.2"], "too small"),
        (["front_end.high_hz=20000"], "front_end"),
        (["stages.0.data.values=[nowhere]"], ""),
        (["stages.0.patience=3"], "keep = best"),
        (["data.train=0.9"], "must add up to 1"),
        (["task=sounds"], "task = 'sounds'; allowed: calls, clips, ensemble"),
        (["stages.0.lerning_rate=1"], "did you mean 'learning_rate'"),
    ],
)
def test_settings_that_do_not_go_together(overrides, said):
    if said:
        with pytest.raises(ConfigError) as error:
            load_any_recipe("birds/small", overrides)
        assert said in str(error.value) and "\n" not in str(error.value)
    else:
        load_any_recipe("birds/small", overrides)


def test_recipes_of_another_task_are_refused():
    with pytest.raises(ConfigError, match="task clips; here one of task calls"):
        load_recipe("birds/small")


def test_bad_data(manifest, tmp_path):
    with pytest.raises(ConfigError, match="no training recording has a label"):
        train(small("stages.0.data.values=[nowhere]"), manifest, tmp_path / "a")
    nobody = make_manifest(manifest.table.assign(split="test"), manifest.root, "test")
    with pytest.raises(DataError, match="nothing to learn from"):
        train(small(), nobody, tmp_path / "b")
    with pytest.raises(ConfigError, match="holds no weights"):
        train(small("stages.0.weights_from=no/where"), manifest, tmp_path / "c")
    with pytest.raises(ConfigError, match="cannot freeze"):
        train(small("stages.0.frozen=[brain]"), manifest, tmp_path / "d")
    assert FitClipsStage(title="a", loss={"name": "binary"}, epochs=1).activation == "sigmoid"  # type: ignore[arg-type]
