from datetime import UTC, datetime

import pytest

from ecotf.audio.beginning import Began, find_beginning, iso_time, time_zone_of
from ecotf.errors import ConfigError
from tests.audio.dated_names import AUDIOMOTH, IN_ZONE, NAMES, STAMPS, as_written


@pytest.mark.parametrize("name", NAMES)
def test_times_in_names(name: str) -> None:
    expected, words = NAMES[name]
    began, note = find_beginning(name, [])
    assert iso_time(began) == as_written(expected)
    assert bool(words) == bool(note) and words in note


@pytest.mark.parametrize("stamp", STAMPS)
def test_times_in_metadata(stamp: str) -> None:
    expected, words = STAMPS[stamp]
    began, note = find_beginning("a.wav", [("GUANO", {"Timestamp": stamp})])
    assert iso_time(began) == as_written(expected)
    assert bool(words) == bool(note) and words in note


@pytest.mark.parametrize("name", IN_ZONE)
def test_times_in_a_stated_zone(name: str) -> None:
    expected, words = IN_ZONE[name]
    began, note = find_beginning(name, [], time_zone_of("Europe/Brussels"))
    assert iso_time(began) == as_written(expected)
    assert bool(words) == bool(note) and words in note


@pytest.mark.parametrize("comment", AUDIOMOTH)
def test_times_in_comments(comment: str) -> None:
    began, _ = find_beginning("a.wav", [("AudioMoth comment", {"Comment": comment})])
    assert iso_time(began) == as_written(AUDIOMOTH[comment])


def test_the_most_trusted_source_comes_first() -> None:
    guano = ("GUANO", {"Timestamp": "2026-06-21T22:15:00"})
    wamd = ("WAMD", {"Timestamp": "2026-06-21 22:15:01+02:00"})
    began, note = find_beginning("20260621_201500Z.wav", [guano])
    assert (began.source, began.zone_known, began.utc) == ("GUANO", False, None)
    assert note == "begins 2026-06-21 22:15:00 (GUANO); its time zone is not known"
    began, note = find_beginning("20260621_201500Z.wav", [guano, wamd])  # WAMD knows the zone of the same time of day
    assert (began.local.isoformat(), began.source, note) == ("2026-06-21T22:15:00+02:00", "GUANO", "")
    assert began.utc == datetime(2026, 6, 21, 20, 15, tzinfo=UTC)
    began, note = find_beginning("20260621_201500Z.wav", [("GUANO", {"Timestamp": "0001-01-01T00:00:00Z"}), wamd])
    assert began.source == "WAMD"
    assert note == "the time in its GUANO is left out: '0001-01-01T00:00:00Z' cannot be"


def test_times_of_detections() -> None:
    began, _ = find_beginning("20261025_013000.wav", [], time_zone_of("Europe/Brussels"))
    assert iso_time(began, 0.0004) == "2026-10-25T01:30:00.000+02:00"
    assert iso_time(began, 2.5 * 3600 + 0.0126) == "2026-10-25T03:00:00.013+01:00"  # the clocks went back in between
    assert iso_time(Began(datetime(2026, 6, 21, 23, 59, 59), "file name"), 1.5) == "2026-06-22T00:00:00.500"
    assert iso_time(None, 3) == ""


def test_names_of_zones() -> None:
    assert time_zone_of("+02:00").utcoffset(None) == time_zone_of("UTC+2").utcoffset(None)
    for wrong in ("Europe/Bruxelles", "", "Europe", "/etc/passwd", "../UTC", "+25:00", "CEST "):
        with pytest.raises(ConfigError, match=r"time zone .*: allowed are names such as Europe/Brussels"):
            time_zone_of(wrong)
