"""Clips: which sound is kept, what they say of themselves, and which give way to others."""

from __future__ import annotations

import sqlite3
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from ecotf_recorder.store import quota
from ecotf_recorder.store.clips import ClipKeeper, Origin
from ecotf_recorder.store.database import Database
from ecotf_recorder.store.quota import ClipRoom
from ecotf_recorder.store.spans import RecentSound, Span, SpanPlanner, SpanSettings
from hypothesis import given, settings
from hypothesis import strategies as st
from recorder_stand_ins import NOON
from recorder_states import Hands, call, full

from ecotf.audio.metadata import read_metadata

RATE = 8000
SPANS = SpanSettings(before_s=0.5, after_s=0.5, merge_s=0.2, longest_s=3.0)


def test_spans_around_detections():
    planner = SpanPlanner(SPANS, RATE)
    for start in (0.1, 0.9):
        planner.add(call(start))
    assert planner.ready(settled_s=2.0, n_samples=2 * RATE) == []  # another call could still join them
    assert planner.ready(settled_s=2.2, n_samples=RATE) == []  # the sound is not there yet
    first = planner.ready(settled_s=2.2, n_samples=2 * RATE)
    assert [(span.start, len(span.detections)) for span in first] == [(0, 2)]
    assert first[0].end == round((0.904 + 0.5) * RATE)
    planner.add(call(5.0))
    last = planner.ready(None, 6 * RATE)
    assert [(span.start / RATE, round(span.end / RATE, 3)) for span in last] == [(4.5, 5.504)]
    assert planner.ready(None, 9 * RATE) == []


def test_a_long_pass_is_cut_into_spans_that_meet():
    planner = SpanPlanner(SPANS, RATE)
    for start in np.arange(1, 12, 0.1):
        planner.add(call(start))
    spans = planner.ready(None, 13 * RATE)
    assert sum(len(span.detections) for span in spans) == 110
    assert all(span.end - span.start <= 3 * RATE for span in spans)
    assert all(one.end == other.start for one, other in pairwise(spans))


@settings(max_examples=40, deadline=None)
@given(pieces=st.lists(st.integers(0, 700), max_size=12), start=st.integers(0, 3000), n=st.integers(0, 900))
def test_recent_sound_is_the_last_of_the_stretch(pieces, start, n):
    recent, whole = RecentSound(500), np.arange(sum(pieces), dtype=np.int16)
    at = 0
    for piece in pieces:
        recent.push(whole[at : at + piece])
        at += piece
    first, found = recent.cut(start, start + n)
    expected = whole[max(start, at - 500, 0) : max(0, start + n)]
    np.testing.assert_array_equal(found, expected if at > start or len(expected) else whole[:0])
    assert len(found) == 0 or found[0] == first


@pytest.fixture
def keeper(tmp_path):
    def make(quota_bytes: float = 1e9, reserve: float = 0, hands: Hands | None = None):
        clock = (hands or Hands()).clock()
        database = Database(tmp_path / "d.sqlite")
        room = ClipRoom(tmp_path / "clips", database, quota_bytes, reserve)
        return (
            room,
            ClipKeeper(room, database, clock, RATE, {"Loc Position": "50.68 4.61", "ecotf|Model": "bats"}),
            clock,
        )

    return make


def keep(clips: ClipKeeper, start_s: float, score: float, wall: float | None = NOON) -> None:
    span = Span(0, RATE, [call(0.2, score), call(0.4, score / 2, "bat")])
    quality = "not set" if wall is None else "synchronised"
    clips.write(Origin("night", wall, 100.0, quality), span, round(start_s * RATE), np.full(RATE, 7, np.int16))


def test_a_clip_says_what_it_is(keeper):
    room, clips, _ = keeper()
    span = Span(2 * RATE, 3 * RATE, [call(2.25, 0.91), call(2.5, 0.4, "bat")])
    clips.write(Origin("night", NOON, 100.0), span, 2 * RATE, np.arange(RATE, dtype=np.int16))
    (path,) = room.folder.rglob("*.wav")
    assert path.relative_to(room.folder).as_posix() == "20260621/20260621T120002.000Z_Myotis-myotis_0.910.wav"
    fields = read_metadata(path)
    assert fields["Timestamp"] == "2026-06-21T12:00:02.000+00:00"
    assert fields["Loc Position"] == "50.68 4.61"
    assert fields["Species Auto ID"] == "Myotis myotis, bat"
    assert fields["ecotf|Score"] == "0.9100"
    assert fields["ecotf|Model"] == "bats"
    assert fields["ecotf|Detections"].startswith("0.2500 0.2540 30000 60000 Myotis myotis 0.9100; 0.5")
    sound, rate = soundfile.read(path, dtype="int16")
    assert rate == RATE
    np.testing.assert_array_equal(sound, np.arange(RATE))
    assert room.used == path.stat().st_size


def test_a_locked_database_costs_the_clip_and_nothing_else(keeper):
    room, clips, _ = keeper()
    keep(clips, 0, 0.5)
    room._database.commit()
    other = sqlite3.connect(room._database.path)
    other.execute("BEGIN IMMEDIATE")
    keep(clips, 10, 0.9)
    assert (clips.written, clips.skipped, clips.problem) == (1, 1, "clips: database is locked")
    assert len(list(room.folder.rglob("*.wav"))) == 1
    other.close()
    keep(clips, 20, 0.9)
    assert (clips.written, clips.problem) == (2, "")


def names(room) -> list[str]:
    return sorted(path.name[9:15] + path.name[-10:-4] for path in room.folder.rglob("*.wav"))


def test_the_least_sure_and_then_the_oldest_give_way(keeper):
    room, clips, _ = keeper(quota_bytes=3 * 20_000)
    for at, score in ((0, 0.95), (10, 0.31), (20, 0.35), (30, 0.92)):
        keep(clips, at, score)
    assert names(room) == ["120000_0.950", "120020_0.350", "120030_0.920"]
    keep(clips, 40, 0.2)  # only surer ones could give way
    assert names(room) == ["120000_0.950", "120020_0.350", "120030_0.920"]
    assert clips.skipped == 1
    assert "no room for clips" in clips.problem
    keep(clips, 50, 0.93)
    keep(clips, 60, 0.94)
    assert names(room) == ["120030_0.920", "120050_0.930", "120100_0.940"]
    assert clips.problem == ""
    assert room.used == sum(path.stat().st_size for path in room.folder.rglob("*.wav"))


def test_the_reserve_of_the_disk_is_left_alone(keeper, monkeypatch):
    room, clips, _ = keeper(reserve=1_000_000)
    monkeypatch.setattr(quota, "free_bytes", lambda _: 1_010_000)
    keep(clips, 0, 0.9)
    assert names(room) == []
    assert clips.skipped == 1


def test_a_disk_that_is_full_at_the_start_gets_some_room(keeper, monkeypatch):
    room, clips, _ = keeper()
    for at, score in ((0, 0.95), (10, 0.31), (20, 0.35), (30, 0.92)):
        keep(clips, at, score)
    left = iter([0, 0, 9e6])
    monkeypatch.setattr(quota, "free_bytes", lambda _: next(left))
    assert quota.make_first_room(room.folder) == 2
    assert names(room) == ["120000_0.950", "120030_0.920"]


def test_a_full_disk_costs_the_clip_and_nothing_else(keeper, monkeypatch):
    room, clips, _ = keeper()
    monkeypatch.setattr("ecotf_recorder.store.clips.write_fields", full)
    keep(clips, 0, 0.9)
    assert clips.problem == "disk full: detections go on without clips"
    assert list(room.folder.rglob("*.wav")) == []
    monkeypatch.undo()
    keep(clips, 1, 0.9)
    assert (clips.written, clips.skipped, clips.problem) == (1, 1, "")


def test_clips_and_database_agree_after_a_power_cut(keeper):
    room, clips, _ = keeper()
    for at in range(3):
        keep(clips, at, 0.5 + at / 10)
    room._database.commit()
    first, _, last = sorted(room.folder.rglob("*.wav"))
    first.unlink()
    stray = last.with_name("20260621T130000.000Z_x_0.770.wav")
    stray.write_bytes(last.read_bytes())
    (last.parent / ".partial-half.wav").write_bytes(b"RIFF")
    room.reconcile()
    scores = room._database.execute("SELECT score FROM clips ORDER BY score").fetchall()
    assert [round(score, 2) for (score,) in scores] == [0.6, 0.7, 0.77]
    assert not list(last.parent.glob(".partial*"))
    assert room.used == sum(path.stat().st_size for path in room.folder.rglob("*.wav"))


def test_clips_from_before_the_clock_was_set_are_renamed(keeper):
    hands = Hands(wall=50.0)
    room, clips, clock = keeper(hands=hands)
    keep(clips, 3, 0.9, wall=None)
    (path,) = room.folder.rglob("*.wav")
    assert (
        path.relative_to(room.folder).as_posix() == "unset-clock/unset-clock-abcd1234-103.000_Myotis-myotis_0.900.wav"
    )
    assert read_metadata(path)["ecotf|Clock"] == "not set"
    hands.wall = NOON
    clock.check()
    assert len(list(clips.date("abcd1234", clock.offset))) == 1
    (path,) = room.folder.rglob("*.wav")
    assert path.relative_to(room.folder).as_posix() == "20260621/20260621T120003.000Z_Myotis-myotis_0.900.wav"
    fields = read_metadata(path)
    assert fields["Timestamp"] == "2026-06-21T12:00:03.000+00:00"
    assert fields["ecotf|Clock"] == "redated"
    assert soundfile.info(path).frames == RATE
