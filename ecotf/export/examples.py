"""What a file is tried on: chunks, blocks and windows of the sounds, and what the desktop makes of each."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ecotf.detection.candidates import COLUMNS, find_candidates
from ecotf.export.recordings import Heard, Sound
from ecotf.export.settings import ExportSettings
from ecotf.export.sound import CHUNK_FRAMES, middle_samples, raw_config, samples_of
from ecotf.export.stages import DEFAULT
from ecotf.features.pulses import MEASURES, find_pulses, measure_pulses
from ecotf.features.spectrogram import BandSpectrogram
from ecotf.inference.load import LoadedRun
from ecotf.pipelines.windows import cut_windows

_CHUNKS, _BLOCKS, _WINDOWS = 12, 12, 192


@dataclass
class Examples:
    """Inputs of a file's signatures, and what is expected of them, by ``signature.name``: ``[n, ...]`` each.

    Attributes
    ----------
    candidates
        What the desktop finds in the sounds, with a column ``recording`` first.
    pulses
        Pulses in a second of sound.
    rows
        How many each sound has; of runs of clips.
    frame_times
        Middles of the frames of a row, seconds from its start; of heads that give frames.
    """

    inputs: dict[str, np.ndarray] = field(default_factory=dict)
    expected: dict[str, np.ndarray] = field(default_factory=dict)
    candidates: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["recording", *COLUMNS]))
    pulses: float = 0.0
    rows: tuple[int, ...] = ()
    frame_times: np.ndarray = field(default_factory=lambda: np.empty(0))


def make_examples(run: LoadedRun, settings: ExportSettings, heard: Heard) -> Examples:
    """Draw examples evenly from the sounds."""
    if run.recipe.detection.scoring.at == "grid":
        return _of_windows(run, settings, heard)
    return _of_pulses(run, settings, heard)


def samples_for(settings: ExportSettings, sound: Sound) -> np.ndarray:
    """Samples as the file takes them."""
    return sound.pcm if settings.sound == "int16" else sound.samples


def as_float(samples: np.ndarray) -> np.ndarray:
    """Samples as the desktop takes them."""
    return np.asarray(samples / np.float32(32768) if samples.dtype == np.int16 else samples, np.float32)


def _of_pulses(run: LoadedRun, settings: ExportSettings, heard: Heard) -> Examples:
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

    slices = run.detector.windows.slices(run.recipe.front_end.hop_s)
    windows, measures, tables, n_pulses = [], [], [], 0
    for sound in heard.sounds:
        values = made(sound.samples)
        pulses = find_pulses(values, made.hop_s, run.recipe.pulses)
        n_pulses += len(pulses)
        measured = measure_pulses(values, pulses, made.hop_s, run.recipe.pulses)
        chosen = _evenly(len(pulses), -(-_WINDOWS // len(heard.sounds)))
        windows.append(cut_windows(values, pulses[chosen], slices, run.detector.windows))
        measures.append(measured[chosen])
        table = desktop_candidates(run, made, sound.samples)
        table.insert(0, "recording", sound.name)
        tables.append(table)
    examples.candidates = pd.concat(tables, ignore_index=True)
    examples.pulses = n_pulses / heard.seconds
    _add_scores(run, examples, np.concatenate(windows), np.concatenate(measures))
    return examples


def _of_windows(run: LoadedRun, settings: ExportSettings, heard: Heard) -> Examples:
    made = BandSpectrogram(run.recipe.front_end, settings.rate)
    examples = Examples()
    sounds = _pieces(settings, heard, middle_samples(made, run.detector.windows), _WINDOWS // 4)
    slices = run.detector.windows.slices(run.recipe.front_end.hop_s)
    windows = []
    for sound in sounds:
        values = made(as_float(sound))
        windows.append(cut_windows(values, np.array([len(values) // 2]), slices, run.detector.windows))
    examples.inputs[f"{DEFAULT}.sound"] = sounds
    empty = np.empty((len(sounds), len(MEASURES)), np.float32)
    _add_scores(run, examples, np.concatenate(windows), empty)
    examples.expected[f"{DEFAULT}.scores"] = examples.expected["score.scores"]
    return examples


def _add_scores(run: LoadedRun, examples: Examples, windows: np.ndarray, measures: np.ndarray) -> None:
    """Inputs and expectations of the score, and what the networks alone answer."""
    detector = run.detector
    examples.inputs["score.window"] = windows
    if detector.needs_measures:
        examples.inputs["score.measures"] = measures
    first = detector.networks[0]
    both = np.asarray(first.both(windows, training=False))
    split = first.backbone.output_shape[1]
    answers = both[:, split:]
    if detector.is_cascade:
        answers = np.hstack([answers[:, :1], np.asarray(detector.networks[1].model(windows, training=False))])
    examples.expected["between.embedding"] = both[:, :split]
    examples.expected["between.answers"] = answers
    wanted = measures if detector.needs_measures else None
    examples.expected["score.scores"] = detector.combine(detector.run(windows), wanted)
    examples.expected["score.embedding"] = both[:, :split]


def _strongest(run: LoadedRun, made: BandSpectrogram, sound: np.ndarray) -> np.ndarray | None:
    """The desktop's scores of the strongest pulse of one block; None where there is no pulse."""
    detector = run.detector
    values = made(sound)
    pulses = find_pulses(values, made.hop_s, run.recipe.pulses)
    measures = measure_pulses(values, pulses, made.hop_s, run.recipe.pulses)
    slices = detector.windows.slices(run.recipe.front_end.hop_s)
    inside = np.flatnonzero((pulses >= slices // 2) & (pulses <= len(values) - slices // 2))
    if not len(inside):
        return None
    best = inside[measures[inside, 0].argmax()]
    window = cut_windows(values, pulses[best : best + 1], slices, detector.windows)
    wanted = measures[best : best + 1] if detector.needs_measures else None
    return np.asarray(detector.combine(detector.run(window), wanted)[0])


def desktop_candidates(run: LoadedRun, made: BandSpectrogram, sound: np.ndarray) -> pd.DataFrame:
    """What the desktop finds in a recording."""
    found = find_candidates(
        [made(sound)],
        run.detector,
        run.recipe.detection,
        run.recipe.pulses,
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
