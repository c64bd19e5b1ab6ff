"""Streams over detection that pulls its sound: a thread pulls what is pushed. Until detection itself is pushed."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ecotf.detection.candidates import find_candidates, margin_s
from ecotf.detection.naming import name_calls
from ecotf.detection.scoring import Stopwatch
from ecotf.errors import ConfigError
from ecotf.features.gated import GatedStream
from ecotf.features.spectrogram import BandSpectrogram
from ecotf.tasks.base import StreamOptions

if TYPE_CHECKING:
    import pandas as pd

    from ecotf.tasks.calls.run import LoadedRun
    from ecotf.tasks.clips.run import ClipEnsemble

_COLUMNS = ("start_s", "end_s", "low_hz", "high_hz", "label", "score", "detection_score")

Work = Callable[[Iterator[np.ndarray]], "tuple[pd.DataFrame, np.ndarray]"]
"""From the blocks of a channel to its detections, and the scores of its segments."""


class PulledStream:
    """`ecotf.tasks.base.ScoreStream` whose detections all come at the end; memory holds two blocks of sound."""

    def __init__(self, work: Work, classes: int) -> None:
        self.samples, self.spent = 0, Stopwatch()
        self._lowest, self._highest = np.inf, -np.inf
        self._blocks: queue.Queue[np.ndarray | None] = queue.Queue(maxsize=2)
        self._segments = np.empty((0, classes))
        self._answer: list[Any] = []
        self._thread = threading.Thread(target=_pull, args=(work, self._blocks, self._answer), daemon=True)
        self._thread.start()
        weakref.finalize(self, _abandon, self._blocks)

    @property
    def windows(self) -> int:
        """Patches that were scored."""
        return self.spent.patches

    @property
    def silent(self) -> bool:
        """Whether all samples so far are the same."""
        return not self._lowest < self._highest

    @property
    def settled_s(self) -> float:
        """Nothing is out before the end."""
        return 0.0

    def push(self, sound: np.ndarray) -> pd.DataFrame:
        """Take sound, float32 ``[n]``; return the detections that are settled now: none."""
        if len(sound):
            self.samples += len(sound)
            self._lowest = min(self._lowest, float(sound.min()))
            self._highest = max(self._highest, float(sound.max()))
            self._put(sound)
        return _nothing()

    def finish(self) -> pd.DataFrame:
        """End the sound; return all detections."""
        self._put(None)
        self._thread.join()
        answer = self._answer[0]
        if isinstance(answer, BaseException):
            raise answer
        table, self._segments = answer
        return _nothing() if self.silent else table

    def take_segments(self) -> np.ndarray:
        """Scores of the segments that were scored since the last call, ``[n, classes]``."""
        given, self._segments = self._segments, self._segments[:0]
        return given

    def _put(self, block: np.ndarray | None) -> None:
        while self._thread.is_alive():
            try:
                return self._blocks.put(block, timeout=0.5)
            except queue.Full:
                continue


def _pull(work: Work, blocks: queue.Queue[np.ndarray | None], answer: list[Any]) -> None:
    try:
        answer.append(work(_until_none(blocks)))
    except BaseException as error:
        answer.append(error)


def _until_none(blocks: queue.Queue[np.ndarray | None]) -> Iterator[np.ndarray]:
    while (block := blocks.get()) is not None:
        yield block


def _abandon(blocks: queue.Queue[np.ndarray | None]) -> None:
    """End the thread of a stream that nobody finishes: what waits is dropped, and the sound ends."""
    while True:
        try:
            blocks.put_nowait(None)
            return
        except queue.Full:
            blocks.get_nowait()


def _nothing() -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({name: pd.Series([], dtype=object if name == "label" else float) for name in _COLUMNS})


class PulledCalls:
    """`ecotf.tasks.base.Run` of a run of task calls."""

    segment_s = None

    def __init__(self, run: LoadedRun) -> None:
        self.run = run
        self.path, self.recipe, self.thresholds = run.path, run.recipe, run.thresholds
        self.paths, self.title = (run.path,), run.recipe.name
        self.classes, self.shortest_s = run.detector.species, run.recipe.patches.width_s

    def check(self, options: StreamOptions) -> None:
        """Raise `ConfigError` for a gate that the run does not have."""
        if options.gate and self.run.gate is None:
            raise ConfigError(f"{self.path}: the run has no fitted gate; leave --gate out, or train anew")

    def stream_rate(self, sample_rate: int) -> int:
        """The rate itself: calls are never resampled. Raises `ConfigError` where it cannot carry the band."""
        return BandSpectrogram(self.recipe.front_end, sample_rate).sample_rate

    def open_stream(self, sample_rate: int, options: StreamOptions) -> PulledStream:
        """Begin to listen to one channel; raises `ConfigError` for a rate that cannot carry the band."""
        import pandas as pd

        self.check(options)
        run, recipe = self.run, self.recipe
        spectrogram, watch = BandSpectrogram(recipe.front_end, sample_rate), Stopwatch()

        def pieces(sound: Iterator[np.ndarray]) -> Iterator[Any]:
            if not options.gate or run.gate is None:
                stream = spectrogram.stream()
                for block in sound:
                    yield stream.push(block)
                yield stream.finish()
                return
            margin = round(margin_s(recipe.patches, recipe.detection, recipe.peaks) / spectrogram.hop_s)
            gated = GatedStream(spectrogram, recipe.detection.gate, run.gate.threshold_db, margin)
            for block in sound:
                yield from gated.push(block)
            yield from gated.finish()
            watch.sound_s += gated.frames * spectrogram.hop_s
            watch.passed_s += gated.frames_passed * spectrogram.hop_s

        def work(sound: Iterator[np.ndarray]) -> tuple[pd.DataFrame, np.ndarray]:
            found = find_candidates(
                pieces(sound), run.detector, recipe.detection, recipe.peaks, spectrogram.hop_s, spectrogram.offset_s,
                spectrogram.frequencies_hz, stopwatch=watch,
            )  # fmt: skip
            levels = run.thresholds if options.threshold is None else dict.fromkeys(run.thresholds, options.threshold)
            table = name_calls(pd.concat(list(found), ignore_index=True), levels, options.unnamed)
            return _with_detection_score(table), np.empty((0, len(self.classes)))

        stream = PulledStream(work, len(self.classes))
        stream.spent = watch
        return stream

    def scores(self, sound: np.ndarray, sample_rate: int) -> pd.DataFrame:
        """Not there yet."""
        raise ConfigError(f"{self.path}: scores cannot be had of a run of calls yet")

    def embed(self, sound: np.ndarray, sample_rate: int) -> np.ndarray:
        """Not there yet."""
        raise ConfigError(f"{self.path}: a run of calls embeds nothing yet")


class PulledClips:
    """`ecotf.tasks.base.Run` of runs of task clips."""

    def __init__(self, run: ClipEnsemble) -> None:
        from ecotf.tasks.clips.run import SHORTEST_S

        first = run.runs[0]
        self.run, self.path, self.recipe, self.thresholds = run, first.path, first.recipe, run.thresholds
        self.paths = tuple(one.path for one in run.runs)
        self.classes, self.segment_s, self.shortest_s = run.classes, run.segment_s, SHORTEST_S
        shares = np.array(run.weights) / sum(run.weights)
        names = [one.recipe.name for one in run.runs]
        together = ", ".join(f"{name} {share:.2f}" for name, share in zip(names, shares, strict=True))
        self.title = names[0] if len(names) == 1 else together

    def check(self, options: StreamOptions) -> None:
        """Raise `ConfigError` for a gate: there is none."""
        if options.gate:
            raise ConfigError("--gate: a run of task clips has no gate; leave --gate out")

    def stream_rate(self, sample_rate: int) -> int:
        """The rate of the model; sound of every other rate is resampled to it."""
        return self.recipe.sample_rate

    def open_stream(self, sample_rate: int, options: StreamOptions) -> PulledStream:
        """Begin to listen to one channel."""

        def work(sound: Iterator[np.ndarray]) -> tuple[pd.DataFrame, np.ndarray]:
            heard = 0

            def counted() -> Iterator[np.ndarray]:
                nonlocal heard
                for block in sound:
                    heard += len(block)
                    yield block

            source = SimpleNamespace(blocks=lambda *arguments, **keywords: counted())
            rows, _ = self.run.score(cast("Any", source), "mix")
            table = self.run.detections(rows, heard / sample_rate, options.threshold)
            return _with_detection_score(table), rows.probabilities

        return PulledStream(work, len(self.classes))

    def scores(self, sound: np.ndarray, sample_rate: int) -> pd.DataFrame:
        """Not there yet."""
        raise ConfigError(f"{self.path}: scores cannot be had of a run of clips yet")

    def embed(self, sound: np.ndarray, sample_rate: int) -> np.ndarray:
        """Not there yet."""
        raise ConfigError(f"{self.path}: a run of clips embeds nothing yet")


def _with_detection_score(table: pd.DataFrame) -> pd.DataFrame:
    return table if "detection_score" in table else table.assign(detection_score=np.nan)
