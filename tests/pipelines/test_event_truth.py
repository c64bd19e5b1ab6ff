"""What annotations say of clips and frames: known, not known, and what an epoch is drawn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ecotf.datasets.manifest import make_manifest
from ecotf.errors import DataError
from ecotf.pipelines.event_draws import EventDraws, EventDrawsConfig, quiet_places
from ecotf.pipelines.event_rows import EventRows, Kind, event_rows
from ecotf.pipelines.frame_truth import FrameTruth
from ecotf.pipelines.onset_truth import LEAST_S, OCTAVES, OnsetTruth, encoded

CLASSES = ("owl", "wren")
COLUMNS = ["recording", "start_s", "end_s", "label", "fully_annotated", "weak"]


def rows_of(*rows: tuple, **options) -> EventRows:
    table = pd.DataFrame([(*row, *[""] * (6 - len(row))) for row in rows], columns=COLUMNS)
    manifest = make_manifest(table.drop(columns=[] if (table["weak"] != "").any() else ["weak"]), Path("/"), "test")
    names = manifest.recordings
    return event_rows(manifest, names, dict.fromkeys(names, 10.0), CLASSES, unnamed_labels=["unknown"], **options)


def truth_of(rows: EventRows, recording: int, start_s: float, **options):
    truth = FrameTruth(rows, frames=10, frame_s=0.2, seconds=2.0, **options)
    packed = truth.packed(np.array([recording]), np.array([start_s]))
    assert packed.shape == (1, truth.width) == (1, 2 * 2 * 11)
    return truth.unpacked(packed)


def test_a_frame_is_covered_as_far_as_its_event_goes():
    rows = rows_of(("a", 1.1, 1.5, "owl", "yes"))
    clip, known, frames, frames_known = truth_of(rows, 0, 0.9)[:4]
    np.testing.assert_allclose(frames[0, :, 0], [0, 1, 1, 0, 0, 0, 0, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(truth_of(rows, 0, 1.0).frames[0, :4, 0], [0.5, 1, 0.5, 0], atol=1e-6)
    assert frames_known.all() and known.all() and clip[0].tolist() == [1, 0]


def test_time_without_a_label_is_a_negative_only_where_somebody_said_so():
    event = ("a", 1.0, 1.4, "owl")
    assert truth_of(rows_of((*event, "yes")), 0, 0.0).frames_known.all()
    partly = truth_of(rows_of((*event, "no")), 0, 0.0)
    assert partly.frames_known[0, :, 0].tolist() == [0, 0, 0, 0, 0, 1, 1, 0, 0, 0]
    assert not partly.frames_known[0, :, 1].any() and partly.clip_known[0].tolist() == [1, 0]
    nothing = truth_of(rows_of((*event, "no"), ("b", 0, np.nan, "")), 1, 3.0)
    assert nothing.frames_known.all() and not nothing.frames.any()


def test_beside_an_event_there_is_no_other_one():
    rows = rows_of(("a", 0.6, 0.8, "owl", "no"), ("a", 1.3, 1.4, "unknown", "no"), ("a", 1.8, 1.95, "owl", "no"))
    near = truth_of(rows, 0, 0.0, beside_s=0.45)
    # Frames of 0.2 s: both sides of both events, where they are near as a whole, but not the unknown one.
    assert near.frames_known[0, :, 0].tolist() == [0, 1, 1, 1, 1, 1, 0, 1, 1, 1]
    assert near.frames[0, :, 0].round(3).tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0.75]
    assert not near.frames_known[0, :, 1].any()
    assert truth_of(rows, 0, 0.0).frames_known[0, :, 0].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 1]


def test_ignored_stretches_are_negatives_and_unknown_ones_are_not():
    rows = rows_of(("a", 0.4, 0.8, ""), ("a", 2.0, 2.4, "unknown"), ("b", 1, 2, "unknown", "yes"))
    known = truth_of(rows, 0, 0.0).frames_known[0, :, 0]
    assert known.tolist() == [0, 0, 1, 1, 0, 0, 0, 0, 0, 0]
    known = truth_of(rows, 1, 0.0)
    assert known.frames_known[0, :, 1].tolist() == [1] * 5 + [0] * 5 and known.clip_known[0].tolist() == [0, 0]


def test_weak_labels_teach_clips_and_no_frames():
    rows = rows_of(("a", 0, np.nan, "owl"), ("b", 1, 2, "owl", "yes", "yes"))
    anywhere = truth_of(rows, 0, np.nan)
    assert anywhere.clip[0].tolist() == [1, 0] and anywhere.clip_known.all() and not anywhere.frames_known.any()
    around = truth_of(rows, 1, 0.5)
    assert around.clip[0].tolist() == [1, 0] and around.clip_known.all() and not around.frames.any()
    assert (
        around.frames_known[0, :, 0].tolist() == [1, 1, 0, 0, 0, 0, 0, 0, 1, 1] and around.frames_known[0, :, 1].all()
    )
    assert truth_of(rows, 1, 1.5).clip_known[0].tolist() == [0, 1]  # only a part of the stretch


def test_what_is_beyond_the_end_is_not_known():
    assert truth_of(rows_of(("a", 1, 2, "owl", "yes")), 0, 9.0).frames_known[0, :, 0].tolist() == [1] * 5 + [0] * 5


def test_odd_events_are_said_and_used_as_far_as_they_can_be():
    rows = rows_of(("a", 1, 1, "owl"), ("a", 2, 4, "owl"), ("a", 3, 5, "owl"), ("a", 12, 13, "wren"), point_s=0.1)
    spans = list(zip(rows.start_s, rows.end_s, strict=True))
    np.testing.assert_allclose(spans, [(0.95, 1.05), (2, 5)])
    said = " | ".join(rows.notes)
    assert "each given 0.1 s around its moment: 1" in said
    assert "overlap another of their class, and are learned with it as one: 1" in said
    assert "begin after the end of their recording, left out: 1" in said
    apart = rows_of(("a", 2, 4, "owl"), ("a", 2, 4, "owl"), ("a", 3, 5, "owl"), apart=True)
    np.testing.assert_allclose(list(zip(apart.start_s, apart.end_s, strict=True)), [(2, 4), (3, 5)])
    assert "onsets learn them apart, frames as one: 2" in "".join(apart.notes)


def test_onsets_and_lengths_are_those_of_the_nearest_event():
    rows = rows_of(("a", 1.0, 1.5, "owl", "yes"), ("a", 1.4, 4.4, "owl", "yes"), apart=True)
    truth = FrameTruth(rows, frames=10, frame_s=0.2, seconds=2.0, onsets=OnsetTruth(0.8))
    packed = truth.packed(np.array([0]), np.array([0.5]))
    found = truth.unpacked(packed)
    onsets = found.onsets[0, :, 0]
    assert (onsets > 0.9).nonzero()[0].tolist() == [2, 4] and onsets[7] < 0.01 and not found.onsets[..., 1].any()
    assert found.ends[0, 4, 0] == 1 and found.ends[0, 2, 0] < 0.2
    lengths = LEAST_S * 2 ** (OCTAVES * found.lengths[0, :, 0])
    np.testing.assert_allclose(lengths[[2, 4]], [0.5, 3.0], rtol=1e-5)
    assert found.lengths_known[0, 2, 0] == 1 and found.lengths_known[0, 4, 0] == 0  # it goes on after the clip
    truth.add_event(packed[0], 1, 0.4, 0.8)
    added = truth.unpacked(packed)
    assert added.onsets[0, 2, 1] == 1 and added.lengths_known[0, 2, 1] == 1
    assert added.lengths[0, 2, 1] == pytest.approx(float(encoded(0.4)), abs=1e-6)
    nowhere = truth.unpacked(truth.packed(np.array([0]), np.array([np.nan])))
    assert not nowhere.onsets.any() and nowhere.frames_known[0, :, 1].all()


def test_boxes_outside_of_the_band_are_unknown():
    table = pd.DataFrame([("a", 1, 2, "owl", 13000, 14000)], columns=[*COLUMNS[:4], "low_hz", "high_hz"])
    manifest = make_manifest(table, Path("/"), "test")
    rows = event_rows(manifest, ["a"], {"a": 10.0}, CLASSES, band_hz=(100, 12000))
    assert rows.kind.tolist() == [Kind.UNKNOWN] and "100 to 12000 Hz" in rows.notes[0]


def test_a_column_of_yes_and_no_takes_nothing_else():
    with pytest.raises(DataError, match=r"'a': fully_annotated is 'perhaps' \(1 rows\); allowed are yes, no"):
        rows_of(("a", 1, 2, "owl", "perhaps"))
    with pytest.raises(DataError, match="fully_annotated in some rows and not in others"):
        rows_of(("a", 1, 2, "owl", "yes"), ("a", 3, 4, "owl", "no"))


def test_each_batch_has_its_shares_and_rare_events_come_more_often():
    rows = rows_of(
        *[("a", 0.1 * i, 0.1 * i + 0.05, "owl", "yes") for i in range(90)],
        *[("b", i, i + 0.5, "wren", "yes") for i in range(5)],
        ("c", 0, np.nan, "owl"),
    )
    config = EventDrawsConfig(events=0.5, weak=0.25, anywhere=0.25, mined=0.3, power=-1, clips=160)
    draws = EventDraws(rows, config, 2.0)
    assert draws.shares == {"events": 0.5, "weak": 0.25, "anywhere": 0.25}
    recording, start_s, _ = draws.draw(1, 0)
    np.testing.assert_array_equal(draws.draw(1, 0)[1], start_s)
    assert (draws.draw(1, 1)[1] != start_s).any()
    weak = recording == 2
    assert weak.sum() == 40 and np.isnan(start_s[weak]).all() and np.isfinite(start_s[~weak]).all()
    assert all(3 <= some.sum() <= 5 for some in weak.reshape(-1, 16))
    assert abs((recording == 0).sum() - (recording == 1).sum()) < 40  # 18 times as many events, alike in draws
    assert (start_s[~weak] >= 0).all() and (start_s[~weak] <= 8.0).all()


@pytest.mark.parametrize(
    ("settings", "clips"),
    [({}, 22), ({"clips": 7}, 7), ({"clips_each": 48}, 96), ({"clips_each": 48, "clips": 90}, 90)],
)
def test_how_many_clips_an_epoch_has(settings, clips):
    rows = rows_of(("a", 1.0, 2.0, "owl", "yes"), ("b", 1.0, 2.0, "wren", "yes"))  # 20 s and two events
    assert len(EventDraws(rows, EventDrawsConfig(**settings), 1.0).draw(1, 0)[0]) == clips


def test_a_clip_holds_its_event_or_lies_inside_of_it():
    short, long = rows_of(("a", 4.0, 5.0, "owl")), rows_of(("a", 1.0, 9.0, "owl"))
    for rows, low, high in ((short, 3.0, 4.0), (long, 1.0, 7.0)):
        start_s = EventDraws(rows, EventDrawsConfig(clips=200), 2.0).draw(0, 0)[1]
        assert low <= start_s.min() < low + 0.2 and high - 0.2 < start_s.max() <= high


def test_quiet_places_hold_no_event():
    rows = rows_of(("a", 1, 2, "owl", "yes"), ("a", 1.5, 4, "wren", "yes"), ("b", 5, 8, ""), ("b", 6, 6.5, "owl"))
    places = quiet_places(rows, 1.0)
    spans = list(zip(places.recording, places.start_s, places.end_s, strict=True))
    assert spans == [(0, 0.0, 1.0), (0, 4.0, 10.0), (1, 5.0, 6.0), (1, 6.5, 8.0)]
