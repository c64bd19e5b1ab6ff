"""The recordings that an export is compared on and calibrated with: the run's own, by name, or simulated ones."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ecotf.audio.channels import ChannelChoice, channels_to_read
from ecotf.audio.hdf5_rows import file_of
from ecotf.audio.recording import open_recording
from ecotf.audio.simulate import SimulationConfig, simulate_recording
from ecotf.config import validate
from ecotf.datasets.manifest import Manifest, make_manifest, read_manifest
from ecotf.errors import DataError, RecordingError
from ecotf.runs.splits import OK, read_splits, state_now, trained_manifest

_SIMULATED = 6
_SIMULATED_S = 4.0
_BAT_RATE = 246_000  # what simulated bats need at least; for a lower rate they are played slower


@dataclass(frozen=True)
class Sound:
    """One recording's sound.

    Attributes
    ----------
    samples
        float32 [n], in [-1, 1).
    """

    name: str
    rate: int
    samples: np.ndarray

    @property
    def pcm(self) -> np.ndarray:
        """As a recorder gives it, int16 [n]."""
        return np.clip(np.rint(self.samples * 32768), -32768, 32767).astype(np.int16)

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return len(self.samples) / self.rate


@dataclass(frozen=True)
class Heard:
    """Sounds to compare on, with what is annotated in them.

    Attributes
    ----------
    source
        What they are, for people.
    table
        Rows of a manifest; ``recording`` is the sounds' name.
    """

    source: str
    sounds: tuple[Sound, ...]
    table: pd.DataFrame

    @property
    def seconds(self) -> float:
        """Seconds in all."""
        return sum(sound.duration_s for sound in self.sounds)


class Listener(Protocol):
    """The facts of a run that are needed to read its recordings."""

    path: Path
    channel: ChannelChoice
    high_hz: float


class RunRecordings:
    """The recordings of a run's manifest, as far as their files can be found.

    Parameters
    ----------
    run
        Says where its folder is, which channel it reads, and up to which frequency it listens.
    data
        Another manifest instead of the run's own.
    elsewhere
        A folder to look in for files that are not where the manifest says.
    log
        The log; it names recordings that are left out because their file has changed.

    Raises
    ------
    ConfigError
        The run does not say how its recordings were split.
    """

    def __init__(
        self,
        run: Listener,
        data: Path | None = None,
        elsewhere: Path | None = None,
        log: Callable[[str], None] = print,
    ) -> None:
        self._run = run
        self._data = data
        self._places = _places(elsewhere)
        self._log, self._splits, self._told = log, None, set[str]()
        if data is not None:
            self.manifest = _to_test(data)
        elif (run.path / "manifest.csv").is_file():
            self.manifest, self._splits = trained_manifest(run.path), read_splits(run.path)
        else:
            nothing = pd.DataFrame(columns=["recording", "start_s", "label", "split"], dtype=str)
            self.manifest = Manifest(nothing, run.path)

    def paths(self, *splits: str) -> dict[str, Path]:
        """Return the recordings of these splits whose file is there, each with its path, in a fixed order."""
        found = {}
        for split in splits:
            names = sorted(self.manifest.of_split(split).recordings, key=_shuffled)
            for name in names:
                path = self.manifest.path_of(name)
                if not file_of(path).is_file():
                    path = _nearest(path, self._places.get(path.name, []))
                if file_of(path).is_file() and self._is_as_trained(name, path):
                    found[name] = path
        return found

    def _is_as_trained(self, name: str, path: Path) -> bool:
        """Return whether the file is still the one that the run was split with; one that is not is named once."""
        if self._splits is None:
            return True
        now = state_now(path, self._splits.state_of(name))
        if now.state != OK and name not in self._told:
            self._told.add(name)
            self._log(f"left out: {name}: {now.reason}")
        return now.state == OK

    def sounds(
        self,
        paths: dict[str, Path],
        seconds: float,
        *,
        only: int | None = None,
        as_rate: int | None = None,
        each: float = math.inf,
    ) -> Iterator[Sound]:
        """Read recordings until they are ``seconds`` long together.

        Parameters
        ----------
        only
            Leave out those at another rate.
        as_rate
            Resample to this rate; what carries less than the front end's band is left out.
        each
            At most so many seconds of a recording.
        """
        for name, path in paths.items():
            if seconds <= 0:
                return
            try:
                recording = open_recording(path, time_expansion=self.manifest.time_expansion_of(name))
                rate = recording.sample_rate
                if (only is not None and rate != only) or rate < 2 * self._run.high_hz:
                    continue
                channel = channels_to_read(recording.n_channels, self._run.channel)[0]
                until = min(seconds, each, recording.duration_s)
                samples = recording.read(0.0, until, channel=channel, sample_rate=as_rate)
                if as_rate is not None and as_rate != rate:
                    samples = _as_recorded(samples)
            except RecordingError:
                continue
            seconds -= until
            yield Sound(name, as_rate or rate, samples)

    def usual_rate(self) -> int | None:
        """Return the rate in Hz of most training recordings, of several the highest; None where none is found."""
        rates: Counter[int] = Counter()
        for name, path in self.paths("train").items():
            with contextlib.suppress(RecordingError):
                recording = open_recording(path, time_expansion=self.manifest.time_expansion_of(name))
                rates[recording.sample_rate] += 1
        return max(rates, key=lambda rate: (rates[rate], rate), default=None)

    def to_compare(self, rate: int, seconds: float, learned: Sequence[str] = ("train",)) -> Heard | None:
        """Test recordings at ``rate``, or else validation ones, or else such resampled; None where there are none.

        What they are called says so where they are of a side that the run has ``learned`` from: figures beside
        annotations flatter it then.
        """
        splits = (("test", "test"), ("valid", "validation"))
        for words, choice in (("", {"only": rate}), (f" resampled to {rate} Hz", {"as_rate": rate})):
            for split, name in splits:
                sounds = tuple(self.sounds(self.paths(split), seconds, **choice))
                if sounds:
                    known = ", which it has learned from" if split in learned else ""
                    source = f"recordings of {self._data}{words}"
                    if self._data is None:
                        source = f"{name} recordings of the run{words}{known}"
                    return Heard(source, sounds, self._annotated(sounds))
        return None

    def _annotated(self, sounds: tuple[Sound, ...]) -> pd.DataFrame:
        """Rows of the manifest for what was read: an annotation behind the end of it was not listened to."""
        ends = {sound.name: sound.duration_s for sound in sounds}
        table = self.manifest.table
        return table[table["start_s"] < table["recording"].map(ends)].reset_index(drop=True)


def _as_recorded(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Resampled sound as a recorder would have it: in steps of 16 bits."""
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.float32) / np.float32(32768)


def simulated(rate: int, n: int = _SIMULATED, seconds: float = _SIMULATED_S, seed: int = 20) -> Heard:
    """Simulated bats; at a rate that carries none, they are played slower."""
    slower = max(1, -(-_BAT_RATE // rate))
    wanted = {
        "n_recordings": n, "duration_s": max(0.2, seconds / slower), "sample_rate_hz": rate * slower, "seed": seed,
        "empty_fraction": 0.0, "snr_db": (40.0, 70.0),
    }  # fmt: skip
    config = validate(SimulationConfig, wanted, f"simulated recordings at {rate} Hz")
    sounds, rows = [], []
    for index in range(n):
        samples, annotations = simulate_recording(config, index)
        name = f"simulated_{index}.wav"
        sounds.append(Sound(name, rate, samples))
        for row in annotations:
            times = {"start_s": row["start_s"] * slower, "end_s": row["end_s"] * slower}
            rows.append({"recording": name, **times, "label": row["label"]})
    played = f", played {slower} times slower" if slower > 1 else ""
    table = make_manifest(pd.DataFrame(rows), ".", "simulated recordings").table
    return Heard(f"simulated recordings{played}", tuple(sounds), table)


def _to_test(data: Path) -> Manifest:
    """Read a user's manifest to compare on; where it has no splits, all of it is for testing."""
    manifest = read_manifest(data)
    if (manifest.table["split"] != "").any():
        return manifest
    return manifest.with_splits(dict.fromkeys(manifest.recordings, "test"))


def _nearest(path: Path, found: Sequence[Path]) -> Path:
    """Find the file of the same name whose path ends most like the given one; the path itself where there is none."""

    def same(other: Path) -> int:
        pairs = zip(reversed(path.parts), reversed(other.parts), strict=False)
        return len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)))

    most = max(map(same, found), default=0)
    best = [other for other in found if same(other) == most]
    if len(best) > 1:
        raise DataError(f"{path}: may be {best[0]} or {best[1]}; let --recordings name a folder with one of them")
    return best[0] if best else path


def _places(folder: Path | None) -> dict[str, list[Path]]:
    if folder is None:
        return {}
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; --recordings takes the folder that the run's recordings lie in")
    places: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            places.setdefault(path.name, []).append(path)
    return places


def _shuffled(name: str) -> bytes:
    """Sort recordings in a fixed order that does not follow nights or sites."""
    return hashlib.sha256(os.path.basename(name).encode("utf-8", "surrogateescape")).digest()
