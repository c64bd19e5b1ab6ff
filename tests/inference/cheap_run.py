"""A run that needs no network: it finds something in every recording, the same each time. For tests of the job."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ecotf.detection.scoring import Stopwatch
from ecotf.errors import ConfigError
from ecotf.tasks.base import Cuts, StreamOptions

COLUMNS = ("start_s", "end_s", "low_hz", "high_hz", "label", "score", "detection_score")
CLASSES = ("=1+$x^{$", "NA", "[bold]")
"""Labels that tables, spreadsheets and terminals take for something else."""
_STEP_S = 0.1


class CheapStream:
    """One detection for each tenth of a second; what it is and how sure depends on the sound alone."""

    def __init__(self, rate: int, options: StreamOptions) -> None:
        self.rate, self.options = rate, options
        self.samples, self.windows, self.settled_s = 0, 0, 0.0
        self.spent = Stopwatch()
        self._sound: list[np.ndarray] = []
        self._taken = 0

    @property
    def silent(self) -> bool:
        sound = np.concatenate([np.zeros(0, np.float32), *self._sound])
        return not len(sound) or bool(sound.min() == sound.max())

    def push(self, sound: np.ndarray) -> pd.DataFrame:
        self.samples += len(sound)
        self._sound.append(sound)
        return self._table([])

    def finish(self) -> pd.DataFrame:
        return self._table([] if self.silent else list(enumerate(self._segments())))

    def take_segments(self) -> np.ndarray:
        segments = self._segments()[self._taken :]
        self._taken += len(segments)
        return segments

    def _segments(self) -> np.ndarray:
        sound = np.concatenate([np.zeros(0, np.float32), *self._sound])
        step = round(_STEP_S * self.rate)
        parts = [sound[at : at + step] for at in range(0, len(sound) - step + 1, step)]
        levels = np.array([np.abs(part).mean() for part in parts])
        return np.stack([np.modf(levels * 1000 * (k + 1))[0] for k in range(len(CLASSES))], axis=-1)

    def _table(self, rows: list[tuple[int, np.ndarray]]) -> pd.DataFrame:
        cells = [
            (k * _STEP_S, k * _STEP_S + 0.005, 40e3, 60e3, CLASSES[int(scores.argmax())], scores.max(), scores.mean())
            for k, scores in rows
        ]
        return pd.DataFrame(cells, columns=list(COLUMNS))


class CheapPart(CheapStream):
    """The same of a part; it says what it finds at once, as parts do."""

    def __init__(self, rate: int, options: StreamOptions, start: int) -> None:
        super().__init__(rate, options)
        self._first, self._out = round(start / rate / _STEP_S), 0

    @property
    def silent(self) -> bool:
        return False

    def push(self, sound: np.ndarray) -> pd.DataFrame:
        super().push(sound)
        rows = [(self._first + k, row) for k, row in enumerate(self._segments())][self._out :]
        self._out += len(rows)
        self.settled_s = (self._first + self._out) * _STEP_S - 1e-6
        return self._table(rows)

    def finish(self) -> pd.DataFrame:
        return self._table([])


@dataclass(frozen=True)
class CheapSource:
    """Loads a cheap run in each worker."""

    path: Path
    slow_s: float = 0.0

    def load(self) -> CheapRun:
        return CheapRun(self.path, self.slow_s)


class CheapRun:
    """A run whose streams are :class:`CheapStream`; ``slow_s`` is how long each takes."""

    title, shortest_s, segment_s, classes = "cheap", 0.01, _STEP_S, CLASSES

    def __init__(self, path: Path, slow_s: float = 0.0) -> None:
        path.touch()
        self.path, self.paths, self.recipe, self.slow_s = path, (path,), None, slow_s
        self.thresholds = dict.fromkeys(CLASSES, 0.5)

    def check(self, options: StreamOptions) -> None:
        if options.gate:
            raise ConfigError("a cheap run has no gate")

    def stream_rate(self, sample_rate: int) -> int:
        if sample_rate < 16_000:
            raise ConfigError(f"needs a sample rate of at least 16000 Hz; this is {sample_rate} Hz")
        return sample_rate

    def open_stream(self, sample_rate: int, options: StreamOptions) -> CheapStream:
        time.sleep(self.slow_s)
        return CheapStream(sample_rate, options)

    def cuts(self, sample_rate: int, options: StreamOptions) -> Cuts | None:
        """Cut anywhere: what is found in a tenth of a second depends on it alone."""
        step = round(_STEP_S * sample_rate)
        return Cuts(step, 0, step, lambda start: CheapPart(sample_rate, options, start))

    def scores(self, sound: np.ndarray, sample_rate: int) -> pd.DataFrame:
        raise ConfigError("a cheap run gives no scores")

    def embed(self, sound: np.ndarray, sample_rate: int) -> np.ndarray:
        raise ConfigError("a cheap run embeds nothing")

    def embed_each(self, windows: np.ndarray, sample_rate: int, whole: bool) -> np.ndarray:
        raise ConfigError("a cheap run embeds nothing")


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder; of the ledger and the journal without the seconds that the work took."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for name, content in found.items():  # what holds the time of writing
        if name.endswith(".aoef.json"):
            found[name] = re.sub(rb'"created_on": "[^"]*"', b"", content)
        if name.endswith("-sceneRect.csv"):
            found[name] = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", b"", content)
    ledger = pd.read_csv(folder / "ledger.csv", keep_default_na=False).drop(columns="seconds_used")
    found["ledger.csv"] = ledger.sort_values("path").to_csv(index=False).encode()
    lines = [json.loads(line) for line in found.pop("job.jsonl").splitlines()]
    found["job.jsonl"] = json.dumps([{**line, "seconds_used": 0} for line in lines]).encode()
    return found
