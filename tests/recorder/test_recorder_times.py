"""The sun against published values and an independent formula; schedules, also at the poles; clocks that jump."""

from __future__ import annotations

import math
import time
from datetime import UTC, date, datetime, timedelta

import pytest
from ecotf_recorder.errors import ConfigError
from ecotf_recorder.times import trust
from ecotf_recorder.times.beginning import find_beginning, iso_time, time_zone_of
from ecotf_recorder.times.clock import Clock, file_time
from ecotf_recorder.times.schedule import ListeningTimes, check_moment, parse_window
from ecotf_recorder.times.sun import CIVIL_DEG, SUNRISE_DEG, solar_position, sun_times
from recorder_stand_ins import right_since_2020

from tests.audio.dated_names import AUDIOMOTH, IN_ZONE, NAMES, STAMPS, as_written

UTC = UTC
TROMSO = 69.65, 18.96


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_the_suns_place_is_that_of_meeus():
    """Astronomical Algorithms, examples 25.a and 28.a: 13 October 1992, 0h."""
    declination, equation = solar_position(at("1992-10-13T00:00"))
    assert declination == pytest.approx(-7.78507, abs=2e-4)
    assert equation == pytest.approx(13 + 42.6 / 60, abs=0.01)


# From the tables of timeanddate.com and the U.S. Naval Observatory, to the minute, in UTC.
ALMANAC = [
    ("London, midsummer", 51.5074, -0.1278, "2024-06-20", "2024-06-20T03:43", "2024-06-20T20:21"),
    ("New York, midwinter", 40.7128, -74.0060, "2024-12-21", "2024-12-21T12:17", "2024-12-21T21:32"),
    ("Sydney, midsummer", -33.8688, 151.2093, "2024-12-21", "2024-12-20T18:41", "2024-12-21T09:05"),
]


@pytest.mark.parametrize(("place", "latitude", "longitude", "day", "rise", "down"), ALMANAC)
def test_sunrise_and_sunset_are_those_of_the_almanac(place, latitude, longitude, day, rise, down):
    found = sun_times(date.fromisoformat(day), latitude, longitude)
    for mine, published in zip(found, (rise, down), strict=True):
        assert abs(mine - at(published)) < timedelta(minutes=1.5), place


def height_of_the_sun(when: datetime, latitude: float, longitude: float) -> float:
    """Degrees, by the low-precision formulas of the Astronomical Almanac (page C5), good to 0.01 degrees."""
    n = (when - at("2000-01-01T12:00")).total_seconds() / 86400
    mean, anomaly = math.radians(280.460 + 0.9856474 * n), math.radians(357.528 + 0.9856003 * n)
    longitude_of_sun = mean + math.radians(1.915 * math.sin(anomaly) + 0.020 * math.sin(2 * anomaly))
    tilt = math.radians(23.439 - 4e-7 * n)
    ascension = math.atan2(math.cos(tilt) * math.sin(longitude_of_sun), math.cos(longitude_of_sun))
    declination = math.asin(math.sin(tilt) * math.sin(longitude_of_sun))
    sidereal = math.radians((280.46062 + 360.98564737 * n + longitude) % 360)
    hour, there = sidereal - ascension, math.radians(latitude)
    sine = math.sin(there) * math.sin(declination) + math.cos(there) * math.cos(declination) * math.cos(hour)
    return math.degrees(math.asin(sine))


@pytest.mark.parametrize("zenith", [SUNRISE_DEG, CIVIL_DEG])
@pytest.mark.parametrize("latitude", [-54.8, -33.9, 0.0, 12.5, 50.7, 65.0])
def test_the_sun_is_at_the_horizon_then(latitude, zenith):
    longitude = 37.0 - 3 * latitude
    for month in range(1, 13):
        day = date(2026, month, 5)
        up, down = sun_times(day, latitude, longitude, zenith)
        if down - up > timedelta(hours=23):  # bright nights: no dusk
            assert latitude > 60
            assert zenith == CIVIL_DEG
            continue
        for when in (up, down):
            assert height_of_the_sun(when, latitude, longitude) == pytest.approx(90 - zenith, abs=0.03)
        assert up < down


def test_beyond_the_polar_circle():
    up, down = sun_times(date(2026, 6, 21), *TROMSO)
    assert timedelta(hours=23.9) < down - up < timedelta(hours=24.1)
    up, down = sun_times(date(2026, 12, 21), *TROMSO)
    assert up == down
    assert height_of_the_sun(up, *TROMSO) < -1


def listening(times: ListeningTimes, start: str, hours: float, step_min: float = 10) -> float:
    """Hours of listening from ``start`` on."""
    first, steps = at(start).timestamp(), round(hours * 60 / step_min)
    return sum(times.listens(first + i * step_min * 60) for i in range(steps)) * step_min / 60


def test_from_before_sunset_to_after_sunrise():
    times = ListeningTimes(["sunset-00:30 to sunrise+00:30"], 51.5074, -0.1278)
    assert not times.listens(at("2024-06-20T19:50").timestamp())
    assert times.listens(at("2024-06-20T19:53").timestamp())
    assert times.listens(at("2024-06-21T00:00").timestamp())
    assert times.listens(at("2024-06-21T04:11").timestamp())
    assert not times.listens(at("2024-06-21T04:15").timestamp())
    change = times.next_change(at("2024-06-20T12:00").timestamp())
    assert abs(change - at("2024-06-20T19:51").timestamp()) < 90
    assert abs(times.next_change(change) - at("2024-06-21T04:13").timestamp()) < 90


def test_nights_that_do_not_come_and_nights_that_do_not_end():
    """At midnight sun an hour around midnight is left of the night; in polar night all is night, and nothing day."""
    night = ListeningTimes(["sunset-00:30 to sunrise+00:30"], *TROMSO)
    day = ListeningTimes(["sunrise to sunset"], *TROMSO)
    assert listening(night, "2026-06-20T10:45", 24) == pytest.approx(1, abs=0.2)
    assert listening(night, "2026-12-20T10:45", 24) == 24
    assert listening(day, "2026-06-20T10:45", 24) == pytest.approx(24, abs=0.2)
    assert listening(day, "2026-12-20T10:45", 24) == 0
    assert day.next_change(at("2026-12-20T10:45").timestamp()) is None


def test_times_of_the_clock_are_in_the_boards_zone(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Brussels")
    time.tzset()
    try:
        times = ListeningTimes(["21:30 to 06:15"], math.nan, math.nan)
        assert not times.listens(at("2026-06-21T19:29").timestamp())
        assert times.listens(at("2026-06-21T19:31").timestamp())
        assert times.listens(at("2026-06-22T04:14").timestamp())
        assert not times.listens(at("2026-06-22T04:16").timestamp())
        assert times.listens(at("2026-12-21T20:31").timestamp())
        assert not times.listens(at("2026-12-21T20:29").timestamp())
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_duty_cycle_within_the_night():
    times = ListeningTimes(["sunset to sunrise"], 51.5, -0.13, record_s=60, every_s=300)
    midnight = at("2026-06-21T00:00").timestamp()
    assert [times.listens(midnight + s) for s in (0, 59, 60, 299, 300)] == [True, True, False, False, True]
    assert times.next_change(midnight) == midnight + 60
    assert times.next_change(midnight + 60) == midnight + 300
    assert not times.listens(at("2026-06-21T12:00").timestamp())
    assert [times.listens_without_clock(s) for s in (0, 70, 310)] == [True, False, True]
    always = ListeningTimes([], math.nan, math.nan)
    assert always.listens(midnight)
    assert always.next_change(midnight) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [("sunset", "two moments are needed"), ("sundown to dawn", "'sundown' is no moment; allowed: a time such as 21:30"),
     ("25:00 to 06:00", "hours are 0 to 23"), ("sunset+1 to dawn", "no moment"), ("sunset to dawn", "site.latitude")],
)  # fmt: skip
def test_windows_that_cannot_be(text, reason):
    assert reason in check_moment(text, site_is_known=False)[0]


def test_windows_that_can():
    assert check_moment("21:30 to 06:00", site_is_known=False) == []
    first, last = parse_window("dusk+1:05 to dawn")
    assert (first.sun, first.offset, last.sun) == ("dusk", timedelta(minutes=65), "dawn")


class Hands:
    """Two clocks that a test turns."""

    def __init__(self, steady: float, wall: float) -> None:
        self.steady, self.wall = steady, wall

    def clock(self) -> Clock:
        return Clock(lambda: self.steady, lambda: self.wall, "abcd1234", right_since_2020)

    def passes(self, seconds: float) -> None:
        self.steady += seconds
        self.wall += seconds


def test_a_clock_in_1970_that_is_set_later():
    hands = Hands(12.5, 30.0)
    clock = hands.clock()
    assert not clock.is_set
    assert clock.at(12.5) is None
    assert clock.name(12.5) == "unset-clock-abcd1234-12.500"
    hands.passes(100)
    assert clock.check() == 0
    hands.wall = at("2026-06-21T20:15:00").timestamp()
    assert clock.check() > 1e9
    assert clock.is_set
    assert clock.name(12.5) == "20260621T201320.000Z"


def test_a_date_that_nothing_vouches_for_is_no_time(tmp_path, monkeypatch):
    """systemd moves the clock of a board without a chip to its own build date, years after 2020."""
    monkeypatch.setattr(trust, "_MARKER", tmp_path / "synchronized")
    monkeypatch.setattr(trust, "_CHIPS", tmp_path)
    monkeypatch.setattr(trust, "_kernel_is_synchronised", lambda: False)
    hands = Hands(12.5, at("2024-05-01T00:00:00").timestamp())
    clock = Clock(lambda: hands.steady, lambda: hands.wall, "abcd1234")
    assert not clock.is_set and clock.name(12.5).startswith("unset-clock-")
    assert trust.stated_quality(hands.wall) == "stated" and trust.stated_quality(0.0) == ""
    chip = tmp_path / "rtc0" / "since_epoch"
    chip.parent.mkdir()
    for time_of_chip in ("946684800", "", f"{hands.wall - 3600:.0f}"):  # an empty battery, a broken one, another time
        chip.write_text(time_of_chip)
        clock.check()
        assert not clock.is_set
    chip.write_text(f"{hands.wall - 1:.0f}")
    clock.check()
    assert clock.quality == "clock chip"
    hands.wall += 1000
    (tmp_path / "synchronized").touch()
    assert clock.check() == pytest.approx(1000)
    assert clock.quality == "synchronised"
    (tmp_path / "synchronized").unlink()
    clock.check()
    assert clock.quality == "synchronised"


def test_jumps_are_told_from_drift():
    hands = Hands(50.0, at("2026-06-21T20:15:00").timestamp())
    clock = hands.clock()
    hands.passes(10)
    hands.wall += 0.4
    assert clock.check() == 0
    hands.wall -= 3600
    assert clock.check() == pytest.approx(-3600)
    assert clock.check() == 0
    assert clock.at(50.0) == pytest.approx(hands.wall - 10)
    assert file_time(clock.at(60.0)) == "20260621T191510.400Z"


TABLE = [
    *((name, {}, *right, None) for name, right in NAMES.items()),
    *((name, {}, *right, "Europe/Brussels") for name, right in IN_ZONE.items()),
    *(("a.wav", {"Timestamp": stamp}, *right, None) for stamp, right in STAMPS.items()),
    *(("a.wav", {"Comment": text}, right, "zone is not known" if len(right) == 19 else "", None)
      for text, right in AUDIOMOTH.items()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "expected", "words", "zone"), TABLE)
def test_when_a_recording_began(name, fields, expected, words, zone):
    """The same table as the desktop's."""
    began, note = find_beginning(name, [("GUANO", fields)], zone and time_zone_of(zone))
    assert iso_time(began) == as_written(expected)
    assert bool(words) == bool(note) and words in note


def test_a_zone_that_is_none():
    with pytest.raises(ConfigError, match="time zone 'CEST ': allowed are names such as Europe/Brussels"):
        time_zone_of("CEST ")
