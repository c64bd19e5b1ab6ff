"""Sunset and sunrise, by the formulas of NOAA's solar calculator (after Meeus, *Astronomical Algorithms*).

They are within a minute of the almanac between the polar circles for the years 1900 to 2100.
Source: https://gml.noaa.gov/grad/solcalc/calcdetails.html
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

_ZENITH_DEG = 90.833  # the sun's upper edge on the horizon, with refraction


def sun_time(
    dates: NDArray[np.datetime64],
    latitude: NDArray[np.float64] | float,
    longitude: NDArray[np.float64] | float,
    what: Literal["sunset", "sunrise"] = "sunset",
) -> NDArray[np.datetime64]:
    """Return the moment of sunset or sunrise in UTC; NaT where the sun does not set or rise that day.

    Parameters
    ----------
    dates
        Days of the local calendar.
    latitude, longitude
        Degrees; north and east are above 0.

    Examples
    --------
    >>> str(sun_time(np.array(["2024-06-20"], "datetime64[D]"), 51.4779, 0.0)[0])[:16]
    '2024-06-20T20:20'
    """
    days = np.asarray(dates, "datetime64[D]")
    latitude, longitude = np.broadcast_arrays(np.asarray(latitude, float), np.asarray(longitude, float))
    sign = 1.0 if what == "sunset" else -1.0
    minutes = np.broadcast_to(720.0 - 4.0 * longitude + sign * 360.0, days.shape).astype(float)
    for _ in range(3):  # the sun moves on while it sinks
        declination, equation = _sun(days, minutes)
        cosine = np.cos(np.radians(_ZENITH_DEG)) / (np.cos(np.radians(latitude)) * np.cos(declination)) - np.tan(
            np.radians(latitude)
        ) * np.tan(declination)
        with np.errstate(invalid="ignore"):
            angle = np.degrees(np.arccos(cosine))
        minutes = 720.0 - 4.0 * longitude - equation + sign * 4.0 * angle
    known = np.isfinite(minutes)
    seconds = np.round(np.where(known, minutes, 0.0) * 60).astype("timedelta64[s]")
    moments = days.astype("datetime64[s]") + seconds
    return np.where(known, moments, np.datetime64("NaT", "s"))


def _sun(days: NDArray[np.datetime64], minutes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The sun's declination in radians and the equation of time in minutes."""
    since = (days - np.datetime64("2000-01-01", "D")).astype(float) - 0.5 + np.nan_to_num(minutes, nan=720.0) / 1440
    century = since / 36525.0
    mean_longitude = np.radians((280.46646 + century * (36000.76983 + century * 0.0003032)) % 360)
    anomaly = np.radians(357.52911 + century * (35999.05029 - 0.0001537 * century))
    eccentricity = 0.016708634 - century * (0.000042037 + 0.0000001267 * century)
    centre = (
        np.sin(anomaly) * (1.914602 - century * (0.004817 + 0.000014 * century))
        + np.sin(2 * anomaly) * (0.019993 - 0.000101 * century)
        + np.sin(3 * anomaly) * 0.000289
    )
    node = np.radians(125.04 - 1934.136 * century)
    apparent = np.radians(np.degrees(mean_longitude) + centre - 0.00569 - 0.00478 * np.sin(node))
    seconds = 21.448 - century * (46.815 + century * (0.00059 - century * 0.001813))
    obliquity = np.radians(23.0 + (26.0 + seconds / 60.0) / 60.0 + 0.00256 * np.cos(node))
    declination = np.arcsin(np.sin(obliquity) * np.sin(apparent))
    y = np.tan(obliquity / 2) ** 2
    equation = 4 * np.degrees(
        y * np.sin(2 * mean_longitude)
        - 2 * eccentricity * np.sin(anomaly)
        + 4 * eccentricity * y * np.sin(anomaly) * np.cos(2 * mean_longitude)
        - 0.5 * y * y * np.sin(4 * mean_longitude)
        - 1.25 * eccentricity**2 * np.sin(2 * anomaly)
    )
    return declination, equation
