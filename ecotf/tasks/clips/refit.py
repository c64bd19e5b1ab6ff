"""The refit: when validation has chosen, a second network learns the same way from the validation recordings, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ecotf.datasets.manifest import Manifest
from ecotf.tasks.clips.stages import FitClipsStage, outside_weights

if TYPE_CHECKING:
    import pandas as pd

    from ecotf.tasks.clips.data import ClipData
    from ecotf.tasks.clips.plan import ClipPlan

_AGAIN = "_again"


def stages_again(stages: Sequence[FitClipsStage]) -> tuple[FitClipsStage, ...]:
    """Return the stages of a refit: the same ones with titles of their own, none of which looks at a validation.

    The first one begins as the first one of all did, not with what was learned. Each goes to its last epoch, where the
    learning rate is lowest; what speaks for that and against it is in ``benchmarks/events.md``.
    """
    made = []
    for number, stage in enumerate(stages):
        source = stage.weights_from
        if source == "previous" and number == 0:
            source = "fresh"
        elif source not in ("previous", "fresh") and outside_weights(source) is None:
            source += _AGAIN
        changed = {"title": stage.title + _AGAIN, "weights_from": source, "keep": "last", "patience": None}
        made.append(stage.model_copy(update=changed))
    return tuple(made)


def check_refit(stages: Sequence[FitClipsStage]) -> None:
    """Refuse stages that cannot do without a validation, or that are judged by species; raises `ValueError`."""
    for stage in stages:
        if stage.needs_rule:
            raise ValueError(
                f"refit: stage {stage.title!r}: {stage.name} is judged by species that it never learns; allowed: refit "
                "false"
            )
        if stage.schedule.name == "plateau":
            raise ValueError(
                f"refit: stage {stage.title!r}: the schedule plateau looks at a validation, which a refit has not; "
                "allowed: another schedule, or refit false"
            )


def with_validation(data: ClipData[ClipPlan]) -> ClipData[ClipPlan]:
    """Return the same recordings with those of validation among the training ones."""
    table = data.manifest.table
    made = table.assign(split=table["split"].where(table["split"] != "valid", "train"))
    return replace(data, manifest=Manifest(made, data.manifest.root))


def kept_an_epoch(history: pd.DataFrame) -> bool:
    """Say whether a stage kept what an epoch of it has learned, and not what it began with."""
    return bool(history["kept"].astype(bool).any())
