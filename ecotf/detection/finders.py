"""Event finders: from scores of frames to events. A registry; a recipe chooses one as ``inference.events``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from ecotf.config import Config
from ecotf.datasets.labels import CALL_LABEL
from ecotf.detection.view import in_order
from ecotf.registry import Registry

if TYPE_CHECKING:
    import pandas as pd

Numbers = Mapping[str, Any]
"""What a finder was fitted to: for each class, and perhaps for ``call``, numbers by name. It goes into JSON."""


class EventFinder(Protocol):
    """The events of one recording from its frames as they come, in memory that does not grow with its length.

    How the frames are cut into pieces makes no difference to a bit.
    """

    def push(self, probabilities: np.ndarray, times: np.ndarray) -> pd.DataFrame:
        """Take the next frames, ``[frames, classes]``, and their middles, seconds; return the events that are settled.

        In order of time, with the columns of detections.
        """

    def finish(self) -> pd.DataFrame:
        """End the recording; return its last events."""

    @property
    def settled_s(self) -> float:
        """Later events begin after this; seconds."""


@dataclass(frozen=True)
class Framing:
    """The frames that a finder takes.

    Attributes
    ----------
    frame_s
        From one frame to the next, seconds.
    band_hz
        What an event has as its lowest and highest frequency.
    floors
        The lowest score of an event that anybody asks for, ``[classes]``; None for all down to the finder's own floor.
        Events with a higher score are the same, whatever it is.
    """

    classes: tuple[str, ...]
    frame_s: float
    band_hz: tuple[float, float]
    floors: np.ndarray | None = None


class FinderConfig(Config):
    """What every finder says of itself.

    Attributes
    ----------
    fits
        Whether it has numbers of each class that are fitted on events of validation recordings (`candidates`).
    combines
        Whether it is made of other finders.
    """

    fits: ClassVar[bool]
    combines: ClassVar[bool] = False

    @property
    def reads_onsets(self) -> bool:
        """Whether its frames are ``[frames, 4 classes]``: scores, onsets, ends, lengths (`HeadConfig.gives_onsets`)."""
        return False

    def tries_onsets(self, joined: float) -> bool:
        """Whether it may read onsets where so large a part of the pauses between events is too short for frames."""
        return self.reads_onsets

    def needs_onsets(self, numbers: Numbers | None) -> bool:
        """Whether it reads onsets with the numbers that it was fitted to."""
        return self.reads_onsets

    def handicap(self, candidate: dict[str, Any], joined: float) -> float | None:
        """Return how much better than others a candidate's group must be to be taken; None where it is not tried."""
        return 0.0

    def candidates(self) -> list[dict[str, Any]]:
        """List the numbers of a class that are tried when it is fitted; those for a class without events first."""
        return []

    def suits(self, candidate: dict[str, Any], length_s: float | None) -> bool:
        """Whether a candidate is tried for a class whose annotated events have this median length; None: not known."""
        return True

    def usual(self, length_s: float | None) -> dict[str, Any]:
        """Return the candidate for a class without an event to be fitted on."""
        return next(one for one in self.candidates() if self.suits(one, length_s))

    def group(self, candidate: dict[str, Any]) -> str:
        """Return what all classes of a run must have in common: candidates of one group may be of different classes."""
        return ""

    def facts(self, classes: Sequence[str], numbers: Numbers | None) -> dict[str, Any]:
        """Return what a recorder must know to find the same events."""
        return self.model_dump(mode="json")


FINDERS: Registry[EventFinder] = Registry("event finder")


def with_calls(frames: np.ndarray, n_classes: int) -> np.ndarray:
    """Add the class ``call`` to frames: what the greatest class of a frame says, in scores and in what is with them."""
    parts = frames.reshape(len(frames), -1, n_classes)
    greatest = parts[:, 0].argmax(axis=1)
    own = parts[np.arange(len(frames)), :, greatest]
    if parts.shape[1] > 1:  # an event of any class begins where one of any class does
        begins = parts[:, 1].argmax(axis=1)
        own[:, 1:] = parts[np.arange(len(frames)), 1:, begins]
    return np.concatenate([parts, own[:, :, None]], axis=2).reshape(len(frames), -1)


def find_events(
    probabilities: np.ndarray,
    times: np.ndarray,
    frame_s: float,
    classes: Sequence[str],
    band_hz: tuple[float, float],
    config: FinderConfig,
    calls: bool = False,
    numbers: Numbers | None = None,
) -> pd.DataFrame:
    """Find the events of a whole recording.

    Parameters
    ----------
    probabilities
        ``[frames, classes]``, or with what the network says of onsets.
    times
        Middle of each frame, seconds.
    calls
        Also those of the greatest class, with the label ``call``, as detection is judged by.
    numbers
        Of a finder that was fitted.

    Returns
    -------
    Candidates, in order of time; columns as of `EventFinder.push`.
    """
    probabilities = np.asarray(probabilities, np.float64)
    if not config.reads_onsets:
        probabilities = probabilities[:, : len(classes)]
    names = list(classes)
    if calls and names:
        probabilities = with_calls(probabilities, len(classes))
        names.append(CALL_LABEL)
    stream = FINDERS.build(config, Framing(tuple(names), frame_s, band_hz), numbers)
    return in_order([stream.push(probabilities, times), stream.finish()])
