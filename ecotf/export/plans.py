"""How each kind of model becomes stages and signatures. A new kind registers a function here and nothing else."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from ecotf.errors import ConfigError
from ecotf.export.describe.facts import clip_facts, detector_facts
from ecotf.export.settings import ExportSettings
from ecotf.export.stages.birdnet_go import birdnet_go
from ecotf.export.stages.scores import score_stages
from ecotf.export.stages.sound import middle_stage, spectrogram_stage, strongest_stage
from ecotf.export.stages.stage import DEFAULT, ExportPlan, Signature
from ecotf.export.stages.tagger import clip_stages
from ecotf.models.detector import Detector
from ecotf.models.tagger import ClipModel
from ecotf.tasks.calls.recipe import CallRecipe
from ecotf.tasks.clips.recipe import ClipRecipe


def make_plan(model: Any, recipe: CallRecipe | ClipRecipe, settings: ExportSettings) -> ExportPlan:
    """The plan of a run's model, in the profile that is asked for."""
    plan = plan_of(model, recipe, settings)
    return birdnet_go(plan, settings) if settings.profile == "birdnet-go" else plan


@singledispatch
def plan_of(model: Any, recipe: CallRecipe | ClipRecipe, settings: ExportSettings) -> ExportPlan:
    """The stages of a run's model."""
    raise ConfigError(f"a {type(model).__name__} has no form on a device yet")


@plan_of.register
def _(model: Detector, recipe: CallRecipe, settings: ExportSettings) -> ExportPlan:
    """Calls at peaks: the recorder finds them in the frames, and asks for the scores of each.

    On a grid, as published, the scores are those of the window in the middle of the sound.
    """
    config, patches = recipe.front_end, recipe.patches
    scoring = score_stages(model)
    names = tuple(stage.name for stage in scoring)
    outputs = ("scores", "embedding") if settings.embedding else ("scores",)
    facts = detector_facts(model, recipe, settings)
    if recipe.detection.scoring.at == "grid":
        window = middle_stage(config, settings.rate, settings.sound, patches)
        return ExportPlan("patches", (window, *scoring), {DEFAULT: Signature(("middle", *names), outputs)}, facts)
    if config.centred or config.scale == "pcen":
        what = "front_end.centred = true" if config.centred else "front_end.scale = pcen"
        raise ConfigError(f"{what}: a recorder takes frames by themselves, and these hang on the sound around them")
    frames = spectrogram_stage(config, settings.rate, settings.sound)
    strongest = strongest_stage(
        config, settings.rate, settings.sound, recipe.peaks, patches, measured=model.needs_measures
    )
    signatures = {
        DEFAULT: Signature(("strongest", *names), outputs),
        "spectrogram": Signature(("spectrogram",), ("frames",)),
        "score": Signature(names, outputs),
    }
    return ExportPlan("peaks", (frames, strongest, *scoring), signatures, facts)


@plan_of.register
def _(model: ClipModel, recipe: ClipRecipe, settings: ExportSettings) -> ExportPlan:
    """Rows of some seconds: the recorder gives the window around each, and asks for its scores."""
    stages = clip_stages(model, recipe.inference_network, recipe.inference, settings)
    facts = clip_facts(model, recipe, stages)
    wanted = {"scores": True, "frames": facts["window"]["frames"] > 0, "embedding": settings.embedding}
    outputs = tuple(name for name, is_wanted in wanted.items() if is_wanted)
    signature = Signature(tuple(stage.name for stage in stages), outputs)
    return ExportPlan("clips", stages, {DEFAULT: signature}, facts)
