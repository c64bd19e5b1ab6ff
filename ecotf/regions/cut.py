"""Cut the regions of interest out of one recording, in a worker process: clips on the disk, boxes and measures back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from ecotf.audio.band_pass import band_passed
from ecotf.audio.channels import ChannelChoice, channels_to_read
from ecotf.audio.fades import centred, faded
from ecotf.audio.odd_samples import to_int16
from ecotf.audio.recording import Recording, open_recording
from ecotf.audio.resample import resample
from ecotf.detection.regions import find_regions, level_spectrogram
from ecotf.errors import RecordingError, RecordingStatus
from ecotf.features.shapes import count_shapes, frequency_features, shape_features, without_background
from ecotf.files import atomic_folder
from ecotf.inference.listen import attempt, why_silent
from ecotf.inference.outcome import Outcome
from ecotf.regions.chunks import Chunk, filtered_chunks, plan_chunks
from ecotf.regions.config import SHAPES, RoiConfig
from ecotf.regions.labels import Annotation, label_of

_BLOCK_S = 1.0


class CutJob(NamedTuple):
    """One recording to cut.

    Attributes
    ----------
    path
        Its real path; how a result is known again.
    folder
        Where its clips go; the folder appears whole or not at all, and replaces an older one.
    label
        Of all its regions; annotations say it better where they overlap.
    """

    file: str
    path: str
    folder: str
    label: str
    annotations: tuple[Annotation, ...]
    time_expansion: float | None
    channel: ChannelChoice
    salvage: bool
    config: RoiConfig


class Region(NamedTuple):
    """One region that was cut.

    Attributes
    ----------
    clip
        The name of its file, in the folder of its recording.
    start_s, end_s, low_hz, high_hz
        Its box, in the recording.
    clip_start_s, clip_end_s, clip_s
        Where the box lies in the clip, and how long the clip is.
    label
        The species; empty where it is not known.
    measures
        Its features by name.
    shapes
        Its shape features; null where a scale has no contrast.
    """

    clip: str
    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    clip_start_s: float
    clip_end_s: float
    clip_s: float
    label: str
    measures: dict[str, float]
    shapes: list[float | None]


class CutResult(NamedTuple):
    """The result of a recording: what the ledger says, and its regions."""

    path: str
    outcome: Outcome
    regions: list[Region]


def cut_recording(job: CutJob, say: Callable[[str], Any] | None = None) -> CutResult:
    """Cut one recording; never raises for a fault of the recording."""
    began = perf_counter()
    regions: list[Region] = []

    def cut(salvage: bool) -> Outcome:
        recording = open_recording(job.file, time_expansion=job.time_expansion, salvage=salvage)
        channels_to_read(recording.n_channels, job.channel)
        regions[:] = []
        silent = _Cutter(recording, job).cut(regions)
        notes = [recording.note]
        if silent:
            notes.insert(0, why_silent(recording, job.channel))
        elif not regions:
            notes.insert(0, "no region of interest")
        status: RecordingStatus = "salvaged" if recording.salvaged else "silent" if silent else "done"
        return Outcome(status, "; ".join(filter(None, notes)), recording.duration_s)

    outcome = attempt(cut, job.file, job.salvage)
    if not regions or outcome.status not in ("done", "salvaged"):
        regions = []
        shutil.rmtree(job.folder, ignore_errors=True)
    return CutResult(job.path, outcome._replace(seconds_used=perf_counter() - began), regions)


class _Cutter:
    """Cuts one recording."""

    def __init__(self, recording: Recording, job: CutJob) -> None:
        config = job.config
        self._recording, self._job, self._config = recording, job, config
        self._rate = config.sample_rate or recording.sample_rate
        self._band = (config.regions.low_hz, min(config.regions.high_hz, self._rate / 2 - 1))
        carries_hz = min(self._rate, recording.sample_rate) / 2
        if config.regions.high_hz > carries_hz:
            raise RecordingError(
                f"the band reaches {config.regions.high_hz:g} Hz; sound at {recording.sample_rate} Hz reaches up to "
                f"{carries_hz:g} Hz",
                "unsupported",
            )
        least_s = config.regions.least_s + config.regions.n_fft / self._rate
        if config.tail == "drop" and recording.duration_s < config.chunk_s:
            raise RecordingError(
                f"{recording.duration_s:.3f} s long; with tail=drop, at least a chunk of {config.chunk_s:g} s is "
                "needed",
                "short",
            )
        if recording.duration_s < least_s:
            raise RecordingError(f"{recording.duration_s:.3f} s long; at least {least_s:.3f} s are needed", "short")
        self._lowest, self._highest = np.inf, -np.inf
        self._names: set[str] = set()

    def cut(self, regions: list[Region]) -> bool:
        """Write the clips and add the regions; whether all samples of the recording are the same."""
        rate, config = self._rate, self._config
        samples = round(self._recording.n_frames * rate / self._recording.sample_rate)
        if config.longest_s is not None:
            samples = min(samples, round(config.longest_s * rate))
        plan = plan_chunks(samples, round(config.chunk_s * rate), config.tail == "keep")
        with ExitStack() as opened:
            folder: Path | None = None
            for chunk in filtered_chunks(
                self._blocks(), plan, samples, rate, self._band, config.filter_order, config.margin_s
            ):
                for box in find_regions(chunk.sound[chunk.inside], rate, config.regions):
                    if folder is None:
                        folder = opened.enter_context(atomic_folder(self._job.folder))
                    regions.append(self._region(chunk, box, folder))
        return self._lowest >= self._highest

    def _blocks(self) -> Iterator[np.ndarray]:
        for block in self._recording.blocks(
            round(_BLOCK_S * self._rate), channel=self._job.channel, sample_rate=self._rate
        ):
            if len(block):
                self._lowest = min(self._lowest, float(block.min()))
                self._highest = max(self._highest, float(block.max()))
            yield block

    def _region(self, chunk: Chunk, box: tuple[float, float, float, float], folder: Path) -> Region:
        rate, config = self._rate, self._config
        start_s, end_s, low_hz, high_hz = box
        first = max(0, int((start_s - config.margin_s) * rate) + chunk.inside.start)
        last = min(len(chunk.sound), int((end_s + config.margin_s) * rate) + chunk.inside.start)
        low, high = low_hz - config.margin_hz, high_hz + config.margin_hz
        band = (low if low > 0 else low_hz, high if high < rate / 2 else min(high_hz, self._band[1]))
        sound = band_passed(chunk.sound[first:last], rate, *band, config.filter_order)
        start_s, end_s = (t + chunk.start / rate for t in (start_s, end_s))
        begins_s = (first - chunk.inside.start + chunk.start) / rate
        clip, clip_rate, before_s = self._clip(sound)
        length_s = len(clip) / clip_rate
        measures, shapes = self._measures(sound)
        name = self._name(start_s, low_hz)
        _write(folder / name, clip, clip_rate, config.clip.format)
        starts_s, ends_s = (min(max(t - begins_s + before_s, 0.0), length_s) for t in (start_s, end_s))
        label = label_of((start_s, end_s, low_hz, high_hz), self._job.annotations, self._job.label)
        return Region(
            name, round(start_s, 6), round(end_s, 6), round(low_hz, 1), round(high_hz, 1), round(starts_s, 6),
            round(ends_s, 6), round(length_s, 6), label, measures, shapes,
        )  # fmt: skip

    def _clip(self, sound: np.ndarray) -> tuple[np.ndarray, int, float]:
        """The clip, its rate, and how much silence stands before the sound in it."""
        config = self._config.clip
        rate = config.sample_rate or self._rate
        sound = resample(np.asarray(sound, np.float32), self._rate, rate)
        if config.seconds is None:
            return faded(sound, config.fade_s, rate), rate, 0.0
        samples = round(config.seconds * rate)
        missing = max(0, samples - len(sound))
        # cut before it is faded, so that a long region ends softly, too
        clip = centred(faded(sound[:samples], min(config.fade_s, config.seconds), rate), samples)
        return clip, rate, (missing - missing // 2) / rate

    def _measures(self, sound: np.ndarray) -> tuple[dict[str, float], list[float | None]]:
        config, rate = self._config.regions, self._rate
        spectrogram = level_spectrogram(rate, config.n_fft, config.overlap, 0.0, rate / 2, config.range_db)
        within = band_passed(sound, rate, *self._band, self._config.filter_order)
        levels = np.minimum(spectrogram(within.astype(np.float32)), 0).T + config.range_db
        levels[:2] = 0  # as published: what is constant is no sound
        image = without_background(levels)
        last_s = spectrogram.offset_s + (image.shape[1] - 1) * spectrogram.hop_s
        measures = {"duration_t": last_s} | frequency_features(image, spectrogram.frequencies_hz)
        measures = {name: round(value, 4) for name, value in measures.items()}
        if self._config.shapes == "none":
            return measures, []
        shapes = shape_features(image, self._config.shapes)
        return measures, [round(float(value), 6) if np.isfinite(value) else None for value in shapes]

    def _name(self, start_s: float, low_hz: float) -> str:
        stem = f"{Path(self._job.folder).name[:150]}_{start_s:07.2f}s_{low_hz:.0f}Hz"
        name, number = f"{stem}.wav", 1
        while name in self._names:
            number += 1
            name = f"{stem}_{number}.wav"
        self._names.add(name)
        return name


def shape_names(config: RoiConfig) -> list[str]:
    """Return the names of the shape features, as scikit-maad has them."""
    count = 0 if config.shapes == "none" else count_shapes(config.shapes)
    return [f"{SHAPES}_{number:03d}" for number in range(1, count + 1)]


def _write(path: Path, clip: np.ndarray, sample_rate: int, kind: str) -> None:
    import soundfile

    sound = to_int16(clip) if kind == "int16" else clip
    with path.open("wb") as stream:  # libsndfile takes no name that is not UTF-8
        soundfile.write(stream, sound, sample_rate, "PCM_16" if kind == "int16" else "FLOAT", format="WAV")
