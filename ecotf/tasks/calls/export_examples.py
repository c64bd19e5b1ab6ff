"""The inputs that an exported file of task calls is tried on (chunks, blocks, patches), with the desktop's outputs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ecotf.detection.candidates import CandidateFinder
from ecotf.export.convert.calibration import evenly
from ecotf.export.prove.examples import Examples, as_float, pieces
from ecotf.export.prove.recordings import Heard
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.sound import CHUNK_FRAMES, middle_samples, raw_config, samples_of
from ecotf.export.stages.stage import DEFAULT
from ecotf.features.peaks import MEASURES, find_peaks, measure_peaks
from ecotf.features.spectrogram import BandSpectrogram
from ecotf.pipelines.patches import cut_patches
from ecotf.tasks.calls.run import CallsRun

_CHUNKS, _BLOCKS, _PATCHES = 12, 12, 192


def peak_examples(run: CallsRun, settings: ExportSettings, heard: Heard) -> Examples:
    """Draw chunks, blocks and patches on peaks evenly from the sounds."""
    recipe = run.recipe
    made = BandSpectrogram(recipe.front_end, settings.rate)
    examples = Examples(detector={"front_end": recipe.front_end.model_dump(), "patches": recipe.patches.model_dump()})
    _add_chunks(run, made, examples, pieces(settings.sound, heard, samples_of(made, CHUNK_FRAMES), _CHUNKS))
    _add_blocks(run, made, examples, pieces(settings.sound, heard, samples_of(made, made.block_frames), 3 * _BLOCKS))
    patches, measures, tables, n_peaks = [], [], [], 0
    for sound in heard.sounds:
        values = made(sound.samples)
        peaks = find_peaks(values, made.hop_s, recipe.peaks)
        n_peaks += len(peaks)
        measured = measure_peaks(values, peaks, made.hop_s, recipe.peaks)
        chosen = evenly(len(peaks), -(-_PATCHES // len(heard.sounds)))
        patches.append(_cut(run, values, peaks[chosen]))
        measures.append(measured[chosen])
        table = desktop_candidates(run, made, sound.samples)
        table.insert(0, "recording", sound.name)
        tables.append(table)
    examples.candidates = pd.concat(tables, ignore_index=True)
    examples.peaks_per_s = n_peaks / heard.seconds
    examples.each_second = {"spectrogram": 1 / (CHUNK_FRAMES * made.hop_s), "score": examples.peaks_per_s}
    _add_scores(run, examples, np.concatenate(patches), np.concatenate(measures))
    return examples


def grid_examples(run: CallsRun, settings: ExportSettings, heard: Heard) -> Examples:
    """Draw pieces of sound evenly; the patch in the middle of each is scored."""
    made = BandSpectrogram(run.recipe.front_end, settings.rate)
    n_samples = middle_samples(made, run.detector.patches)
    sounds = pieces(settings.sound, heard, n_samples, _PATCHES // 4)
    every = [made(as_float(sound)) for sound in sounds]
    patches = np.concatenate([_cut(run, values, np.array([len(values) // 2])) for values in every])
    examples = Examples(each_second={DEFAULT: settings.rate / n_samples})
    examples.inputs[f"{DEFAULT}.sound"] = sounds
    _add_scores(run, examples, patches, np.empty((len(sounds), len(MEASURES)), np.float32))
    examples.expected[f"{DEFAULT}.scores"] = examples.expected["score.scores"]
    return examples


def desktop_candidates(run: CallsRun, made: BandSpectrogram, sound: np.ndarray) -> pd.DataFrame:
    """Find the candidates of a recording as the desktop does."""
    recipe = run.recipe
    return CandidateFinder(run.detector, recipe.detection, recipe.peaks, made).candidates([made(sound)])


def _cut(run: CallsRun, values: np.ndarray, centres: np.ndarray) -> np.ndarray:
    slices = run.detector.patches.slices(run.recipe.front_end.hop_s)
    return cut_patches(values, centres, slices, run.detector.patches)


def _add_chunks(run: CallsRun, made: BandSpectrogram, examples: Examples, chunks: np.ndarray) -> None:
    raw = BandSpectrogram(raw_config(run.recipe.front_end), made.sample_rate)
    examples.inputs["spectrogram.sound"] = chunks
    examples.expected["spectrogram.frames"] = raw.batch(as_float(chunks))


def _add_blocks(run: CallsRun, made: BandSpectrogram, examples: Examples, blocks: np.ndarray) -> None:
    """Blocks with a peak in them, and the scores of the strongest."""
    found = [_strongest(run, made, as_float(block)) for block in blocks]
    there = [index for index, scores in enumerate(found) if scores is not None][:_BLOCKS]
    examples.inputs[f"{DEFAULT}.sound"] = blocks[there]
    expected = [scores for scores in found if scores is not None][:_BLOCKS]
    examples.expected[f"{DEFAULT}.scores"] = np.array(expected).reshape(-1, 1 + len(run.detector.species))


def _add_scores(run: CallsRun, examples: Examples, patches: np.ndarray, measures: np.ndarray) -> None:
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


def _strongest(run: CallsRun, made: BandSpectrogram, sound: np.ndarray) -> np.ndarray | None:
    """Compute the desktop's scores of the strongest peak of one block; None where there is no peak."""
    detector = run.detector
    values = made(sound)
    peaks = find_peaks(values, made.hop_s, run.recipe.peaks)
    measures = measure_peaks(values, peaks, made.hop_s, run.recipe.peaks)
    slices = detector.patches.slices(run.recipe.front_end.hop_s)
    inside = np.flatnonzero((peaks >= slices // 2) & (peaks <= len(values) - slices // 2))
    if not len(inside):
        return None
    best = inside[measures[inside, 0].argmax()]
    wanted = measures[best : best + 1] if detector.needs_measures else None
    patch = _cut(run, values, peaks[best : best + 1])
    return np.asarray(detector.combine(detector.run(patch), wanted)[0])
