"""The contract between the page's server and what is reviewed on it: clips, views of them, and decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ecotf.audio.channels import ChannelChoice
from ecotf.tasks.reported import Place

PAGE = Path(__file__).parent / "page"
"""The folder of the parts that pages are put together from."""
SHARED_SCRIPTS = (PAGE / "talk.js", PAGE / "player.js", PAGE / "keys.js")

_LEAST_MARGIN_S, _MOST_MARGIN_S = 0.02, 0.5


@dataclass(frozen=True)
class Clip:
    """A clip as the server needs it to make its sound and its picture.

    Attributes
    ----------
    place
        What is heard: the clip with a margin. The clip itself is its box.
    band_hz
        The lowest and the highest frequency that a picture shows, before the listener zooms in. Above 24 kHz it is
        ultrasound, which is played ten times slower.
    about
        A line for the listener, as the time and the site.
    """

    place: Place
    band_hz: tuple[float, float]
    channel: ChannelChoice = "mix"
    about: str = ""


class Reviewed(Protocol):
    """What is reviewed: clusters of clips, or the hits of a search.

    Attributes
    ----------
    folder
        Only one page is open for it at a time. Decisions are kept there.
    title
        Of the page.
    body
        HTML between the head of the page and its help. Names of users are never in it.
    scripts
        The page's script is these files, one after the other.
    """

    @property
    def folder(self) -> Path:
        """The folder that decisions are kept in."""

    @property
    def title(self) -> str:
        """What the page is called."""

    @property
    def body(self) -> str:
        """What stands on the page at first."""

    @property
    def scripts(self) -> tuple[Path, ...]:
        """The files of its script, `SHARED_SCRIPTS` first."""

    def view(self, name: str, query: Mapping[str, str]) -> Any:
        """Return what the page asks for: bytes, or values that JSON knows.

        Raises
        ------
        EcotfError
            There is no such view, or the query asks for what is not there; its line is shown on the page.
        """

    def clip(self, number: int) -> Clip:
        """Return the clip of this number; raises `DataError` where there is none."""

    def decide(self, decision: Mapping[str, Any]) -> Any:
        """Keep a decision, and return what has changed: values that JSON knows.

        It is on the disk when this returns. Only one decision is taken at a time.

        Raises
        ------
        EcotfError
            The decision is impossible, and nothing is kept of it; its line is shown on the page.
        """


def place_with_margin(
    recording: str,
    path: str,
    start_s: float,
    end_s: float,
    low_hz: float = float("nan"),
    high_hz: float = float("nan"),
    time_expansion: float | None = None,
    salvage: bool = False,
) -> Place:
    """Return a clip with as much of the recording around it as the clip is long, at most half a second.

    Parameters
    ----------
    low_hz, high_hz
        NaN where the whole band was heard.
    salvage
        Whether the recording was heard although it is cut off.

    Examples
    --------
    >>> place = place_with_margin("a.wav", "/data/a.wav", 3.0, 6.0)
    >>> place.start_s, place.end_s
    (2.5, 6.5)
    """
    margin = min(max(end_s - start_s, _LEAST_MARGIN_S), _MOST_MARGIN_S)
    box = (start_s, end_s, low_hz, high_hz)
    return Place(recording, Path(path), time_expansion, max(0.0, start_s - margin), end_s + margin, box, salvage)
