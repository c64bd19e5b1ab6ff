"""The sound and the spectrogram of clips, as the page asks for them; what was read last is kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from ecotf.errors import EcotfError
from ecotf.reports.sounds import Excerpt, read_excerpt
from ecotf.review.base import Reviewed

ZOOMS = (1, 2, 4, 8)
"""Pictures show the whole band, or its lower half, quarter or eighth."""
_KEPT = 200  # of half a megabyte each


class Media:
    """Sounds and pictures of what is reviewed; for several threads.

    Examples
    --------
    >>> media = Media(reviewed)  # doctest: +SKIP
    >>> media.facts(17, 1)["notes"]  # doctest: +SKIP
    ['made 12 times louder']
    """

    def __init__(self, reviewed: Reviewed) -> None:
        self._reviewed = reviewed
        self._kept: OrderedDict[tuple[int, int], Excerpt] = OrderedDict()
        self._lock = threading.Lock()

    def excerpt(self, number: int, zoom: int) -> Excerpt:
        """Return the excerpt of a clip.

        Raises
        ------
        EcotfError
            There is no such clip or zoom, or the recording is gone or damaged; one line.
        """
        if zoom not in ZOOMS:
            raise EcotfError(f"zoom {zoom}: allowed are {', '.join(map(str, ZOOMS))}")
        with self._lock:
            if (number, zoom) in self._kept:
                self._kept.move_to_end((number, zoom))
                return self._kept[number, zoom]
        clip = self._reviewed.clip(number)
        found = read_excerpt(clip.place, clip.band_hz, clip.channel, zoom=zoom)
        with self._lock:
            self._kept[number, zoom] = found
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found

    def facts(self, number: int, zoom: int) -> dict[str, Any]:
        """Say what is heard and seen of a clip, or in ``gone`` why it is not, as of a recording that has vanished."""
        clip = self._reviewed.clip(number)
        place = clip.place
        facts = {"recording": place.recording, "about": clip.about, "start_s": place.start_s, "end_s": place.end_s}
        try:
            found = self.excerpt(number, zoom)
        except EcotfError as error:
            return {**facts, "gone": str(error)}
        seen = {name: getattr(found, name) for name in ("start_s", "end_s", "low_hz", "high_hz")}
        return {**facts, **seen, "box": found.box_of(place), "notes": found.notes(place)}
