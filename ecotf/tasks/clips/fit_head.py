"""The stage ``fit_head``: fit the head of a frozen embedder, in seconds."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from ecotf.errors import DataError, RecordingError
from ecotf.tasks.clips.stages import ClipStageConfig, Material
from ecotf.training.stages import STAGES, FitPlace, Fits, Fitted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecotf.models.frozen import Frozen
    from ecotf.pipelines.clips import Clips
    from ecotf.tasks.clips.data import ClipData
    from ecotf.tasks.clips.transfer_recipe import TransferRecipe

_TOLD = 5


class FitHeadStage(ClipStageConfig):
    """Fit the head of the recipe on the embeddings of segments.

    Attributes
    ----------
    least
        Every class needs at least so many training recordings.
    """

    fits: ClassVar[Fits] = "head"

    name: Literal["fit_head"] = "fit_head"
    title: str = Field("head", pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")
    segments: Literal[True] = True
    least: int = Field(2, ge=1)

    @property
    def trains(self) -> tuple[str, ...]:
        """The head."""
        return ("head",)


@STAGES.register(FitHeadStage)
def run_fit_head(stage: FitHeadStage, model: Frozen, material: Material, place: FitPlace) -> Fitted:
    """Embed the training segments, and fit the head.

    Raises
    ------
    DataError
        A class has too few recordings, or nothing can be learned: all embeddings are the same.
    """
    import pandas as pd

    from ecotf.models.heads import HEADS
    from ecotf.tasks.clips.fit_clips import HISTORY

    plan: TransferRecipe = material.data.plan
    clips = material.data.training_clips(stage, material.classes)
    _require_enough(clips, stage, place)
    began = perf_counter()
    embeddings, read = _embed(clips, model, material, place)
    rows = embeddings.mean(axis=1) if plan.pool == "embeddings" else embeddings.reshape(-1, embeddings.shape[-1])
    each = 1 if plan.pool == "embeddings" else embeddings.shape[1]
    targets, groups = (
        np.repeat(values[read], each, axis=0) for values in (clips.table.targets, _groups(clips, material))
    )
    if (rows == rows[:1]).all():
        raise DataError(
            f"stage {stage.title!r}: {model.embedder.title} gives the same embedding for all {len(rows)} "
            "training clips, so nothing can be learned from it; is it the right model and sample rate?"
        )
    place.log(f"{stage.title}: {len(rows)} embeddings of {rows.shape[1]} numbers in {perf_counter() - began:.1f} s")
    began = perf_counter()
    head = HEADS.build(plan.head, rows, targets, material.seed, place.threads, groups=groups)
    place.log(f"{stage.title}: {plan.head.name}, {head.n_parameters:,} parameters in {perf_counter() - began:.1f} s")
    if material.data.validation_clips(stage, material.classes) is None:
        place.log(f"{stage.title}: no validation recording has a class, so every threshold is a guess of 0.5")
    return Fitted(model.with_head(head, material.classes, plan.pool), pd.DataFrame(columns=HISTORY))


def _require_enough(clips: Clips, stage: FitHeadStage, place: FitPlace) -> None:
    """Refuse a class with fewer training recordings than the stage asks for."""
    there = clips.table.targets > 0.5
    for k, name in enumerate(clips.classes):
        n = len(np.unique(clips.table.recording[there[:, k]]))
        if n < stage.least:
            raise DataError(
                f"stage {stage.title!r}: {name} has {n} training recording{'s' * (n != 1)}, and the head needs "
                f"{stage.least}; add some, put its label into data.ignored_labels, or set stages.0.least={max(n, 1)}"
            )


def _embed(clips: Clips, model: Frozen, material: Material, place: FitPlace) -> tuple[np.ndarray, np.ndarray]:
    """Embed all clips that can be read: float32 ``[clips, windows, numbers]``, and which those are."""
    problems: dict[str, str] = {}
    read: list[int] = []

    def sounds() -> Iterator[np.ndarray]:
        for number, sound in sounds_of_clips(clips, model.sample_rate, material.data, material.seed, problems):
            read.append(number)
            yield sound

    parts, waiting = [], []
    for sound in sounds():
        waiting.append(sound)
        if len(waiting) == 16:
            parts.append(model.embeddings(np.stack(waiting)))
            waiting = []
    if waiting:
        parts.append(model.embeddings(np.stack(waiting)))
    for reason in list(problems.values())[:_TOLD]:
        place.log(f"left out: {reason}")
    if not parts:
        raise DataError(f"not one training clip can be read; {next(iter(problems.values()), '')}")
    return np.concatenate(parts), np.array(read)


def sounds_of_clips(
    clips: Clips, rate: int, data: ClipData, seed: int, problems: dict[str, str], seconds: float | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Read the clips, each with its number; what cannot be read is noted in ``problems``.

    ``seconds`` is the length of the clips, by default that of the recipe.
    """
    from ecotf.pipelines.passages import SoundPassages, cut_clip
    from ecotf.pipelines.sources import SOURCES

    config = data.plan.clips if seconds is None else data.plan.clips.model_copy(update={"seconds": seconds})
    manifest, rng, table = data.manifest, np.random.default_rng(seed), clips.table
    for number, name in enumerate(clips.recordings):
        try:
            opened = SOURCES.build(config.source, manifest.path_of(name), manifest.time_expansion_of(name))
            passages = SoundPassages(opened, rate, data.plan.data.channel)
            for clip in np.flatnonzero(table.recording == number):
                yield int(clip), cut_clip(passages, rate, float(table.start_s[clip]), config, rng)
        except RecordingError as error:
            problems[name] = f"{name}: {error}"


def _groups(clips: Clips, material: Material) -> np.ndarray:
    """Return the manifest's group of each clip, int ``[n]``."""
    table = material.data.manifest.table.drop_duplicates("recording")
    group_of = dict(zip(table["recording"], table["group"].astype(str), strict=True))
    groups = [group_of[name] for name in clips.recordings]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(groups))}
    return np.array([numbers[groups[number]] for number in clips.table.recording])
