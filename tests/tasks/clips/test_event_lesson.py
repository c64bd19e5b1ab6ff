"""Learning from events: what is said of odd data, what is refused, and what is mined."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from ecotf.datasets.manifest import make_manifest
from ecotf.datasets.splits import split_by_group
from ecotf.errors import ConfigError, DataError
from ecotf.models.image_network import ClipNetworkConfig, build_clip_network
from ecotf.pipelines.event_draws import EventDraws, EventDrawsConfig
from ecotf.pipelines.event_rows import EventRows, event_rows
from ecotf.pipelines.frame_truth import FrameTruth
from ecotf.tasks.clips import mine_events
from ecotf.tasks.clips.event_checks import describe_events, describe_validation, require_negatives, require_steps
from ecotf.tasks.clips.event_lesson import frame_average_precision
from ecotf.tasks.clips.fit_events import EventMiningConfig, FitEventsStage
from ecotf.tasks.clips.mine_events import false_events
from ecotf.tasks.recipes import load_any_recipe
from ecotf.training.frame_losses import FrameLossConfig, frame_loss

CLASSES = ("owl", "wren")


def rows_of(*rows: tuple[Any, ...], full: str = "yes") -> EventRows:
    table = pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label"]).assign(fully_annotated=full)
    manifest = make_manifest(table, Path("/"), "test")
    return event_rows(manifest, manifest.recordings, dict.fromkeys(manifest.recordings, 10.0), CLASSES)


def test_a_frame_longer_than_an_event_is_refused_with_both():
    rows = rows_of(("a", 1.0, 1.02, "owl"), ("a", 2.0, 3.0, "owl"))
    require_steps(rows, 0.02, "train", CLASSES)
    with pytest.raises(DataError, match=r"a frame is 40 ms, the shortest event 20 ms \(owl at 1.000 s in a; 1 of 2"):
        require_steps(rows, 0.04, "train", CLASSES)


def test_boxes_alone_say_nothing_of_where_there_is_none():
    with pytest.raises(DataError, match="write yes in the manifest's column fully_annotated") as refused:
        require_negatives(rows_of(("a", 1.0, 2.0, "owl"), full=""), "train", CLASSES)
    assert "\n" not in str(refused.value)
    require_negatives(rows_of(("a", 1.0, 2.0, "owl"), ("a", 3.0, 4.0, ""), full=""), "train", CLASSES)


def test_odd_data_are_said_in_one_line_each():
    rows = rows_of(("a", 1.0, 9.0, "owl"), ("b", 0, np.nan, "wren"), ("c", 1.0, 2.0, "wren"), full="")
    said = describe_events(rows, 5.0, CLASSES)
    assert [line.split(":")[0] for line in said] == [
        "owl has one event to learn from", "wren has one event to learn from", "1 event is longer than a clip of 5 s",
        "2 of 2 recordings with events are not said to be fully annotated (a, ...)",
    ]  # fmt: skip
    valid = pd.DataFrame({"recording": ["a", "a", "b"], "label": ["owl", "owl", "owl"], "end_s": [1.0, 2.0, np.nan]})
    assert [line.split(":")[0] for line in describe_validation(valid, CLASSES)] == [
        "owl has its validation events in one recording", "wren has its validation events in no recording",
    ]  # fmt: skip
    with pytest.raises(DataError, match="nothing to learn from"):
        _ = EventDraws(rows_of(("a", 1.0, 2.0, "owl"), full=""), EventDrawsConfig(events=0, weak=1), 5.0).shares


def test_the_loss_of_frames_looks_at_what_is_known():
    logits = tf.constant([[[2.0, -1.0], [0.5, 3.0]]])
    targets, known = tf.constant([[[1.0, 0.0], [0.0, 1.0]]]), tf.constant([[[1.0, 1.0], [1.0, 0.0]]])
    plain = FrameLossConfig(name="focal", gamma=0.0)
    cross = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)[0].numpy()
    expected = (cross[0, 0] + cross[1, 0]) / 2 + cross[0, 1]
    np.testing.assert_allclose(frame_loss(plain, logits, targets, known), [expected], rtol=1e-6)
    asymmetric = FrameLossConfig(gamma_absent=2.0, present=3.0)
    p = 1 / (1 + np.exp(-logits[0].numpy()))
    expected = (3 * cross[0, 0] + p[1, 0] ** 2 * cross[1, 0]) / 2 + p[0, 1] ** 2 * cross[0, 1]
    np.testing.assert_allclose(frame_loss(asymmetric, logits, targets, known), [expected], rtol=1e-5)
    lowered = frame_loss(FrameLossConfig(gamma_absent=0.0, margin=0.3), logits, targets, known)
    expected = (cross[0, 0] - np.log1p(-(p[1, 0] - 0.3))) / 2 - np.log1p(-max(0.0, p[0, 1] - 0.3))
    np.testing.assert_allclose(lowered, [expected], rtol=1e-5)
    nothing = tf.zeros_like(known)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = frame_loss(asymmetric, logits, targets, nothing)
    assert float(loss[0]) == 0 and np.all(tape.gradient(loss, logits).numpy() == 0)


def test_frames_that_are_not_known_do_not_count_in_validation():
    logits, targets = np.array([[[3.0], [2.0], [1.0]]]), np.array([[[1.0], [0.0], [1.0]]])
    assert frame_average_precision(logits, targets, np.ones((1, 3, 1)))[0] == pytest.approx((1 + 2 / 3) / 2)
    assert frame_average_precision(logits, targets, np.array([[[1.0], [0.0], [1.0]]]))[0] == 1.0
    assert np.isnan(frame_average_precision(logits, 0 * targets, np.ones((1, 3, 1)))[0])


def test_only_what_is_surely_false_is_mined():
    rows = rows_of(("a", 2.0, 3.0, "owl"), ("b", 2.0, 3.0, "owl"), full=["yes", ""])
    events = pd.DataFrame(
        [(2.4, 2.6, "owl", 0.9), (3.1, 3.2, "owl", 0.8), (5, 6, "owl", 0.7), (5, 6, "wren", 0.6), (8, 9, "owl", 0.2)],
        columns=["start_s", "end_s", "label", "score"],
    )
    truth, config = FrameTruth(rows, 10, 0.2, 2.0), EventMiningConfig(score=0.5, distance_s=0.25)
    assert false_events(events, rows, truth, 0, config, CLASSES) == [(0, 5.0, 6.0, 0), (0, 5.0, 6.0, 1)]
    assert false_events(events, rows, truth, 1, config, CLASSES) == []  # nobody says that owls are elsewhere in it


def test_mining_hears_with_filters_about_as_long_as_the_calls(monkeypatch):
    heard: dict[str, Any] = {}
    scored = SimpleNamespace(frames=np.zeros((5, 2)), frame_times=np.arange(5.0), frame_s=1.0)
    none = pd.DataFrame({"start_s": [], "end_s": [], "label": [], "score": []})
    monkeypatch.setattr("ecotf.tasks.clips.scored.score_recording", lambda *found: (scored, None))
    monkeypatch.setattr(mine_events, "ClipModel", lambda *parts: SimpleNamespace(classes=CLASSES, band_hz=(0.0, 1.0)))
    monkeypatch.setattr(mine_events, "find_events", lambda *found, numbers: heard.update(numbers) or none)
    table = pd.DataFrame(
        [("a", 1.0, 1.06, "owl", "train"), ("a", 3.0, 4.0, "wren", "train"), ("b", 1.0, 9.0, "owl", "test")],
        columns=["recording", "start_s", "end_s", "label", "split"],
    ).assign(fully_annotated="yes")
    manifest: Any = make_manifest(table, Path("/"), "test")
    rows = event_rows(manifest, manifest.recordings, dict.fromkeys(manifest.recordings, 10.0), CLASSES)
    plan = load_any_recipe("birds/events")
    material: Any = SimpleNamespace(data=SimpleNamespace(plan=plan, manifest=manifest), classes=CLASSES)
    network: Any = None
    mined = mine_events.mine_events(network, EventMiningConfig(score=0.5), material, FrameTruth(rows, 10, 0.2, 2.0))
    assert {name: numbers["step_s"] for name, numbers in heard.items()} == {"owl": 0.08, "wren": 0.96}
    assert mined.notes == ("0 false alarms above 0.5 in 2 training recordings",)


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        ("stages.0.mining={score: 0.5}", "draws.mined = 0"),
        ("stages.0.sound.time_shift.probability=0.5", "moves events away from their frames"),
        ("stages.0.loss={name: cross_entropy}", "events may overlap; allowed: binary"),
        ("stages.0.draws={events: 0, weak: 0, anywhere: 0}", "shares are all 0"),
        ("stages.0.mining={score: 0.5}; stages.0.draws.mined=0.2", "its weights are random"),
        ("network.head={name: gem}", "the head gem gives none"),
    ],
)
def test_a_recipe_that_cannot_be_is_one_line(overrides, match):
    with pytest.raises(ConfigError, match=match) as refused:
        load_any_recipe("birds/events", overrides.split("; "))
    assert "\n" not in str(refused.value)


def test_onsets_that_nobody_teaches_or_has_are_refused():
    none = "network.head.onsets=false"
    for recipe, overrides, said in (
        ("birds/small", ["network.head={name: events, onsets: true}"], "no stage teaches the head events"),
        ("songs/dense", [none], "stage 'train': onsets: the head events does not answer"),
        (
            "songs/dense", [none, "stages.0.onsets={}", "stages.1.onsets={}", "inference.events={name: onsets}"],
            "the finder onsets reads onsets, and the head events",
        ),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=said):
            load_any_recipe(recipe, overrides)


@pytest.mark.parametrize(("name", "step_s"), [("birds/events", 0.04), ("songs/dense", 0.002)])
def test_recipes_of_events_keep_their_promises(name, step_s):
    from types import SimpleNamespace

    from ecotf.tasks.clips.event_lesson import frames_of
    from ecotf.tasks.clips.network_models import fresh_model

    recipe = load_any_recipe(name)
    network = fresh_model(recipe, CLASSES).network
    assert network.n_parameters < 1_000_000
    material: Any = SimpleNamespace(data=SimpleNamespace(plan=recipe))
    frames, frame_s = frames_of(network, material, recipe.clips.seconds)
    assert frame_s == step_s and abs(frames * frame_s - recipe.clips.seconds) <= 2 * step_s
    assert all(isinstance(stage, FitEventsStage) for stage in recipe.stages)


def test_a_tagger_gives_its_backbone():
    small = {"name": "small", "stem": 4, "filters": [4, 4, 8], "blocks": [1, 1, 1], "expand": 1, "features": 8}

    def built(head: str, n_classes: int, **more: int) -> Any:
        config = {"backbone": small | more, "head": {"name": head}, "band_norm": True}
        return build_clip_network(ClipNetworkConfig.model_validate(config), n_classes, (None, 32, 1))

    tagger, network = built("sed", 1), built("events", 2, halvings=2)
    before = network.head.get_weights()
    network.carry_trunk(tagger.model.get_weights())
    for one, other in zip(tagger.backbone.get_weights(), network.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(before, network.head.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ConfigError, match="another backbone"):
        built("events", 2, stem=5).carry_trunk(tagger.model.get_weights())


def test_validation_has_two_recordings_of_each_class_where_train_keeps_two():
    names = [f"{label}{i}" for label, n in (("owl", 6), ("wren", 9), ("crow", 3)) for i in range(n)]
    table = pd.DataFrame({"recording": names, "start_s": 1.0, "end_s": 2.0})
    manifest = make_manifest(table.assign(label=table["recording"].str[:-1]), Path("/"), "test")
    for seed in range(3):
        split = split_by_group(manifest, {"train": 0.7, "valid": 0.15, "test": 0.15}, seed, valid_groups=2).table
        counts = split.groupby(["split", "label"]).size().unstack(fill_value=0)
        assert counts.loc["valid", "owl"] >= 2 and counts.loc["valid", "wren"] >= 2
        assert (counts.loc["train"] >= [1, 2, 2]).all()  # crow, owl, wren
