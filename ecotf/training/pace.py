"""How long an epoch takes, said once while the first one still goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any

from ecotf.training.run_store import Detail, Log

_AFTER_S = 30.0


def telling_pace(
    batches: Iterable[Any], size: Callable[[Any], int], wanted: int, title: str, log: Log, after_s: float = _AFTER_S
) -> Iterator[Any]:
    """Pass batches on; after half a minute say how many clips a second they come to, and how long the epoch will take.

    Parameters
    ----------
    size
        Counts the clips of a batch.
    wanted
        Clips of the epoch.

    Examples
    --------
    >>> list(telling_pace([[1, 2], [3]], len, 3, "train", print))
    [[1, 2], [3]]
    """
    began, seen, said = perf_counter(), 0, False
    first, since = 0, began  # the first batch is no pace: TensorFlow builds its graph with it
    for batch in batches:
        yield batch
        seen += size(batch)
        now = perf_counter()
        if not first:
            first, since = seen, now
        elif not said and now - began >= after_s and seen < wanted:
            said = True
            pace = (seen - first) / max(now - since, 1e-9)
            log(
                Detail(
                    f"{title}: {pace:.2g} clips a second; an epoch of {wanted:,} takes about {in_words(wanted / pace)}"
                )
            )


def in_words(seconds: float) -> str:
    """Write a time so that one sees at once how long it is.

    >>> in_words(95), in_words(4000), in_words(200_000)
    ('2 minutes', '1.1 hours', '2.3 days')
    """
    if seconds < 3600:
        minutes = round(seconds / 60)
        return f"{minutes} minute{'s' * (minutes != 1)}"
    return f"{seconds / 3600:.1f} hours" if seconds < 86_400 else f"{seconds / 86_400:.1f} days"
