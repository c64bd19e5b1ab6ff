"""An exported ``.tflite`` as a run: the recorder's own package listens, on the desktop."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from ecotf.detection.scoring import Stopwatch
from ecotf.detection.view import COLUMNS, no_detections
from ecotf.errors import ConfigError, EcotfError
from ecotf.tasks.base import StreamOptions

_RECORDER = Path(__file__).resolve().parents[2] / "deploy" / "recorder"  # in a checkout, and in an installed package


class DeviceRun:
    """A device model that is ready to listen; see `ecotf.tasks.base.Run`.

    Parameters
    ----------
    path
        A ``.tflite`` that ecotf exported.

    Raises
    ------
    ConfigError
        No such file, another program's model, or a damaged one.
    """

    recipe = None

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        recorder = _recorder_module("model")
        try:
            self._model = recorder.DeviceModel(self.path)
        except recorder.ModelError as error:
            raise ConfigError(str(error)) from None
        facts = self._model.facts
        self.classes: tuple[str, ...] = tuple(facts.species)
        self.thresholds: dict[str, float] = dict(facts.thresholds)
        self.title = f"{facts.name} ({facts.precision}, {self.path.name})"
        self.shortest_s: float = facts.window_s
        self.segment_s = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The file."""
        return (self.path,)

    def check(self, options: StreamOptions) -> None:
        """Refuse a gate and the scores of segments: the file has none (`ConfigError`)."""
        if options.gate or options.segments:
            what = "--gate" if options.gate else "format submission"
            raise ConfigError(f"{what}: an exported model has none; use the run that it was exported from")

    def stream_rate(self, sample_rate: int) -> int:
        """Return the model's rate; raises `ConfigError` for another one, which is never resampled."""
        wanted = int(self._model.facts.sample_rate_hz)
        if sample_rate != wanted:
            raise ConfigError(
                f"sound of {sample_rate:g} Hz; this file is for {wanted} Hz: one of calls is exported with --rate "
                f"{sample_rate:g}, one of clips is trained with sample_rate={sample_rate:g}"
            )
        return wanted

    def open_stream(self, sample_rate: int, options: StreamOptions) -> DeviceStream:
        """Begin to listen to one channel."""
        self.stream_rate(sample_rate)
        self.check(options)
        stated = options.threshold
        thresholds = None if stated is None else dict.fromkeys(self.thresholds, stated)
        unnamed = None if options.unnamed else False
        return DeviceStream(_recorder_module("scoring.opening").open_stream(self._model, thresholds, unnamed))

    def cuts(self, sample_rate: int, options: StreamOptions) -> None:
        """Return nothing: the recorder's stream begins at the beginning."""

    def scores(self, sound: np.ndarray, sample_rate: int) -> pd.DataFrame:
        """Return the detections of sound ``[n]`` with a threshold of 0."""
        stream = self.open_stream(sample_rate, StreamOptions(threshold=0.0))
        return pd.concat([stream.push(sound), stream.finish()], ignore_index=True)

    def embed(self, sound: np.ndarray, sample_rate: int) -> np.ndarray:
        """Refuse: a device model gives scores alone (`ConfigError`)."""
        raise ConfigError(f"{self.path}: an exported model gives no embedding; load the run that it was exported from")

    def embed_each(self, windows: np.ndarray, sample_rate: int, whole: bool) -> np.ndarray:
        """Refuse: a device model gives scores alone (`ConfigError`)."""
        return self.embed(windows, sample_rate)


class DeviceStream:
    """The recorder's stream, its detections as tables; see `ecotf.tasks.base.ScoreStream`."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.spent = Stopwatch()

    def push(self, sound: np.ndarray) -> pd.DataFrame:
        """Take sound, float32 or int16 ``[n]``; return the detections that are settled now."""
        return _table(self._stream.push(sound))

    def finish(self) -> pd.DataFrame:
        """End the sound; return the last detections."""
        return _table(self._stream.finish())

    def take_segments(self) -> np.ndarray:
        """Return nothing: a device model keeps no scores of segments."""
        return np.empty((0, 0))

    @property
    def samples(self) -> int:
        """Samples that were pushed."""
        return int(self._stream.samples)

    @property
    def windows(self) -> int:
        """Number of times that the network was run."""
        return int(self._stream.windows)

    @property
    def silent(self) -> bool:
        """Whether all samples so far are the same."""
        return bool(self._stream.silent)

    @property
    def settled_s(self) -> float:
        """Up to when all detections are out; seconds."""
        return float(self._stream.settled_s)


def _table(detections: list[Any]) -> pd.DataFrame:
    found = [(d.start_s, d.end_s, d.low_hz, d.high_hz, d.label, d.score, d.detection_score) for d in detections]
    return pd.DataFrame(found, columns=list(COLUMNS)) if found else no_detections()


def _recorder_module(name: str) -> ModuleType:
    """Import a module of the recorder's package, from where it is installed or from beside this one."""
    if importlib.util.find_spec("ecotf_recorder") is None and str(_RECORDER) not in sys.path:
        sys.path.append(str(_RECORDER))
    try:
        return importlib.import_module(f"ecotf_recorder.{name}")
    except ImportError as error:
        raise EcotfError(f"the recorder's package cannot be loaded ({error}); install ecotf again") from None
