"""What a file is tried on: chunks, blocks and patches of the sounds, and what the desktop makes of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ecotf.detection.candidates import COLUMNS, find_candidates
from ecotf.export.prove.recordings import Heard, Sound
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.sound import CHUNK_FRAMES, middle_samples, raw_config, samples_of
from ecotf.export.stages.stage import DEFAULT
from ecotf.features.peaks import MEASURES, find_peaks, measure_peaks
from ecotf.features.spectrogram import BandSpectrogram
from ecotf.pipelines.patches import cut_patches
from ecotf.tasks.calls.run import LoadedRun

if TYPE_CHECKING:
    import pandas as pd

_CHUNKS, _BLOCKS, _WINDOWS = 12, 12, 192


@dataclass
class Examples:
    """Inputs of a file's signatures, and what is expected of them, by ``signature.name``: ``[n, ...]`` each.

    Attributes
    ----------
    candidates
        What the desktop finds in the sounds, with a column ``recording`` first.
    peaks
        Peaks in a second of sound.
    rows
        How many each sound has; of runs of clips.
    frame_times
        Middles of the frames of a row, seconds from its start; of heads that give frames.
    """

    inputs: dict[str, np.ndarray] = field(default_factory=dict)
    expected: dict[str, np.ndarray] = field(default_factory=dict)
    candidates: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["recording", *COLUMNS]))
    peaks: float = 0.0
    rows: tuple[int, ...] = ()
    frame_times: np.ndarray = field(default_factory=lambda: np.empty(0))


def make_examples(run: LoadedRun, settings: ExportSettings, heard: Heard) -> Examples:
    """Draw examples evenly from the sounds."""
    if run.recipe.detection.scoring.at == "grid":
        return _of_windows(run, settings, heard)
    return _of_peaks(run, settings, heard)


def samples_for(settings: ExportSettings, sound: Sound) -> np.ndarray:
    """Samples as the file takes them."""
    return sound.pcm if settings.sound == "int16" else sound.samples


def as_float(samples: np.ndarray) -> np.ndarray:
    """Samples as the desktop takes them."""
    return np.asarray(samples / np.float32(32768) if samples.dtype == np.int16 else samples, np.float32)


def _of_peaks(run: LoadedRun, settings: ExportSettings, heard: Heard) -> Examples:
    import pandas as pd

    made = BandSpectrogram(run.recipe.front_end, settings.rate)
    examples = Examples()
    chunks = _pieces(settings, heard, samples_of(made, CHUNK_FRAMES), _CHUNKS)
    raw = BandSpectrogram(raw_config(run.recipe.front_end), settings.rate)
    examples.inputs["spectrogram.sound"] = chunks
    examples.expected["spectrogram.frames"] = raw.batch(as_float(chunks))

    blocks = _pieces(settings, heard, samples_of(made, made.block_frames), 3 * _BLOCKS)
    found = [_strongest(run, made, as_float(block)) for block in blocks]
    there = [index for index, scores in enumerate(found) if scores is not None][:_BLOCKS]
    examples.inputs[f"{DEFAULT}.sound"] = blocks[there]
    expected = [scores for scores in found if scores is not None][:_BLOCKS]
    examples.expected[f"{DEFAULT}.scores"] = np.array(expected).reshape(-1, 1 + len(run.detector.species))

    slices = run.detector.patches.slices(run.recipe.front_end.hop_s)
    patches, measures, tables, n_peaks = [], [], [], 0
    for sound in heard.sounds:
        values = made(sound.samples)
        peaks = find_peaks(values, made.hop_s, run.recipe.peaks)
        n_peaks += len(peaks)
        measured = measure_peaks(values, peaks, made.hop_s, run.recipe.peaks)
        chosen = _evenly(len(peaks), -(-_WINDOWS // len(heard.sounds)))
        patches.append(cut_patches(values, peaks[chosen], slices, run.detector.patches))
        measures.append(measured[chosen])
        table = desktop_candidates(run, made, sound.samples)
        table.insert(0, "recording", sound.name)
        tables.append(table)
    examples.candidates = pd.concat(tables, ignore_index=True)
    examples.peaks = n_peaks / heard.seconds
    _add_scores(run, examples, np.concatenate(patches), np.concatenate(measures))
    return examples


def _of_windows(run: LoadedRun, settings: ExportSettings, heard: Heard) -> Examples:
    made = BandSpectrogram(run.recipe.front_end, settings.rate)
    examples = Examples()
    sounds = _pieces(settings, heard, middle_samples(made, run.detector.patches), _WINDOWS // 4)
    slices = run.detector.patches.slices(run.recipe.front_end.hop_s)
    patches = []
    for sound in sounds:
        values = made(as_float(sound))
        patches.append(cut_patches(values, np.array([len(values) // 2]), slices, run.detector.patches))
    examples.inputs[f"{DEFAULT}.sound"] = sounds
    empty = np.empty((len(sounds), len(MEASURES)), np.float32)
    _add_scores(run, examples, np.concatenate(patches), empty)
    examples.expected[f"{DEFAULT}.scores"] = examples.expected["score.scores"]
    return examples


def _add_scores(run: LoadedRun, examples: Examples, patches: np.ndarray, measures: np.ndarray) -> None:
    """Inputs and expectations of the score, and what the networks alone answer."""
    detector = run.detector
    examples.inputs["score.patch"] = patches
    if detector.needs_measures:
        examples.inputs["score.measures"] = measures
    first = detector.networks[0]
    both = np.asarray(first.both(patches, training=False))
    split = first.backbone.output_shape[1]
    answers = both[:, split:]
    if detector.is_cascade:
        answers = np.hstack([answers[:, :1], np.asarray(detector.networks[1].model(patches, training=False))])
    examples.expected["between.embedding"] = both[:, :split]
    examples.expected["between.answers"] = answers
    wanted = measures if detector.needs_measures else None
    examples.expected["score.scores"] = detector.combine(detector.run(patches), wanted)
    examples.expected["score.embedding"] = both[:, :split]


def _strongest(run: LoadedRun, made: BandSpectrogram, sound: np.ndarray) -> np.ndarray | None:
    """The desktop's scores of the strongest peak of one block; None where there is no peak."""
    detector = run.detector
    values = made(sound)
    peaks = find_peaks(values, made.hop_s, run.recipe.peaks)
    measures = measure_peaks(values, peaks, made.hop_s, run.recipe.peaks)
    slices = detector.patches.slices(run.recipe.front_end.hop_s)
    inside = np.flatnonzero((peaks >= slices // 2) & (peaks <= len(values) - slices // 2))
    if not len(inside):
        return None
    best = inside[measures[inside, 0].argmax()]
    patch = cut_patches(values, peaks[best : best + 1], slices, detector.patches)
    wanted = measures[best : best + 1] if detector.needs_measures else None
    return np.asarray(detector.combine(detector.run(patch), wanted)[0])


def desktop_candidates(run: LoadedRun, made: BandSpectrogram, sound: np.ndarray) -> pd.DataFrame:
    """What the desktop finds in a recording."""

    import pandas as pd

    found = find_candidates(
        [made(sound)],
        run.detector,
        run.recipe.detection,
        run.recipe.peaks,
        made.hop_s,
        made.offset_s,
        made.frequencies_hz,
    )
    return pd.concat(list(found), ignore_index=True)


def _pieces(settings: ExportSettings, heard: Heard, n_samples: int, n: int) -> np.ndarray:
    """At most ``n`` pieces of ``n_samples``, evenly drawn from the sounds; short ones are followed by silence."""
    each = max(1, n // len(heard.sounds))
    pieces = []
    for sound in heard.sounds:
        samples = samples_for(settings, sound)
        for start in np.linspace(0, max(0, len(samples) - n_samples), each).astype(int):
            piece = samples[start : start + n_samples]
            pieces.append(np.pad(piece, (0, n_samples - len(piece))))
    return np.stack(pieces[:n] if each == 1 else pieces)


def _evenly(n: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(int)) if n else np.empty(0, int)
