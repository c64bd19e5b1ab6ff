"""The recordings of a training: opened, checked against their annotations, and turned into spectrograms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from ecotf.datasets.against_audio import check_recordings
from ecotf.datasets.data_config import DataConfig
from ecotf.datasets.labels import IGNORED_LABELS, UNNAMED_LABELS, labels_that_match, unnamed_among
from ecotf.datasets.manifest import Manifest
from ecotf.datasets.splits import describe_unlearned
from ecotf.errors import DataError
from ecotf.evaluation.matching import check_labels
from ecotf.features.peaks import MEASURES, PeakConfig, find_peaks, measure_peaks, strength
from ecotf.pipelines.patch_places import annotations_of, label_peaks, match_peaks, patches_at_calls, patches_at_peaks
from ecotf.pipelines.patches import PatchesConfig, PatchTable, empty_patches
from ecotf.pipelines.spectrogram_store import SpectrogramStore, StoredSpectrogram
from ecotf.training.run_store import Log

if TYPE_CHECKING:
    import pandas as pd

    from ecotf.runs.splits import Splits
    from ecotf.tasks.recordings import Progress

_LOST = StoredSpectrogram(np.empty((0, 0), np.float32), 1.0, 1.0, 0.0, np.empty(0), 0.0, 1, 0.0)


class CallDataConfig(DataConfig):
    """The annotations that are calls, and the split of recordings if the manifest has none.

    Attributes
    ----------
    ignored_labels
        Shell patterns of labels that are annotated but are no calls (:mod:`ecotf.datasets.labels`).
    unnamed_labels
        Shell patterns of labels of calls whose species is not known. They teach that there is a call and name no
        species; where no other label is there they are names as any other.
    """

    ignored_labels: tuple[str, ...] = IGNORED_LABELS
    unnamed_labels: tuple[str, ...] = UNNAMED_LABELS
    valid: float = Field(0.15, gt=0)


@dataclass(frozen=True)
class TrainingData:
    """Everything a training sees.

    Attributes
    ----------
    manifest
        With splits; only recordings that could be read when the split was drawn.
    spectrograms
        In the order of ``manifest.recordings``; of lost ones, an empty one.
    species
        The labels of the training recordings' calls, sorted.
    ignored_labels
        The labels that are no calls.
    unnamed_labels
        The labels of calls whose species is not known.
    problems
        ``recording, status, reason`` of what could not be read.
    splits
        The split as it was drawn.
    lost
        Recordings that were split and can no longer be used: on no side, but their species and numbers stay.
    """

    manifest: Manifest
    spectrograms: list[StoredSpectrogram]
    species: tuple[str, ...]
    ignored_labels: tuple[str, ...]
    problems: pd.DataFrame
    unnamed_labels: tuple[str, ...] = ()
    splits: Splits | None = None
    lost: frozenset[str] = frozenset()

    def recordings_of(self, split: str) -> list[str]:
        """List the recordings of a split."""
        return [name for name in self.manifest.of_split(split).recordings if name not in self.lost]

    def indices_of(self, split: str) -> list[int]:
        """Return the indices into ``spectrograms`` of a split."""
        inside = set(self.recordings_of(split))
        return [index for index, recording in enumerate(self.manifest.recordings) if recording in inside]

    @cached_property
    def _annotations(self) -> dict[str, pd.DataFrame]:
        annotations = self.manifest.annotations
        return {str(recording): rows for recording, rows in annotations.groupby("recording", sort=False)}

    def calls_of(self, recording: str) -> pd.DataFrame:
        """Annotated calls of one recording, of any class."""
        table = self._annotations.get(recording, self.manifest.table.iloc[:0])
        return table[~table["label"].isin(self.ignored_labels)]

    def sounds_of(self, recording: str) -> pd.DataFrame:
        """Annotated sounds of one recording that are no calls."""
        table = self._annotations.get(recording, self.manifest.table.iloc[:0])
        return table[table["label"].isin(self.ignored_labels)]


def prepare_data(
    manifest: Manifest,
    config: CallDataConfig,
    store: SpectrogramStore,
    seed: int,
    log: Log,
    threads: int = 2,
    progress: Progress | None = None,
    kept: Splits | None = None,
) -> TrainingData:
    """Read every recording, leave out (and name) those that cannot be read, and split what is left.

    ``kept`` is the split of an interrupted training; nothing is drawn then.

    Raises
    ------
    DataError
        Nothing could be read, an annotation lies outside of its recording, a call has no end, a species cannot be
        called so, or the training recordings hold no call.
    """
    from ecotf.tasks.recordings import open_recordings

    def read(recording: str) -> StoredSpectrogram:
        return store.get(manifest.path_of(recording), manifest.time_expansion_of(recording))

    opened = open_recordings(manifest, read, config, seed, log, threads, progress, kept)
    manifest, readable = opened.manifest, opened.readings
    check_recordings(manifest, {name: spectrogram.duration_s for name, spectrogram in readable.items()})
    for split in ("train", "valid"):
        if not set(manifest.of_split(split).recordings) & readable.keys():
            raise DataError(f"no recording is in the split {split!r}; training needs one, to fit on or to choose by")
    ignored_labels = labels_that_match(manifest.labels, config.ignored_labels)
    in_training = manifest.of_split("train").annotations["label"]
    in_training = in_training[~in_training.isin(ignored_labels)]
    unnamed_labels: list[str] = []
    if unnamed_among(in_training.unique().tolist(), config.unnamed_labels):
        unnamed_labels = labels_that_match(manifest.labels, config.unnamed_labels)
        log(f"calls of unknown species, used to learn that there is a call: {', '.join(unnamed_labels)}")
    no_species = {*ignored_labels, *unnamed_labels}
    check_labels([label for label in manifest.labels if label not in no_species], ignored_labels)
    _require_ends(manifest, ignored_labels)
    counts = in_training[~in_training.isin(unnamed_labels)].value_counts()
    if counts.empty:
        raise DataError(
            "the training recordings hold no annotated call; labels that are no calls: " + str(ignored_labels)
        )
    for sentence in describe_unlearned(manifest, [name for name in manifest.labels if name not in no_species]):
        log(sentence)
    for species, count in counts.items():
        if count == 1:
            log(f"{species}: only one annotated call in the training recordings; the model will hardly find it")
    return TrainingData(
        manifest,
        [readable.get(recording, _LOST) for recording in manifest.recordings],
        tuple(sorted(counts.index)),
        tuple(ignored_labels),
        opened.problems,
        tuple(unnamed_labels),
        opened.splits,
        opened.lost,
    )


def _require_ends(manifest: Manifest, ignored_labels: Sequence[str]) -> None:
    """Require that annotations have an end: a label for a whole recording does not say where the call is."""
    calls = manifest.annotations[~manifest.annotations["label"].isin(ignored_labels)]
    without = calls[calls["end_s"].isna()]
    if len(without):
        row = without.iloc[0]
        raise DataError(
            f"{len(without)} calls have no end; the first: {row['recording']!r}, {row['label']!r}; a call detector "
            "learns from annotations with a start and an end"
        )


def every_peak(
    data: TrainingData, split: str, config: PatchesConfig, peaks: PeakConfig
) -> tuple[PatchTable, np.ndarray]:
    """Return every peak of a split's recordings, as detection finds them, and their measures (`measure_peaks`).

    Of the peaks of one call only the strongest is a call; its echoes are not.
    """
    table, measures = empty_patches(len(data.species)), [np.empty((0, len(MEASURES)), np.float32)]
    recordings = data.manifest.recordings
    for index in data.indices_of(split):
        spectrogram = data.spectrograms[index]
        name = recordings[index]
        annotations = annotations_of(data.calls_of(name), data.sounds_of(name), data.species, data.unnamed_labels)
        at = find_peaks(spectrogram.values, spectrogram.hop_s, peaks)
        measured = measure_peaks(spectrogram.values, at, spectrogram.hop_s, peaks)
        times = spectrogram.offset_s + at * spectrogram.hop_s
        match = match_peaks(times, measured[:, 0], annotations, config.match_s)
        targets = label_peaks(times, match, annotations, len(data.species), config.merge_s)
        # A call of a species that is not learned is no example of "not a call" either.
        usable = (match < 0) | targets.any(axis=1)
        table = table.joined(PatchTable(np.full(usable.sum(), index), times[usable], targets[usable]))
        measures.append(measured[usable])
    return table, np.concatenate(measures)


def training_patches(data: TrainingData, split: str, config: PatchesConfig, peaks: PeakConfig, seed: int) -> PatchTable:
    """Place the patches of all recordings of a split; each recording draws from its own random numbers."""
    table = empty_patches(len(data.species))
    recordings = data.manifest.recordings
    for index in data.indices_of(split):
        rng = np.random.default_rng([seed, index])
        spectrogram = data.spectrograms[index]
        name = recordings[index]
        annotations = annotations_of(data.calls_of(name), data.sounds_of(name), data.species, data.unnamed_labels)
        if config.at == "peaks":
            at = find_peaks(spectrogram.values, spectrogram.hop_s, peaks)
            strengths = strength(spectrogram.values, spectrogram.hop_s, peaks.smooth_s)[at]
            times = spectrogram.offset_s + at * spectrogram.hop_s
            placed = patches_at_peaks(
                index, times, strengths, spectrogram.duration_s, annotations, len(data.species), config, rng
            )
        else:
            placed = patches_at_calls(index, spectrogram.duration_s, annotations, len(data.species), config, rng)
        table = table.joined(placed)
    return table
