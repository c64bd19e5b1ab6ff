"""The finder ``best``: of several finders the one that finds the events of the validation recordings best."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ecotf.detection import change_events, frame_events, onset_events  # noqa: F401 - what it can choose from
from ecotf.detection.finders import FINDERS, EventFinder, FinderConfig, Framing, Numbers

if TYPE_CHECKING:
    import pandas as pd

    OneFinder = FinderConfig
else:
    OneFinder = FINDERS.config_type(combines=False)

OF = "finder"
"""What numbers say of the finder that they belong to: which one of the list it is."""


class BestOfConfig(FinderConfig):
    """All finders are tried on the events of the validation recordings; the best one is that of all classes.

    Faint calls with pauses, calls without a pause and calls that overlap want different finders. The first one is taken
    where no validation recording has an event.

    Attributes
    ----------
    finders
        What is tried, each with all of its own candidates.
    joined
        Onsets are tried only where, of some class, so large a part of the pauses between two of its events that are
        not tested is shorter than two frames (`ecotf.datasets.pauses`), which no finder sees in frames; 0 for always.
        A few validation events could choose by chance what the calls have no need of.
    margin
        Where boxes ask for onsets in that way, another finder must have so much higher an F1 to be taken instead. F1 of
        twenty events has a standard error of about 0.1.
    """

    fits: ClassVar[bool] = True
    combines: ClassVar[bool] = True

    name: Literal["best"] = "best"
    finders: Annotated[tuple[OneFinder, ...], Field(min_length=1)]
    joined: float = Field(0.0, ge=0, le=1)
    margin: float = Field(0.1, ge=0, le=1)

    @property
    def reads_onsets(self) -> bool:
        """Whether any of them does."""
        return any(one.reads_onsets for one in self.finders)

    def tries_onsets(self, joined: float) -> bool:
        """Whether calls follow each other closely enough for them."""
        return self.reads_onsets and joined >= self.joined

    def needs_onsets(self, numbers: Numbers | None) -> bool:
        """Whether the finder that was chosen reads them."""
        return self.chosen(numbers)[0].reads_onsets

    def handicap(self, candidate: dict[str, Any], joined: float) -> float | None:
        """Return that of its finder: onsets are tried where calls follow each other closely, and taken first there."""
        asked = self.tries_onsets(joined)
        if self.finders[candidate[OF]].reads_onsets:
            return 0.0 if asked else None
        return self.margin if asked and self.joined else 0.0

    def candidates(self) -> list[dict[str, Any]]:
        """List those of each finder, with its place in the list; one without numbers has one."""
        return [
            {OF: place, **numbers}
            for place, finder in enumerate(self.finders)
            for numbers in (finder.candidates() if finder.fits else [{}])
        ]

    def suits(self, candidate: dict[str, Any], length_s: float | None) -> bool:
        """Whether its finder tries it for events of such a length."""
        return self.finders[candidate[OF]].suits(candidate, length_s)

    def group(self, candidate: dict[str, Any]) -> str:
        """Return the finder of a candidate: a run has one."""
        return self._described(candidate[OF])

    def facts(self, classes: Sequence[str], numbers: Numbers | None) -> dict[str, Any]:
        """Return those of the finder that was chosen: a recorder knows no other."""
        finder, own = self.chosen(numbers)
        return finder.facts(classes, own)

    def chosen(self, numbers: Numbers | None) -> tuple[FinderConfig, Numbers | None]:
        """Return the finder that numbers are of, and them without its place; the first one where there are none."""
        place = next((int(one[OF]) for one in (numbers or {}).values()), 0)
        finder = self.finders[place]
        if numbers is None or not finder.fits:
            return finder, None
        return finder, {
            label: {name: value for name, value in one.items() if name != OF} for label, one in numbers.items()
        }

    def _described(self, place: int) -> str:
        """Return a finder's name, with its number where others are called the same."""
        names = [type(one).model_fields["name"].default for one in self.finders]
        return f"{names[place]} ({place + 1}.)" if names.count(names[place]) > 1 else str(names[place])


@FINDERS.register(BestOfConfig)
def build_best(config: BestOfConfig, framing: Framing, numbers: Numbers | None) -> EventFinder:
    """Find events with the finder that was chosen."""
    finder, own = config.chosen(numbers)
    built: EventFinder = FINDERS.build(finder, framing, own)
    return built if finder.reads_onsets or not config.reads_onsets else WithoutOnsets(built, len(framing.classes))


class WithoutOnsets:
    """A finder that sees the scores of frames alone; `ecotf.detection.finders.EventFinder` says how it is used."""

    def __init__(self, finder: EventFinder, n_classes: int) -> None:
        self._finder, self._n_classes = finder, n_classes

    def push(self, probabilities: np.ndarray, times: np.ndarray) -> pd.DataFrame:
        """Take frames ``[frames, 4 classes]`` and their middles; return the events that are settled."""
        return self._finder.push(probabilities[:, : self._n_classes], times)

    def finish(self) -> pd.DataFrame:
        """End the recording; return its last events."""
        return self._finder.finish()

    @property
    def settled_s(self) -> float:
        """Later events begin after this; seconds."""
        return self._finder.settled_s
