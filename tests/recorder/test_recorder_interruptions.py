"""What kills, stops, and clocks that are set do to the recorder's loop: what is lost is told, and when."""

from __future__ import annotations

import sqlite3

import numpy as np
import pandas as pd
import pytest
from ecotf_recorder.scoring.opening import open_stream
from ecotf_recorder.sources.events import Began, Ended
from ecotf_recorder.times.clock import Clock, steady
from recorder_sources import Scripted, in_pieces
from recorder_stand_ins import NOON, RATE, right_since_2020
from recorder_states import WallHands, gaps, health, table


@pytest.mark.parametrize("boot", ["same", "other", "unset", "set later"])
def test_sound_that_a_kill_or_a_stop_cost_is_a_gap(assembled, tmp_path, sound_of, boot):
    hands = WallHands(wall=NOON)
    began = steady()
    killed = assembled(Scripted(), hands.clock())
    for event in (Began(began - 100), *in_pieces(sound_of(3))):
        killed.take(event)
    killed._commit()
    heard_s = killed._stretch.settled_s
    assert 0.5 < heard_s < len(sound_of(3)) / RATE
    killed._notebook.database.close()
    if "set" in boot:
        hands.wall = 100.0

    def sets_the_clock() -> None:
        hands.wall = NOON if boot == "set later" else hands.wall
        recorder._look_at = 0.0

    clock = Clock(steady, lambda: hands.wall + steady() - hands.began, "abcd1234" if boot == "same" else "other",
                  right_since_2020)  # fmt: skip
    recorder = assembled(Scripted(Began(began), *in_pieces(sound_of(3)), sets_the_clock, Began(began + 50)), clock)
    recorder.listen()
    ((when, seconds, reason, _),) = gaps(tmp_path)
    if boot == "unset":
        assert (when, seconds) == ("", "")
        assert reason == "the recorder was killed, or lost its power; for how long is not known"
        return
    assert reason == "the recorder was killed, or lost its power"
    assert float(seconds) == pytest.approx(100 - heard_s, abs=0.01), "what was not settled is lost, too"
    assert abs(pd.Timestamp(when) - pd.Timestamp(NOON - 100 + heard_s, unit="s", tz="UTC")).total_seconds() < 0.5


@pytest.mark.parametrize("samples", [600_000, 760_000, 900_000])
def test_what_is_called_heard_before_a_kill_has_all_its_detections(assembled, tmp_path, field_model, sound_of, samples):
    """Scoring is some way behind the sound. A kill loses what is not scored, so the gap must begin there."""
    sound, stream = sound_of(3, 4.0), open_stream(field_model, live=True)
    whole = [one.start_s for one in (*stream.push(sound), *stream.finish())]
    killed = assembled(Scripted())
    for event in (Began(steady()), *in_pieces(sound[:samples], 4_000)):
        killed.take(event)
    killed._commit()
    killed._notebook.database.close()
    with sqlite3.connect(tmp_path / "state" / "detections.sqlite") as database:
        ((heard_s,),) = database.execute("SELECT seconds FROM stretches").fetchall()
        rows = [start for (start,) in database.execute("SELECT start_s FROM detections ORDER BY start_s")]
    expected = [start for start in whole if start < heard_s]
    assert len(expected) > 5 and 0 < heard_s < samples / RATE
    np.testing.assert_allclose(rows[: len(expected)], expected, atol=1e-6)


def test_a_stop_is_a_gap_and_the_end_of_a_window_is_none(assembled, tmp_path, sound_of):
    now = steady()
    recorder = assembled(Scripted(Began(now - 50), *in_pieces(sound_of(3)), lambda: recorder.ask_to_stop()))
    recorder.listen()
    assembled(Scripted(Began(now), *in_pieces(sound_of(3)), Ended())).listen()  # by its schedule
    assembled(Scripted(Began(now + 50), *in_pieces(sound_of(3)), Ended())).listen()
    ((_, seconds, reason, _),) = gaps(tmp_path)
    assert reason == "the recorder was stopped"
    assert float(seconds) == pytest.approx(50 - 2.3, abs=0.1)


def test_a_clock_that_is_set_in_mid_stretch(assembled, tmp_path, sound_of):
    hands = WallHands(wall=100.0)
    sound, now = sound_of(3), steady()

    def sets_the_clock() -> None:
        recorder._commit()
        assert table(tmp_path)["recording"].iloc[0].startswith("unset-clock-abcd1234-")
        hands.wall = NOON
        recorder._look_at = 0.0

    recorder = assembled(
        Scripted(Began(now), *in_pieces(sound), sets_the_clock, *in_pieces(sound), Ended()), clock=hands.clock()
    )
    recorder.listen()
    found = table(tmp_path)
    assert found["recording"].nunique() == 1
    assert found["recording"].iloc[0].startswith("20260621T12")
    times = pd.to_datetime(found["time"])
    assert times.is_monotonic_increasing
    assert abs(times.iloc[0] - pd.Timestamp(NOON, unit="s", tz="UTC")).total_seconds() < 60
    np.testing.assert_allclose(
        (times - times.iloc[0]).dt.total_seconds(), found["start_s"] - found["start_s"].iloc[0], atol=2e-3
    )
    assert not list((tmp_path / "state" / "clips").glob("unset-clock/*.wav"))
    assert len(list((tmp_path / "state" / "clips").glob("20260621/*.wav"))) == health(tmp_path)["clips"]


def test_a_recorder_may_wait_for_its_clock(assembled):
    for wish, on in (("wait", False), ("listen", True)):
        hands, source = WallHands(wall=100.0), Scripted(None)
        recorder = assembled(source, clock=hands.clock(), unset=wish)
        recorder._look_at_clocks()
        assert source.on == on
        hands.wall, recorder._look_at = NOON, 0.0
        recorder._look_at_clocks()
        assert source.on


def test_a_jump_of_the_clock_is_logged_and_followed(assembled, tmp_path, sound_of, caplog):
    hands = WallHands(wall=NOON)
    sound, now = sound_of(3), steady()

    def jumps() -> None:
        hands.wall += 3600
        recorder._look_at = 0.0

    recorder = assembled(
        Scripted(Began(now), *in_pieces(sound), jumps, *in_pieces(sound), Ended()), clock=hands.clock()
    )
    recorder.listen()
    assert "the clock jumped by +3600.0 s" in caplog.text
    found = table(tmp_path)
    assert found["recording"].nunique() == 1
    late = pd.to_datetime(found["time"]).diff().dt.total_seconds() - found["start_s"].diff()
    assert late.max() == pytest.approx(3600, abs=1)
    assert (late.abs() > 1).sum() == 1
