"""When the sun rises and sets: the equations of NOAA's solar calculator (after Meeus, Astronomical Algorithms).

https://gml.noaa.gov/grad/solcalc/calcdetails.html. Good to a minute between the polar circles, for years 1900 to 2100.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

SUNRISE_DEG = 90.833
"""Zenith of the sun's centre as its upper edge touches the horizon, with refraction."""
CIVIL_DEG = 96.0
"""Zenith at the end of civil twilight."""

_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)


def solar_position(when: datetime) -> tuple[float, float]:
    """The sun's apparent declination in degrees, and the equation of time in minutes."""
    t = (when - _J2000).total_seconds() / 86400 / 36525
    mean_longitude = (280.46646 + t * (36000.76983 + 0.0003032 * t)) % 360
    anomaly = math.radians(357.52911 + t * (35999.05029 - 0.0001537 * t))
    eccentricity = 0.016708634 - t * (0.000042037 + 0.0000001267 * t)
    centre = (
        math.sin(anomaly) * (1.914602 - t * (0.004817 + 0.000014 * t))
        + math.sin(2 * anomaly) * (0.019993 - 0.000101 * t)
        + math.sin(3 * anomaly) * 0.000289
    )
    node = math.radians(125.04 - 1934.136 * t)
    longitude = math.radians(mean_longitude + centre - 0.00569 - 0.00478 * math.sin(node))
    seconds = 21.448 - t * (46.815 + t * (0.00059 - 0.001813 * t))
    obliquity = math.radians(23 + (26 + seconds / 60) / 60 + 0.00256 * math.cos(node))
    declination = math.degrees(math.asin(math.sin(obliquity) * math.sin(longitude)))
    y, mean = math.tan(obliquity / 2) ** 2, math.radians(mean_longitude)
    equation = (
        y * math.sin(2 * mean)
        - 2 * eccentricity * math.sin(anomaly)
        + 4 * eccentricity * y * math.sin(anomaly) * math.cos(2 * mean)
        - 0.5 * y * y * math.sin(4 * mean)
        - 1.25 * eccentricity**2 * math.sin(2 * anomaly)
    )
    return declination, 4 * math.degrees(equation)


def sun_times(
    day: date, latitude: float, longitude: float, zenith_deg: float = SUNRISE_DEG
) -> tuple[datetime, datetime]:
    """When the sun comes up to and goes down from a zenith distance, before and after the noon of ``day``.

    Where it stays up the whole day, both are at the midnights around that noon; where it stays down, both are at noon.

    Parameters
    ----------
    day
        Of the noon, counted in local solar time.
    latitude, longitude
        Degrees, north and east positive.

    Returns
    -------
    rise, set
        In UTC.
    """
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC) - timedelta(minutes=4 * longitude)
    noon -= timedelta(minutes=solar_position(noon)[1])
    found = []
    for side in (-1, 1):
        when = noon
        for _ in range(4):  # the sun's place at the event itself, not at noon
            declination, equation = solar_position(when)
            angle = _hour_angle(latitude, declination, zenith_deg)
            middle = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
            when = middle + timedelta(minutes=4 * (side * angle - longitude) - equation)
        found.append(when)
    return found[0], found[1]


def _hour_angle(latitude: float, declination: float, zenith_deg: float) -> float:
    """Degrees from noon; 180 where the sun stays above the zenith distance, 0 where it stays below."""
    there, sun = math.radians(max(-89.9, min(89.9, latitude))), math.radians(declination)
    cosine = math.cos(math.radians(zenith_deg)) / (math.cos(there) * math.cos(sun)) - math.tan(there) * math.tan(sun)
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
