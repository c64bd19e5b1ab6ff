"""Candidates: every place that may be a call, with its box, down to a low score. Thresholds are applied later."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from pydantic import Field

from ecotf.config import Config
from ecotf.detection.at_peaks import find_at_peaks
from ecotf.detection.boxes import BoxConfig
from ecotf.detection.buffer import SliceBuffer
from ecotf.detection.on_grid import GridPeaks, find_on_grid
from ecotf.detection.scoring import PatchDetector, ScoringConfig, Stopwatch
from ecotf.detection.view import COLUMNS, Found, View
from ecotf.features.gate import GateConfig
from ecotf.features.gated import Stretch
from ecotf.features.peaks import PeakConfig

if TYPE_CHECKING:
    import pandas as pd

CHUNK_S = 10.0
"""How much of a recording is searched at a time."""


class DetectionConfig(Config):
    """From scores to candidates. Smoothing and separation are the published ones, and for scores on a grid alone.

    Attributes
    ----------
    smooth_s
        Standard deviation of the Gaussian that scores on a grid are smoothed with over time.
    separation_s
        Of two peaks of the score nearer than this, the higher one stays.
    floor
        Candidates below it are not kept.
    gate
        What the gate listens to, where a user turns it on.
    """

    scoring: ScoringConfig = ScoringConfig()
    smooth_s: float = Field(0.0006, ge=0)
    separation_s: float = Field(0.012, ge=0)
    floor: float = Field(0.01, ge=0, lt=1)
    box: BoxConfig = BoxConfig()
    gate: GateConfig = GateConfig.model_validate({})


class SliceTimes(Protocol):
    """Where the slices of a spectrogram are in time, and its rows in frequency: any spectrogram of this package."""

    @property
    def hop_s(self) -> float:
        """Seconds between slices."""

    @property
    def offset_s(self) -> float:
        """The time of the middle of slice 0."""

    @property
    def frequencies_hz(self) -> np.ndarray:
        """Middle of each row."""


@dataclass(frozen=True)
class CandidateFinder:
    """Finds candidates in the spectrograms of one detector at one sample rate.

    Attributes
    ----------
    detector
        Scores patches.
    config, peaks
        The recipe's ``detection`` and ``peaks``.
    times
        The spectrogram, or anything that says where its slices and rows are.
    """

    detector: PatchDetector
    config: DetectionConfig
    peaks: PeakConfig
    times: SliceTimes

    @property
    def margin_s(self) -> float:
        """Whatever decides on a candidate lies within this distance: its patch, its peak, its box, its neighbours'."""
        config, box = self.config, self.config.box
        margin = 3 * (self.detector.patches.width_s + self.peaks.margin_s + box.search_s + box.reach_s)
        return margin + 4 * config.smooth_s + 2 * config.separation_s + 3 * config.scoring.stride_s

    @property
    def margin(self) -> int:
        """`margin_s` in slices."""
        return round(self.margin_s / self.times.hop_s)

    @property
    def box_reach(self) -> int:
        """A box begins and ends at the latest so many slices from where its candidate was found."""
        hop_s, box = self.times.hop_s, self.config.box
        stride = max(1, round(self.config.scoring.stride_s / hop_s))
        return round(box.search_s / hop_s) + round(box.reach_s / hop_s) + stride + 1

    def stream(self, watch: Stopwatch | None = None, chunk_s: float = CHUNK_S) -> CandidateStream:
        """Begin with a recording; candidates come out a chunk at a time."""
        return CandidateStream(self, watch or Stopwatch(), chunk_s)

    def candidates(
        self, pieces: Iterable[np.ndarray | Stretch], watch: Stopwatch | None = None, chunk_s: float = CHUNK_S
    ) -> pd.DataFrame:
        """Find all candidates of a recording, in order of time.

        Parameters
        ----------
        pieces
            As `CandidateStream.push` takes them.

        Returns
        -------
        ``start_s, end_s, low_hz, high_hz, label, score, detection_score``.
        """
        import pandas as pd

        stream = self.stream(watch, chunk_s)
        tables = [table for piece in pieces for table in stream.push(piece)]
        return pd.concat([*tables, stream.finish()], ignore_index=True)

    def find(self, view: View, watch: Stopwatch) -> Found:
        """Find the candidates of a view."""
        if self.config.scoring.at == "peaks":
            return find_at_peaks(view, self.detector, self.peaks, self.config.box, self.config.floor, watch)
        config = self.config
        grid = GridPeaks(
            config.scoring.stride_s, config.smooth_s, config.separation_s, config.floor, config.box, self.times.hop_s
        )
        return find_on_grid(view, self.detector, grid, watch)

    def table(self, found: Found, base: int) -> pd.DataFrame:
        """Return the candidates of a view that begins at slice ``base``, in seconds and hertz and in order of time."""
        import pandas as pd

        hop_s, frequencies_hz = self.times.hop_s, self.times.frequencies_hz
        first_s = self.times.offset_s + base * hop_s
        half_band = (frequencies_hz[1] - frequencies_hz[0]) / 2
        start_s = first_s + (found.boxes[:, 0] - 0.5) * hop_s
        order = np.lexsort((found.labels, start_s))
        first, last, low, high = found.boxes[order].T
        columns = (
            first_s + (first - 0.5) * hop_s,
            first_s + (last + 0.5) * hop_s,
            frequencies_hz[low] - half_band,
            frequencies_hz[high] + half_band,
            pd.Series(found.labels[order], dtype=str),
            found.scores[order],
            found.detection_scores[order],
        )
        return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


class CandidateStream:
    """The candidates of one recording, in memory that does not grow with its length.

    How the spectrogram is cut into pieces makes no difference to a bit.

    Attributes
    ----------
    settled
        Slices whose candidates are out.
    """

    def __init__(self, finder: CandidateFinder, watch: Stopwatch, chunk_s: float = CHUNK_S) -> None:
        self._finder, self._watch = finder, watch
        self._margin = finder.margin
        self._chunk = max(1, round(chunk_s / finder.times.hop_s))
        self._buffer = SliceBuffer(len(finder.times.frequencies_hz))
        self.settled = 0

    @property
    def chunk(self) -> int:
        """Slices that are searched at a time, counted from the recording's start."""
        return self._chunk

    def begin_at(self, first: int, settled: int) -> None:
        """Let slice ``first`` come first, and begin to search at ``settled``, where a chunk begins."""
        self._buffer.restart(first)
        self.settled = settled

    def push(self, piece: np.ndarray | Stretch) -> list[pd.DataFrame]:
        """Take more of the spectrogram; return the candidates that are settled, a table for each chunk.

        Parameters
        ----------
        piece
            float32 ``[slices, rows]`` of any length; or a stretch of it, in order, with what reaches the gate: then
            patches in which nothing does are not scored. Gaps between stretches lie at least the finder's margin away
            from all that reaches the gate.
        """
        buffer, tables = self._buffer, []
        stretch = piece if isinstance(piece, Stretch) else Stretch(buffer.end, piece)
        if stretch.first > buffer.end:
            if buffer.end > self.settled:
                tables.append(self._settle(buffer.end))
            buffer.restart(stretch.first)
            self.settled = stretch.first
        buffer.add(stretch)
        while buffer.end >= self.settled + self._chunk + self._margin:
            tables.append(self._settle(self.settled + self._chunk))
            buffer.forget(max(0, self.settled - self._margin))
        return tables

    def finish(self) -> pd.DataFrame:
        """End the recording; return its last candidates."""
        return self._settle(self._buffer.end)

    def _settle(self, until: int) -> pd.DataFrame:
        """Search slices ``settled`` to ``until``. What lies beyond the margin has no say, so it is not even shown."""
        buffer = self._buffer
        buffer.forget(max(0, self.settled - self._margin))  # so that a view is the same wherever the stream began
        first = buffer.first
        shown = min(buffer.end, until + self._margin) - first
        reaches = None if buffer.reaches is None else buffer.reaches[:shown]
        view = View(
            buffer.values[:shown], reaches, self.settled - first, until - first, first, self._finder.times.hop_s
        )
        self.settled = until
        return self._finder.table(self._finder.find(view, self._watch), first)
