"""Simulated bat recordings with exact annotations: seeded, as many as wanted, written as a data set with its manifest.

What is annotated: every call whose direct sound has an energy of at least ``annotate_above_snr_db`` over the noise
power density at its loudest frequency (E/N0, in dB; about 18 dB is where a trained eye finds it in a spectrogram). A
box runs from the first to the last sample whose envelope reaches a tenth (-20 dB) of its maximum, and spans the
frequencies of the main partial in between. Echoes are not part of the box; fainter calls are in the sound but not in
the table, as in annotations made by people. A social call of several components is one box.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from ecotf.audio.clicks import bush_cricket, rain
from ecotf.audio.passes import Event, bat_pass, heard_burst
from ecotf.audio.scene import Scene, coloured_noise, draw_scene
from ecotf.audio.species import SPECIES, draw_individual
from ecotf.config import Config
from ecotf.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

MANIFEST_COLUMNS = (
    "recording", "start_s", "end_s", "low_hz", "high_hz", "label", "weight", "group", "split", "call_type",
)  # fmt: skip


class SimulationConfig(Config):
    """The contents of simulated recordings. Ranges are (least, most); probabilities are per recording."""

    n_recordings: int = Field(40, ge=1)
    duration_s: float = Field(3.0, ge=0.2, le=600)
    sample_rate_hz: int = Field(256_000, ge=96_000, le=500_000)
    seed: int = Field(0, ge=0)
    species: tuple[str, ...] = tuple(SPECIES)
    passes: tuple[int, int] = (1, 3)
    empty_fraction: float = Field(0.12, ge=0, le=1)
    snr_db: tuple[float, float] = (24.0, 72.0)
    annotate_above_snr_db: float = 18.0
    noise_floor_db: tuple[float, float] = (-128.0, -106.0)
    buzz_probability: float = Field(0.25, ge=0, le=1)
    social_probability: float = Field(0.2, ge=0, le=1)
    bush_cricket_probability: float = Field(0.35, ge=0, le=1)
    rain_probability: float = Field(0.3, ge=0, le=1)

    @field_validator("species")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names:
            raise ValueError("needs at least one species")
        for name in names:
            if name not in SPECIES:
                raise ValueError(f"species {name!r} cannot be simulated; known: {', '.join(SPECIES)}")
        return names

    @field_validator("passes", "snr_db", "noise_floor_db")
    @classmethod
    def _ordered(cls, values: tuple[float, float]) -> tuple[float, float]:
        if values[0] > values[1]:
            raise ValueError(f"{values} is not a range from least to most")
        return values

    @field_validator("passes")
    @classmethod
    def _some(cls, values: tuple[int, int]) -> tuple[int, int]:
        if values[0] < 1:
            raise ValueError(f"{values}: a recording with bats has at least 1 pass; set empty_fraction for empty ones")
        return values

    @model_validator(mode="after")
    def _below_nyquist(self) -> SimulationConfig:
        for name in self.species:
            if SPECIES[name].best_hz > 0.45 * self.sample_rate_hz:
                raise ValueError(
                    f"sample_rate_hz = {self.sample_rate_hz} cannot carry {name}, which calls at "
                    f"{SPECIES[name].best_hz:.0f} Hz; use at least {SPECIES[name].best_hz / 0.45:.0f} or leave it out"
                )
        return self


def simulate_recording(config: SimulationConfig, index: int) -> tuple[NDArray[np.float32], list[dict[str, Any]]]:
    """Make recording number ``index``; it depends on the settings and the index alone, not on the others.

    Returns
    -------
    recording
        Shape (n_samples,), within [-1, 1), on the steps of a 16-bit file.
    annotations
        Dictionaries of start_s, end_s, low_hz, high_hz, label and call_type (echolocation, buzz, social, song, rain),
        in order of start. Bats have their species as label, bush-crickets "Orthoptera", rain and rustling "noise".
    """
    rng = np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=(index,)))
    n_samples = round(config.duration_s * config.sample_rate_hz)
    scene = draw_scene(config.sample_rate_hz, float(rng.uniform(*config.noise_floor_db)), rng)
    recording = coloured_noise(scene, n_samples, rng)
    annotations: list[dict[str, Any]] = []
    for events, snr_db in _sources(config, index, scene, rng):
        if not events:
            continue
        level_db = snr_db - max(event.snr_db for event in events)
        for event in events:
            _add(recording, event, 10 ** (level_db / 20))
            if event.snr_db + level_db >= config.annotate_above_snr_db:
                annotations += _annotate(event, n_samples, config.sample_rate_hz)
    steps = np.clip(np.rint(recording * 32768), -32768, 32767)
    return (steps / 32768).astype(np.float32), sorted(annotations, key=lambda row: (row["start_s"], row["low_hz"]))


def simulate_dataset(
    folder: str | Path, config: SimulationConfig, report: Callable[[int, int], None] | None = None
) -> pd.DataFrame:
    """Write ``config.n_recordings`` WAV files (16 bit) and ``manifest.csv`` to ``folder``, and return the manifest.

    Files appear under their name only when complete. Paths in the manifest are relative to it; each recording is its
    own group; splits are left open.

    Parameters
    ----------
    report
        Called with (recordings done, recordings in all) after each one.

    Raises
    ------
    DataError
        When the folder cannot be written.
    """

    import pandas as pd

    folder = Path(folder)
    digits = max(3, len(str(config.n_recordings - 1)))
    rows: list[dict[str, Any]] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(config.n_recordings):
            name = f"night_{index:0{digits}d}.wav"
            recording, annotations = simulate_recording(config, index)
            with _appearing(folder / name) as partial:
                steps = (recording * 32768).astype(np.int16)
                soundfile.write(partial, steps, config.sample_rate_hz, format="WAV", subtype="PCM_16")
            nothing = {"start_s": 0.0, "end_s": config.duration_s, "low_hz": np.nan, "high_hz": np.nan, "label": ""}
            for row in annotations or [{**nothing, "call_type": ""}]:
                rows.append({"recording": name, **row, "weight": 1.0, "group": Path(name).stem, "split": ""})
            if report is not None:
                report(index + 1, config.n_recordings)
        manifest = pd.DataFrame(rows, columns=list(MANIFEST_COLUMNS))
        with _appearing(folder / "manifest.csv") as partial:
            manifest.to_csv(partial, index=False)
    except (OSError, soundfile.SoundFileError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{folder}: simulated recordings cannot be written here ({reason})") from None
    return manifest


def _sources(
    config: SimulationConfig, index: int, scene: Scene, rng: np.random.Generator
) -> Iterator[tuple[list[Event], float]]:
    """Each bat pass, bush-cricket and shower in the recording: its events at a common gain, and its best SNR in dB."""
    duration_s, low_snr, high_snr = config.duration_s, *config.snr_db
    if rng.random() >= config.empty_fraction:
        n_passes = int(rng.integers(config.passes[0], config.passes[1] + 1))
        # The first bat goes through the list, so that every species comes in any dozen recordings.
        names = [config.species[index % len(config.species)], *rng.choice(config.species, n_passes - 1)]
        for name in names:
            species = SPECIES[str(name)]
            snr_db = float(rng.uniform(low_snr, high_snr)) + species.loudness_db
            events = bat_pass(
                str(name),
                draw_individual(species, rng),
                duration_s,
                scene,
                rng,
                buzz=rng.random() < config.buzz_probability,
                social=rng.random() < config.social_probability,
            )
            yield events, snr_db
    if rng.random() < config.bush_cricket_probability:
        song = bush_cricket(duration_s, config.sample_rate_hz, rng)
        yield [heard_burst(burst, scene, "Orthoptera", "song") for burst in song], float(rng.uniform(15, 50))
    if rng.random() < config.rain_probability:
        drops = rain(duration_s, config.sample_rate_hz, rng)
        yield [heard_burst(burst, scene, "noise", "rain") for burst in drops], float(rng.uniform(20, 60))


def _add(recording: NDArray[np.float32], event: Event, gain: float) -> None:
    start, stop = max(0, event.first_sample), min(recording.size, event.first_sample + event.waveform.size)
    if start < stop:
        recording[start:stop] += gain * event.waveform[start - event.first_sample : stop - event.first_sample]


def _annotate(event: Event, n_samples: int, sample_rate_hz: int) -> list[dict[str, Any]]:
    """The box of an event, cut at the ends of the recording; none when its middle is outside."""
    start, stop = (event.first_sample + sample for sample in event.box_samples)
    if not 0 <= (start + stop) // 2 < n_samples:
        return []
    times = {"start_s": max(0, start) / sample_rate_hz, "end_s": min(n_samples, stop) / sample_rate_hz}
    band = {"low_hz": event.low_hz, "high_hz": event.high_hz}
    return [{**times, **band, "label": event.label, "call_type": event.call_type}]


@contextlib.contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A partial name to write to; it becomes ``path`` when all went well and is removed when not."""
    partial = path.with_name(f".partial-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
