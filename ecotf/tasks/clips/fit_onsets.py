"""The stage ``fit_onsets``: what a head says of onsets learns on, while everything before it stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ecotf.datasets.pauses import most_joined
from ecotf.tasks.clips.fit_events import FitEventsStage
from ecotf.tasks.clips.stages import Material
from ecotf.training.stages import STAGES, FitPlace, Fitted

if TYPE_CHECKING:
    from ecotf.models.image_network import ClipNetwork


class FitOnsetsStage(FitEventsStage):
    """Teach onsets, ends and lengths alone, from the same clips; scores of frames stay what they are, to the bit.

    Epochs of ``fit_events`` are compared by frames, and the best one may be early, when little is known of onsets yet.
    Nothing is done where the recipe's finder makes no events of onsets (`FinderConfig.tries_onsets`). Of the losses
    only ``onsets`` teaches here, averaged as ``loss.average`` says.
    """

    name: Literal["fit_onsets"] = "fit_onsets"  # type: ignore[assignment]
    keep: Literal["best", "last"] = "last"

    @property
    def needs_start(self) -> bool:
        """Whether it makes no sense with random weights: always."""
        return True

    @property
    def trains(self) -> tuple[str, ...]:
        """The parts of the network that change: class layers, and of them those of onsets."""
        return ("classes",)


@STAGES.register(FitOnsetsStage)
def run_fit_onsets(stage: FitOnsetsStage, network: ClipNetwork, material: Material, place: FitPlace) -> Fitted:
    """Fit what a network says of onsets; a network that nobody asks for them stays as it is."""
    import pandas as pd

    from ecotf.tasks.clips.event_lesson import frames_of
    from ecotf.tasks.clips.fit_clips import HISTORY, fit_clips
    from ecotf.tasks.clips.onset_lesson import OnsetLesson

    data = material.data
    _, frame_s = frames_of(network, material, stage.seconds or data.plan.clips.seconds)
    joined = most_joined(data.manifest.table, material.classes, frame_s)
    if not data.plan.inference.events.tries_onsets(joined):
        place.log(f"{stage.title}: no event is made of onsets, so nothing is learned of them")
        return Fitted(network, pd.DataFrame(columns=HISTORY))
    return Fitted(network, fit_clips(network, stage, material, place, OnsetLesson))
