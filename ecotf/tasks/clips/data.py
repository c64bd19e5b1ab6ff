"""The recordings of a training on clips: opened, split, and cut into what each stage learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from ecotf.audio.recording import open_recording
from ecotf.datasets.coverage import with_nothing_heard
from ecotf.datasets.labels import is_background, unnamed_among
from ecotf.datasets.manifest import Manifest
from ecotf.datasets.splits import describe_gaps, describe_unlearned
from ecotf.errors import DataError
from ecotf.pipelines.clip_places import background_recordings, clips_of_recordings, segments_of_recordings
from ecotf.pipelines.clips import Clips, ClipsConfig
from ecotf.pipelines.crops import ClipSounds
from ecotf.pipelines.samplers import SamplerConfig, with_at_least, with_at_most
from ecotf.tasks.clips.plan import ClipPlan
from ecotf.tasks.clips.stages import ClipStageConfig, StageData, classes_of
from ecotf.training.run_store import Log

if TYPE_CHECKING:
    import pandas as pd

    from ecotf.runs.splits import Splits
    from ecotf.tasks.clips.recipe import ClipRecipe
    from ecotf.tasks.recordings import Progress

_TOLD_GAPS = 5


Plan = TypeVar("Plan", bound=ClipPlan, covariant=True)
Other = TypeVar("Other", bound=ClipPlan)


@dataclass(frozen=True)
class ClipData(Generic[Plan]):
    """Everything that a training on clips sees.

    Attributes
    ----------
    manifest
        With splits; only recordings that could be opened when the split was drawn.
    durations
        Recording to seconds; without those that were lost since.
    problems
        ``recording, status, reason`` of what could not be opened.
    cache
        Where decoded recordings are kept; None keeps nothing.
    splits
        The split as it was drawn.
    """

    manifest: Manifest
    durations: dict[str, float]
    problems: pd.DataFrame
    plan: Plan
    cache: Path | None
    splits: Splits | None = None
    _sounds: dict[tuple[object, ...], ClipSounds] = field(default_factory=dict, repr=False, compare=False)

    def for_plan(self, plan: Other) -> ClipData[Other]:
        """Return the same recordings and splits for another plan; sound that is decoded in the same way is shared."""
        return replace(self, plan=plan)  # type: ignore[arg-type, return-value]

    def recordings_of(self, split: str) -> list[str]:
        """List the recordings of a split."""
        return [name for name in self.manifest.of_split(split).recordings if name in self.durations]

    def classes(self, stage: ClipStageConfig) -> tuple[str, ...]:
        """Return the labels that a stage learns, sorted."""
        # With the recordings that were lost: the network has their classes.
        table = self.manifest.of_split("train").table
        table = table[~is_background(table) & ~table["label"].isin(self.unnamed_labels)]
        return classes_of(table, stage.data, f"stage {stage.title!r}")

    @property
    def unnamed_labels(self) -> list[str]:
        """The labels of events of unknown species."""
        return unnamed_among(self.manifest.labels, self.plan.data.unnamed_labels)

    def side(self, split: str, data: StageData) -> Manifest:
        """Return the manifest's rows of a split that a stage's data choose; may be empty."""
        manifest = self._heard(split)
        return Manifest(manifest.table[data.chosen(manifest.table)].reset_index(drop=True), manifest.root)

    def training_clips(self, stage: ClipStageConfig, classes: Sequence[str]) -> Clips:
        """Return the clips that a stage learns from."""
        manifest, config = self.side("train", stage.data), self._clips_config(stage)
        if stage.segments:
            made = segments_of_recordings(
                manifest, self.durations, classes, config, stage.segment_hop_s, self.plan.seed, self.unnamed_labels
            )
        else:
            made = clips_of_recordings(manifest, classes, config, self.plan.seed)
        table = with_at_most(made.table, config.max_per_class, self.plan.seed) if config.max_per_class else made.table
        table = with_at_least(table, config.min_per_class, self.plan.seed) if config.min_per_class else table
        return Clips(table, made.recordings, made.classes, made.outside)

    def validation_clips(self, stage: ClipStageConfig, classes: Sequence[str]) -> Clips | None:
        """Return the clips that a stage's epochs are compared by; None where there are none."""
        return self.rows("valid", stage.data, classes, self._clips_config(stage).seconds, None)

    def rows(
        self, split: str, data: StageData, classes: Sequence[str], seconds: float, hop_s: float | None
    ) -> Clips | None:
        """Cut recordings into segments, one after the other, with their labels; None where a split has none."""
        manifest = self.side(split, data)
        if not manifest.recordings or not (set(manifest.labels) & set(classes)):
            return None
        config = self.plan.clips.model_copy(update={"seconds": seconds})
        return segments_of_recordings(
            manifest, self.durations, classes, config, hop_s, self.plan.seed, self.unnamed_labels
        )

    def sounds(self: ClipData[ClipRecipe], recordings: Sequence[str]) -> ClipSounds:
        """Return the reader of crops of these recordings; the same object for the same recordings."""
        key = self.plan.sample_rate, self.plan.data.channel, self.plan.clips.source, *recordings
        if key not in self._sounds:
            self._sounds[key] = ClipSounds(
                [self.manifest.path_of(recording) for recording in recordings],
                self.plan.sample_rate,
                self.cache,
                time_expansions=[self.manifest.time_expansion_of(recording) for recording in recordings],
                channel=self.plan.data.channel,
                source=self.plan.clips.source,
            )
        return self._sounds[key]

    def backgrounds(self: ClipData[ClipRecipe], number: int) -> list[ClipSounds]:
        """Return the recordings of each of ``number`` background sets; empty where the manifest has no backgrounds."""
        there = [name for name in background_recordings(self.manifest) if name in self.durations]
        patterns = self.plan.data.backgrounds
        sets = []
        for i in range(number if there else 0):
            pattern = patterns[min(i, len(patterns) - 1)]
            inside = [name for name in there if fnmatchcase(name, pattern)]
            if not inside:
                raise DataError(f"no background recording matches {pattern!r} (data.backgrounds)")
            sets.append(self.sounds(inside))
        return sets

    def _heard(self, split: str) -> Manifest:
        manifest = self.manifest.of_split(split)
        table = manifest.table
        heard = ~is_background(table) & table["recording"].isin(self.durations.keys())
        return Manifest(table[heard].reset_index(drop=True), manifest.root)

    def _clips_config(self, stage: ClipStageConfig) -> ClipsConfig:
        return (
            self.plan.clips if stage.seconds is None else self.plan.clips.model_copy(update={"seconds": stage.seconds})
        )


def prepare_clip_data(
    manifest: Manifest,
    plan: Other,
    cache: Path | None,
    log: Log,
    threads: int = 2,
    progress: Progress | None = None,
    kept: Splits | None = None,
) -> ClipData[Other]:
    """Open every recording, leave out (and name) those that cannot be opened, and split what is left.

    ``kept`` is the split of an interrupted training; nothing is drawn then.

    Raises
    ------
    DataError
        No recording can be opened, or none is to train on.
    """
    from ecotf.tasks.recordings import open_recordings

    manifest, notes = with_nothing_heard(manifest, plan.data.ignored_labels, plan.data.unnamed_labels)
    for note in notes:
        log(note)

    def read(recording: str) -> float:
        path, expansion = manifest.path_of(recording), manifest.time_expansion_of(recording)
        return open_recording(path, time_expansion=expansion).duration_s

    given = manifest
    opened = open_recordings(manifest, read, plan.data, plan.seed, log, threads, progress, kept)
    manifest = opened.manifest
    data = ClipData(manifest, opened.readings, opened.problems, plan, cache, opened.splits)
    if not data._heard("train").recordings:
        raise DataError("no recording is in the split 'train'; there is nothing to learn from")
    by_species = plan.data.split_by == "species"  # then a species is meant to be on one side
    named = [] if by_species else [name for name in manifest.labels if name not in data.unnamed_labels]
    for sentence in describe_unlearned(manifest, named):
        log(sentence)
    for sentence in _describe_clips(data, given):
        log(sentence)
    gaps = [] if by_species else describe_gaps(manifest)
    for sentence in gaps[:_TOLD_GAPS]:
        log(sentence)
    if len(gaps) > _TOLD_GAPS:
        log(f"and {len(gaps) - _TOLD_GAPS} more labels that are not on every side")
    return data


def _describe_clips(data: ClipData[ClipPlan], given: Manifest) -> list[str]:
    """Say how many training recordings have no class, and which labels of ``given`` have no recording to read."""
    train, sentences = data._heard("train").table, []
    labelled = train.groupby("recording")["label"].any().astype(bool)
    without = int((~labelled).sum())
    if without:
        number = "1 training recording has" if without == 1 else f"{without} training recordings have"
        drawn = {getattr(stage, "sampler", SamplerConfig()).name for stage in data.plan.stages} != {"in_turn"}
        use = "learned from as none of the classes" if drawn else "the sampler in_turn never draws them"
        sentences.append(f"{number} no class (of {len(labelled)}): {use}")
    annotations = given.annotations
    lost = annotations[~annotations["label"].isin(data.manifest.labels)].groupby("label")["recording"].nunique()
    for label, n in lost.items():
        sentences.append(
            f"{label} will not be learned: no recording that has it is used (of {n}); see what was left out"
        )
    return sentences
