"""Background to mix in, from stretches of recordings in which it is known that no class is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ecotf.errors import RecordingError
from ecotf.pipelines.clips import ClipsConfig
from ecotf.pipelines.crops import ClipSounds, SkippedRecordings
from ecotf.pipelines.event_draws import Places

_TRIES = 5


class Backgrounds(Protocol):
    """Sound that is mixed into clips."""

    def any_crop(
        self, clips: ClipsConfig, rng: np.random.Generator, report: SkippedRecordings
    ) -> tuple[np.ndarray, int]:
        """Cut a clip, float32 ``[samples]``; silence where nothing that is drawn can be read.

        Beside it is the number of the training recording that it comes from, which clips of that recording do not get;
        -1 where it comes from none of them.
        """


@dataclass(frozen=True)
class QuietSounds:
    """Crops of quiet stretches, so that the background of a recording is heard with the events of all.

    A stretch that is shorter than a clip is repeated.

    Attributes
    ----------
    sounds
        The recordings that ``places`` count: those that are trained on, in their order.
    places
        See `ecotf.pipelines.event_draws.quiet_places`.
    """

    sounds: ClipSounds
    places: Places

    def any_crop(
        self, clips: ClipsConfig, rng: np.random.Generator, report: SkippedRecordings
    ) -> tuple[np.ndarray, int]:
        """Cut a clip out of any of the stretches, each recording as often as any other."""
        wanted = round(clips.seconds * self.sounds.sample_rate)
        names = np.unique(self.places.recording)
        for recording in rng.choice(names, _TRIES):
            own = np.flatnonzero(self.places.recording == recording)
            chance = self.places.chance[own]
            at = own[rng.choice(len(own), p=chance / chance.sum())]
            low, high = self.places.start_s[at], self.places.end_s[at]
            seconds = min(clips.seconds, high - low)
            start = low + rng.random() * (high - low - seconds)
            piece = clips.model_copy(update={"seconds": seconds, "crop": "start", "self_mixup": "none"})
            try:
                sound = self.sounds.crop(int(recording), float(start), piece, rng)
            except RecordingError as error:
                report.add(self.sounds.paths[int(recording)], str(error))
                continue
            return np.resize(sound, wanted), int(recording)
        return np.zeros(wanted, np.float32), -1
