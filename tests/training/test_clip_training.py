"""Training on clips: stages one after the other, rows that are carried over by name, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from clip_runs import PITCH, TINY, beeps, train

from ecotf.config import validate
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.errors import ConfigError, DataError
from ecotf.models.tagger import read_weights, softmax_logits
from ecotf.runs import RunFolder
from ecotf.tasks.clips.fit_clips import build_optimizer
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.clips.stages import FitClipsStage
from ecotf.tasks.recipes import load_any_recipe, load_recipe
from ecotf.training.schedules import ScheduleConfig


def with_a_broken_one(made: Manifest) -> Manifest:
    """And a recording that is damaged."""
    (made.root / "broken.wav").write_bytes(b"RIFF")
    broken = made.table.iloc[:1].assign(recording="broken.wav", group="broken.wav")
    return make_manifest(pd.concat([made.table, broken], ignore_index=True), made.root, "beeps")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Manifest:
    """Three species that beep at their own pitch, and a fourth to pre-train on; one recording is damaged."""
    return with_a_broken_one(beeps(tmp_path_factory.mktemp("beeps"), ("train", "train", "valid", "test")))


def small(*overrides: str) -> ClipRecipe:
    """The first stage of birds/small, one epoch of it on a tiny backbone."""
    quick = [TINY, "clips.seconds=1.2", "inference.segment_s=1.0", "stages.0.batch=6", "stages.0.epochs=1"]
    values = load_any_recipe("birds/small", [*quick, *overrides]).model_dump(mode="json")
    return validate(ClipRecipe, {**values, "stages": values["stages"][:1]}, "test")


LATER = ("1_train", "2_finetune")


def chain(**more: object) -> list[dict]:
    """A stage on all species, two on those without a role: the published chain, its repetitions left out."""
    stages = []
    for title, loss in (("pretrain", "cross_entropy"), ("train", "binary"), ("finetune", "binary")):
        stage = {
            "name": "fit_clips", "title": title, "loss": {"name": loss, "frames_share": 0.5}, "batch": 2,
            "epochs": 1,
            "learning_rate": 0.01, "data": {"values": [""]} if title[0] != "p" else {}, "keep": "last",
        }  # fmt: skip
        stages.append({**stage, **more, "frozen": ["backbone"] if title == "finetune" else []})
    return stages


def with_stages(stages: list[dict]) -> ClipRecipe:
    values = small().model_dump(mode="json")
    return validate(ClipRecipe, {**values, "stages": stages}, "test")


def test_each_stage_goes_on_from_the_one_before(tmp_path):
    """Rows are carried over by name. Kills in a stage and between two: tests/contracts, test_stage and test_task."""
    manifest = with_a_broken_one(beeps(tmp_path, ("train", "valid", "test"), seconds=1.2))
    path = train(with_stages(chain()), manifest, tmp_path, quick=True)
    kept = {stage: read_weights(path / "stages" / stage / "weights.npz") for stage in ("0_pretrain", *LATER)}
    assert kept["0_pretrain"][1] == ["crow", "owl", "robin", "wren"]
    assert all(kept[stage][1] == ["crow", "robin", "wren"] for stage in LATER)
    assert len(pd.read_csv(path / "history.csv")) == 3
    # The frozen backbone of the last stage is that of the one before.
    unchanged = [np.array_equal(a, b) for a, b in zip(*(kept[stage][0] for stage in LATER), strict=True)]
    assert any(unchanged) and not all(unchanged)
    metrics = json.loads((path / "metrics.json").read_text())
    assert metrics["judged_on"] == {"split": "test", "recordings": 3}
    assert metrics["recordings"]["n"] == 3 and set(metrics["segments"]["classes"]) == {"crow", "robin", "wren"}
    assert "broken.wav" in (path / "problems.csv").read_text()
    assert RunFolder.open(path).complete


def test_the_published_augmentation_runs(manifest, tmp_path):
    """All of it at once, compiled, and what is mixed by keras-cv."""
    quick = [TINY, "clips.seconds=1.2", "inference.segment_s=1.0", "stages.0.epochs=1", "stages.0.batch=6"]
    quick += ["stages.0.sound.pitch_shift.probability=0", "stages.0.image.mixup={probability: 1}"]
    values = load_any_recipe("birds/2023_sed_v2s", [*quick, "stages.0.image.cutmix={probability: 1}"]).model_dump()
    recipe = validate(ClipRecipe, {**values, "stages": values["stages"][:1]}, "test")
    path = train(recipe, manifest, tmp_path)
    assert np.isfinite(pd.read_csv(path / "history.csv")["loss"]).tolist() == [True]


def test_no_validation_and_no_test(manifest, tmp_path):
    table = manifest.table[manifest.table["recording"] != "broken.wav"].assign(split="train")
    path = train(small(), make_manifest(table, manifest.root, "test"), tmp_path, quick=True)
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


def test_the_rate_stays_and_falls_in_a_line():
    """Published for EfficientAT: up over 8 epochs, 8e-4 until epoch 80, a hundredth of it from epoch 175 on."""
    schedule = ScheduleConfig(name="linear", warmup_epochs=8, flat_epochs=72, fall_epochs=95, least=8e-6)
    rates = [schedule.rate(8e-4, epoch, 200) for epoch in (7, 8, 80, 175, 199)]
    np.testing.assert_allclose(rates, [8e-4 * 8 / 9, 8e-4, 8e-4, 8e-6, 8e-6])
    assert schedule.rate(8e-4, 127, 200) == pytest.approx(8e-4 - 47 / 95 * (8e-4 - 8e-6))
    assert ScheduleConfig(name="linear", least=0).rate(0.1, 5, 10) == pytest.approx(0.05)


def test_the_rate_falls_where_the_loss_stays():
    schedule = ScheduleConfig(name="plateau", patience=1, least=1e-4)
    losses = [3.0, 2.0, 2.0, 1.9999, 1.0, 1.0, 1.1, 1.0, 1.0]
    rates = [schedule.rate(1e-2, epoch, 20, losses[:epoch]) for epoch in range(len(losses) + 1)]
    np.testing.assert_allclose(rates, [1e-2] * 4 + [1e-3] * 3 + [1e-4] * 3)
    assert schedule.rate(1e-2, 9, 20) == 1e-2 and schedule.rate(1e-5, 9, 20, [1.0] * 9) == 1e-5


def test_each_optimiser_takes_its_own_settings():
    stage = {"title": "a", "loss": {"name": "binary"}, "epochs": 1}
    made = build_optimizer(FitClipsStage(**stage, optimiser="sgd", momentum=0.9, weight_decay=0.01), "float32")
    assert (type(made).__name__, made.momentum, made.weight_decay) == ("SGD", 0.9, 0.01)
    assert type(build_optimizer(FitClipsStage(**stage, optimiser="rmsprop"), "float32")).__name__ == "RMSprop"
    assert type(build_optimizer(FitClipsStage(**stage, weight_decay=0.1), "float32")).__name__ == "AdamW"
    for wrong, said in (({"momentum": 0.9}, "adam has its own"), ({"amsgrad": True, "optimiser": "sgd"}, "of adam")):
        with pytest.raises(ValueError, match=said):
            FitClipsStage(**stage, **wrong)


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
        (["network.head={name: gem}"], "learns frames, but the head gem gives none"),
        (["inference.segment_s=9"], "longer than what the model sees"),
        (["clips.seconds=0.3", "inference.segment_s=0.2"], "too small"),
        (["front_end.high_hz=20000"], "front_end"),
        (["stages.0.seconds=0.3"], "stage 'train_ce': seconds = 0.3: an image of"),
        (["stages.0.seconds=0.001"], "too small"),
        (["inference.parts=1000"], "inference: a window of"),
        (["stages.0.frozen=[brain]"], "cannot freeze 'brain'; allowed: front_end, backbone"),
        (["stages.0.patience=3"], "keep = best"),
        (["data.train=0.9"], "must add up to 1"),
        (["task=sounds"], "task = 'sounds'; allowed: calls, clips, ensemble"),
        (["stages.0.lerning_rate=1"], "did you mean 'learning_rate'"),
    ],
)
def test_settings_that_do_not_go_together(overrides, said):
    with pytest.raises(ConfigError) as error:
        load_any_recipe("birds/small", overrides)
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04 cut off", b"\x93NUMPY"])
def test_damaged_weights_are_one_line(tmp_path, content):
    (tmp_path / "weights.npz").write_bytes(content)
    with pytest.raises(ConfigError, match="damaged, or not the weights of a stage"):
        read_weights(tmp_path / "weights.npz")


def test_recipes_of_another_task_are_refused():
    with pytest.raises(ConfigError, match="task clips; here one of task calls"):
        load_recipe("birds/small")


def test_bad_data(manifest, tmp_path):
    with pytest.raises(ConfigError, match="no training recording has a label"):
        train(small("stages.0.data.values=[nowhere]"), manifest, tmp_path / "a")
    nobody = make_manifest(manifest.table.assign(split="test"), manifest.root, "test")
    with pytest.raises(DataError, match="nothing to learn from"):
        train(small(), nobody, tmp_path / "b")
    with pytest.raises(ConfigError, match="there are no weights"):
        train(small("stages.0.weights_from=no/where"), manifest, tmp_path / "c")
    assert FitClipsStage(title="a", loss={"name": "binary"}, epochs=1).activation == "sigmoid"  # type: ignore[arg-type]
