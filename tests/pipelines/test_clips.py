"""Clips of recordings: what they are labelled with, what they weigh, where windows lie, and how they are drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ecotf.config import validate
from ecotf.datasets.manifest import make_manifest, read_manifest, write_manifest
from ecotf.errors import ConfigError, DataError
from ecotf.pipelines.clip_places import background_recordings, clips_of_recordings, segments_of_recordings
from ecotf.pipelines.clips import ClipsConfig, ClipTable
from ecotf.pipelines.samplers import (
    SamplerConfig,
    class_counts,
    class_weights,
    draw_by_class,
    draw_order,
    with_at_least,
)

CLASSES = ["a", "b", "c"]
ROWS = [  # recording, label, weight, foreground, rating, role
    ("1.ogg", "a", 0.8, 1, 4.0, ""),
    ("1.ogg", "b", 0.64, 0, 4.0, ""),
    ("1.ogg", "stranger", 0.64, 0, 4.0, ""),
    ("2.ogg", "b", 0.4, 0, 0.0, ""),
    ("3.ogg", "stranger", 1.0, 1, 5.0, ""),
    ("4.ogg", "", 1.0, 1, 5.0, ""),
    ("rain.ogg", "", 1.0, np.nan, np.nan, "background"),
]


@pytest.fixture(params=["fresh", "from a file"])
def manifest(request, tmp_path):
    columns = ["recording", "label", "weight", "foreground", "rating", "role"]
    made = make_manifest(pd.DataFrame(ROWS, columns=columns).assign(start_s=0.0, end_s=np.nan), tmp_path, "test")
    if request.param == "fresh":
        return made
    write_manifest(made, tmp_path / "m.csv")  # optional columns come back as text
    return read_manifest(tmp_path / "m.csv")


def test_clips_of_whole_recordings(manifest):
    clips = clips_of_recordings(manifest, CLASSES, ClipsConfig(secondary_value=0.7))
    assert clips.recordings == ["1.ogg", "2.ogg", "4.ogg"]
    np.testing.assert_allclose(clips.table.targets, [[1, 0.7, 0], [0, 0.7, 0], [0, 0, 0]])
    np.testing.assert_allclose(clips.table.weight, [0.8, 0.4, 1])
    assert np.isnan(clips.table.start_s).all()
    assert clips.table.foreground.tolist() == [True, False, True]
    assert clips.outside == {"stranger": 2}
    assert background_recordings(manifest) == ["rain.ogg"]
    assert clips.paths(manifest)[0] == manifest.root / "1.ogg"


def test_ratings_weigh_anew(manifest):
    weights = clips_of_recordings(manifest, CLASSES, ClipsConfig(unrated=3.0)).table.weight
    np.testing.assert_allclose(weights, [0.8, 0.6 * 0.8, 1], atol=1e-6)
    one, again, other = (
        clips_of_recordings(manifest, CLASSES, ClipsConfig(unrated="random"), seed).table.weight for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert one[0] == other[0] == np.float32(0.8)


def test_no_clip_of_any_class(manifest):
    only = manifest.subset(["3.ogg"])
    with pytest.raises(
        DataError, match=r"no recording has any of the 3 classes \(a, b, c, ...\); its labels are stranger"
    ):
        clips_of_recordings(only, CLASSES, ClipsConfig())


def test_windows_lie_one_after_the_other():
    table = pd.DataFrame(
        [("x.ogg", 0.0, np.nan, "a"), ("y.ogg", 6.0, 6.5, "b"), ("y.ogg", 9.9, 10.2, "c"), ("z.ogg", 0.0, 1.0, "a")],
        columns=["recording", "start_s", "end_s", "label"],
    )
    manifest = make_manifest(table, ".", "test")
    lengths = {"x.ogg": 12.4, "y.ogg": 12.6}  # z cannot be read
    clips = segments_of_recordings(manifest, lengths, CLASSES, ClipsConfig(seconds=5))
    assert clips.recordings == ["x.ogg", "y.ogg"]
    found = list(zip(clips.table.recording, clips.table.start_s, clips.table.targets.tolist(), strict=True))
    assert found == [
        (0, 0.0, [1, 0, 0]), (0, 5.0, [1, 0, 0]),  # what is left, 2.4 s, is less than half of a window
        (1, 0.0, [0, 0, 0]), (1, 5.0, [0, 1, 1]), (1, 10.0, [0, 0, 1]),
    ]  # fmt: skip
    half = segments_of_recordings(manifest, lengths, CLASSES, ClipsConfig(seconds=5, least_overlap=0.5)).table
    assert half.targets[half.recording == 1, 2].tolist() == [0, 0, 1]  # a third of the call, and two thirds
    short = segments_of_recordings(manifest, {"x.ogg": 0.5}, CLASSES, ClipsConfig(seconds=5)).table
    assert short.start_s.tolist() == [0] and short.targets.tolist() == [[1, 0, 0]]
    overlapping = segments_of_recordings(manifest, lengths, CLASSES, ClipsConfig(seconds=5), hop_s=2.5).table
    assert overlapping.start_s[overlapping.recording == 1].tolist() == [0, 2.5, 5, 7.5, 10]
    with pytest.raises(DataError, match="none of the recordings can be read"):
        segments_of_recordings(manifest, {}, CLASSES, ClipsConfig())


def test_windows_that_nobody_has_listened_to_are_left_out():
    rows = [("x.ogg", 11.0, 12.0, "a", ""), ("x.ogg", 4.0, 11.0, "", ""), ("y.ogg", 6.0, 6.5, "b", "")]
    table = pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label", "fully_annotated"])
    manifest, lengths = make_manifest(table, ".", "test"), {"x.ogg": 25.0, "y.ogg": 10.0}
    clips = segments_of_recordings(manifest, lengths, CLASSES, ClipsConfig(seconds=5)).table
    found = list(zip(clips.recording, clips.start_s, clips.targets.tolist(), strict=True))
    # y has no stretch without a call, so it is learned from as ever.
    assert found == [(0, 5, [0, 0, 0]), (0, 10, [1, 0, 0]), (1, 0, [0, 0, 0]), (1, 5, [0, 1, 0])]
    full = make_manifest(table.assign(fully_annotated="yes"), ".", "test")
    assert len(segments_of_recordings(full, lengths, CLASSES, ClipsConfig(seconds=5)).table) == 7


def table_of(counts, secondary=False):
    targets = np.repeat(np.eye(len(counts), dtype=np.float32), counts, axis=0)
    if secondary:
        targets[:, 0] = np.maximum(targets[:, 0], 0.9)
    n = len(targets)
    return ClipTable(np.arange(n), np.full(n, np.nan), targets, np.ones(n, np.float32))


def test_take_and_join():
    table = table_of([2, 3])
    both = table.take(np.array([4, 0])).joined(table)
    assert both.recording.tolist() == [4, 0, 0, 1, 2, 3, 4] and len(both) == 7
    assert both.targets[0].tolist() == [0, 1] and both.foreground.all()


def test_class_weights_are_counts_to_the_power():
    table = table_of([100, 25, 4, 0], secondary=True)  # the strongest label counts
    assert class_counts(table).tolist() == [100, 25, 4, 0]
    np.testing.assert_allclose(class_weights(table), (np.array([100, 25, 4, 1]) / 129) ** -0.5, rtol=1e-6)
    np.testing.assert_allclose(class_weights(table, -1.0), 129 / np.array([100, 25, 4, 1]), rtol=1e-6)
    assert class_counts(ClipTable(np.zeros(1, int), np.zeros(1), np.zeros((1, 2)), np.ones(1))).tolist() == [0, 0]


def test_balanced_sampling_draws_by_the_weights():
    table = table_of([400, 100, 4])
    order = draw_order(table, SamplerConfig(name="balanced", clips=40_000), 1, 0)
    shares = np.bincount(table.targets[order].argmax(axis=1)) / 40_000
    expected = np.sqrt([400, 100, 4])  # n clips, each with a weight of n ** -0.5
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=0.01)
    published = draw_order(table, SamplerConfig(name="balanced", clips=40_000, power=-1.0), 1, 0)
    np.testing.assert_allclose(np.bincount(table.targets[published].argmax(axis=1)) / 40_000, 1 / 3, atol=0.01)


def test_classes_come_in_turn_and_no_clip_again_before_the_others():
    table = table_of([400, 20, 3, 0])
    order = draw_order(table, SamplerConfig(name="in_turn", clips=3000), 1, 0)
    classes = table.targets[order].argmax(axis=1)
    assert (np.sort(classes.reshape(-1, 3), axis=1) == [0, 1, 2]).all()
    assert len(np.unique(classes.reshape(-1, 3), axis=0)) == 6  # in every order
    for code, count in ((0, 400), (1, 20), (2, 3)):
        own = order[classes == code][: 1000 // count * count].reshape(-1, count)
        assert all(len(set(turn)) == count for turn in own) and (len(own) < 2 or own[0].tolist() != own[1].tolist())


def test_a_clip_of_several_classes_belongs_to_each_and_one_of_none_never_comes():
    table = ClipTable(np.arange(3), np.zeros(3), np.array([[1, 1], [1, 0], [0, 0]], np.float32), np.ones(3))
    order = draw_order(table, SamplerConfig(name="in_turn", clips=400), 1, 0)
    assert np.bincount(order, minlength=3).tolist() == [300, 100, 0]
    none = ClipTable(np.arange(3), np.zeros(3), np.zeros((3, 2), np.float32), np.ones(3))
    assert sorted(draw_order(none, SamplerConfig(name="in_turn"), 1, 0)) == [0, 1, 2]


def test_every_other_batch_is_plain():
    table = table_of([90, 10])
    order = draw_order(table, SamplerConfig(name="alternating", clips=190), 1, 0, batch=10)
    batches = table.targets[order].argmax(axis=1).reshape(-1, 10)
    assert (batches[::2].sum(axis=1) == 5).all()  # half of each class
    plain = order.reshape(-1, 10)[1::2].ravel()
    assert sorted(plain) == sorted(set(plain)) and 5 < batches[1::2].sum() <= 10


@pytest.mark.parametrize("name", ["plain", "balanced", "in_turn", "alternating"])
def test_an_epoch_comes_again_from_its_seed(name):
    table, config = table_of([20, 5]), SamplerConfig(name=name)
    one, again, later, other = (draw_order(table, config, *pair) for pair in ((1, 0), (1, 0), (1, 1), (2, 0)))
    np.testing.assert_array_equal(one, again)
    assert one.tolist() != later.tolist() and one.tolist() != other.tolist() and len(one) == 25
    if name == "plain":
        assert sorted(one) == list(range(25))


def test_rare_classes_come_more_often():
    table = with_at_least(table_of([10, 3, 1, 0]), 8, seed=0)
    assert class_counts(table).tolist() == [10, 8, 8, 0]
    assert table.recording[:14].tolist() == list(range(14))
    assert np.bincount(table.recording)[10:13].tolist() in ([3, 3, 2], [3, 2, 3], [2, 3, 3])
    assert len(with_at_least(table_of([3, 3]), 0, seed=0)) == 6


def test_settings_that_cannot_be():
    for values in ({"seconds": 0}, {"crop": "middle"}, {"pad": "loop"}, {"secondary_value": 2}, {"unrated": "some"}):
        with pytest.raises(ConfigError, match=next(iter(values))):
            validate(ClipsConfig, values, "recipe")


def test_batches_of_classes():
    """All classes before one comes again, all clips of a class before one does; a class with one has it twice."""
    targets = np.zeros((23, 6), np.float32)
    targets[np.arange(22), [*np.repeat(np.arange(4), 5), 4, 4]] = 1  # of the last class there is none, of one clip too
    table = ClipTable(np.arange(23), np.zeros(23), targets, np.ones(23, np.float32))
    order = draw_by_class(table, 2, 3, 6, seed=1, epoch=0)
    assert order.shape == (6, 6)
    codes = targets.argmax(axis=1)[order].reshape(6, 2, 3)
    assert (codes == codes[:, :, :1]).all() and (codes[:, 0] != codes[:, 1]).all()
    for first in (0, 2, 4):  # two batches have four of the five classes
        assert len(np.unique(codes[first : first + 2])) == 4
    for code in range(4):
        own = order[targets.argmax(axis=1)[order] == code]
        assert len(np.unique(own[:5])) == min(5, len(own)) and (targets[own].argmax(axis=1) == code).all()
    np.testing.assert_array_equal(order, draw_by_class(table, 2, 3, 6, seed=1, epoch=0))
    assert (order != draw_by_class(table, 2, 3, 6, seed=1, epoch=1)).any()
    assert draw_by_class(table, 9, 2, 1, seed=1, epoch=0).shape == (1, 10)
