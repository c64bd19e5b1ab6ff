"""Clips of species for episodes: one of each recording, at a place where nothing is random."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ecotf.errors import DataError
from ecotf.pipelines.clip_places import clips_of_recordings, segments_of_recordings
from ecotf.pipelines.clips import Clips, ClipsConfig
from ecotf.pipelines.episodes import EpisodeClips, episode_clips

if TYPE_CHECKING:
    from ecotf.tasks.clips.data import ClipData
    from ecotf.tasks.clips.stages import ClipStageConfig


@dataclass(frozen=True)
class SpeciesClips:
    """The clips of the species of a side.

    Attributes
    ----------
    clips
        A clip from the middle of each recording, or its segments where the stage learns from segments.
    source
        The same, as episodes are drawn from it.
    """

    clips: Clips
    source: EpisodeClips

    @property
    def species(self) -> tuple[str, ...]:
        """Their names, sorted."""
        return self.source.classes


def species_clips(
    data: ClipData[Any], split: str, stage: ClipStageConfig, without: tuple[str, ...] = ()
) -> SpeciesClips | None:
    """Cut the clips of the species of a side; None where it has none.

    Parameters
    ----------
    without
        Species that are left out: those that a model was trained on.
    """
    side = data.side(split, stage.data)
    unwanted = {*without, *data.unnamed_labels, ""}
    species = tuple(name for name in side.labels if name not in unwanted)
    if not species:
        return None
    seconds = stage.seconds or data.plan.clips.seconds
    config = data.plan.clips.model_copy(update={"seconds": seconds})
    if stage.segments:
        clips = segments_of_recordings(
            side, data.durations, species, config, stage.segment_hop_s, data.plan.seed, data.unnamed_labels
        )
    else:
        clips = in_the_middle(clips_of_recordings(side, species, config, data.plan.seed), data.durations, config)
    return SpeciesClips(clips, episode_source(clips, data))


def in_the_middle(clips: Clips, durations: dict[str, float], config: ClipsConfig) -> Clips:
    """Return clips with a place instead of one that is drawn: the middle of the recording, or all of a shorter one.

    Where ``config`` cuts clips at the start of recordings, it is that.
    """
    if config.crop == "start":
        return replace(clips, table=replace(clips.table, start_s=np.nan_to_num(clips.table.start_s, nan=0.0)))
    table = clips.table
    lengths = np.array([durations[name] for name in clips.recordings])[table.recording]
    middle = np.maximum(0.0, (lengths - config.seconds) / 2)
    start_s = np.where(np.isfinite(table.start_s), table.start_s, middle)
    return replace(clips, table=replace(table, start_s=start_s))


def episode_source(clips: Clips, data: ClipData[Any]) -> EpisodeClips:
    """Return clips as episodes are drawn from them; copies of a file count as one recording."""
    digests = {}
    if data.splits is not None:
        digests = {name: data.splits.state_of(name).digest for name in clips.recordings}
    return episode_clips(clips, data.manifest, digests)


def silent_lines(names: list[str]) -> list[str]:
    """Say which recordings are silent, in one line; none where there is none."""
    several = f"{len(names)} clips have" if len(names) > 1 else "1 clip has"
    return [f"{several} an empty image (silence): {names[0]}{' and others' * (len(names) > 1)}"] if names else []


def require_clips_of_all(names: tuple[str, ...], counts: np.ndarray, what: str) -> None:
    """Refuse classes that not one clip is left of; raises `DataError`."""
    lost = [name for name, count in zip(names, counts, strict=True) if not count]
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise DataError(f"{what}: not one clip of {lost[0]}{more} can be read, so it has no mean; leave it out")
