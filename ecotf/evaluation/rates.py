"""Rates of events, as false alarms an hour, with exact intervals."""

from __future__ import annotations


def poisson_interval(count: int, share: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of the mean of a Poisson count (Garwood 1936).

    Examples
    --------
    With no event at all, the mean is below 3.7:

    >>> low, high = poisson_interval(0)
    >>> low, round(high, 2)
    (0.0, 3.69)
    """
    from scipy.stats import chi2

    tail = (1 - share) / 2
    low = float(chi2.ppf(tail, 2 * count) / 2) if count else 0.0
    return low, float(chi2.ppf(1 - tail, 2 * count + 2) / 2)


def hourly_rate(count: int, hours: float) -> tuple[float, tuple[float, float]]:
    """Return how many an hour, and the exact 95 % interval.

    Examples
    --------
    >>> rate, (low, high) = hourly_rate(3, 0.5)
    >>> rate, round(low, 2), round(high, 2)
    (6.0, 1.24, 17.53)
    """
    low, high = poisson_interval(count)
    return count / hours, (low / hours, high / hours)
