"""Checks of a clips recipe before training: its files are there, and no random weights are frozen."""

from __future__ import annotations

from ecotf.errors import ConfigError
from ecotf.tasks.clips.recipe import ClipRecipe

_RANDOM = ("backbone", "hidden")  # the other parts that can be frozen begin as something that makes sense


def check_weights(recipe: ClipRecipe) -> None:
    """Refuse a recipe that cannot begin.

    Raises
    ------
    ConfigError
        A part is frozen before anything gave it weights, or files are missing, damaged or of another network.
    """
    weights = recipe.network.backbone.weights
    for number, stage in enumerate(recipe.stages):
        stage.check_files()
        source = stage.weights_from
        begins = source == "fresh" or (source == "previous" and number == 0)
        for part in _RANDOM:
            if begins and part in stage.frozen and (part != "backbone" or weights == "none"):
                own = "network.backbone.weights to imagenet or a file, " if part == "backbone" else ""
                raise ConfigError(
                    f"{recipe.name}: stage {stage.title!r} freezes the {part} while its weights are random, so the "
                    f"rest learns from random numbers; set {own}stages.{number}.weights_from to the stage of another "
                    f"run (RUN/stages/STAGE), or stages.{number}.frozen=[]"
                )
    if weights != "none":
        from ecotf.tasks.clips.network_models import fresh_model

        fresh_model(recipe, ("class",))
