"""Sound in, detections of calls out: spectrogram, peaks, scores and names, each as far as it is settled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ecotf.detection.candidates import CandidateFinder
from ecotf.detection.held import HeldDetections
from ecotf.detection.naming import NamingStream
from ecotf.detection.scoring import Stopwatch
from ecotf.features.gated import GatedStream
from ecotf.features.spectrogram import BandSpectrogram
from ecotf.tasks.base import Cuts, StreamOptions

if TYPE_CHECKING:
    import pandas as pd

    from ecotf.tasks.calls.run import CallsRun

_BLOCK_S = 1.0  # so that a whole night given at once takes no more memory than the night itself


class CallsStream:
    """The calls of one channel, in order of time; `ecotf.tasks.base.ScoreStream` says how it is used.

    Parameters
    ----------
    start
        For the part of a channel that begins at this sample (`ecotf.tasks.base.Cuts`); None for a whole channel.

    Raises
    ------
    ConfigError
        The rate cannot carry the band of the run, or a gate is asked for that the run does not have.
    """

    def __init__(self, run: CallsRun, sample_rate: int, options: StreamOptions, start: int | None = None) -> None:
        run.check(options)
        recipe = run.recipe
        spectrogram = BandSpectrogram(recipe.front_end, sample_rate)
        finder = CandidateFinder(run.detector, recipe.detection, recipe.peaks, spectrogram)
        self._times, self._reach = spectrogram, finder.box_reach
        self._block = max(1, round(_BLOCK_S * sample_rate))
        self._gated: GatedStream | None = None
        if options.gate:
            gate = run.fitted_gate()
            self._gated = GatedStream(spectrogram, recipe.detection.gate, gate.threshold_db, finder.margin)
        self._plain = spectrogram.stream()
        self.spent = Stopwatch()
        self._candidates = finder.stream(self.spent)
        stated = options.threshold
        thresholds = run.thresholds if stated is None else dict.fromkeys(run.thresholds, stated)
        self._names = NamingStream(thresholds, options.unnamed)
        self._held = HeldDetections()
        self._classes = len(run.classes)
        hop, block = spectrogram.hop, spectrogram.block_frames
        chunk = self._candidates.chunk
        # Calls are named by their neighbours, so a chunk more is searched before; and the first block may have an edge.
        self.cuts = Cuts(
            chunk * hop, (chunk + finder.margin + block) * hop, block * hop,
            lambda at: CallsStream(run, sample_rate, options, at),
        )  # fmt: skip
        if start is not None:
            first = self.cuts.first_sample(start)
            self._held = HeldDetections(first, hold=False)
            self._candidates.begin_at(first // hop, max(0, start // hop - chunk))

    def push(self, sound: np.ndarray) -> pd.DataFrame:
        """Take sound, float32 ``[n]``; return the detections that are settled now."""
        import pandas as pd

        tables = []
        for at in range(0, len(sound), self._block):
            block = sound[at : at + self._block]
            self._held.hear(block)
            pieces = [self._plain.push(block)] if self._gated is None else self._gated.push(block)
            found = [table for piece in pieces for table in self._candidates.push(piece)]
            if found:
                tables.append(self._names.push(pd.concat(found, ignore_index=True), self._unsure_s))
        return self._held.release(tables)

    def finish(self) -> pd.DataFrame:
        """End the sound; return the last detections."""
        import pandas as pd

        pieces = [self._plain.finish()] if self._gated is None else self._gated.finish()
        found = [table for piece in pieces for table in self._candidates.push(piece)]
        found.append(self._candidates.finish())
        if self._gated is not None:
            self.spent.sound_s = self._gated.frames * self._times.hop_s
            self.spent.passed_s = self._gated.frames_passed * self._times.hop_s
        return self._held.release([self._names.push(pd.concat(found, ignore_index=True))])

    def take_segments(self) -> np.ndarray:
        """Nothing: calls are not found in segments."""
        return np.empty((0, self._classes))

    @property
    def samples(self) -> int:
        """Samples that were pushed."""
        return self._held.samples

    @property
    def windows(self) -> int:
        """Patches that were scored."""
        return self.spent.patches

    @property
    def silent(self) -> bool:
        """Whether all samples so far are the same."""
        return self._held.silent

    @property
    def settled_s(self) -> float:
        """Up to when all detections are out; seconds."""
        return 0.0 if self._held.are_waiting else max(0.0, self._names.settled_s)

    @property
    def _unsure_s(self) -> float:
        """A box to come begins a reach before the settled slices at the earliest, and may overlap one before it."""
        slices = self._candidates.settled - 3 * self._reach
        return self._times.offset_s + slices * self._times.hop_s
