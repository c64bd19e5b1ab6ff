"""Begin a training with the network of another run: what that run hears with, its backbone and its weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecotf.config import validate
from ecotf.errors import ConfigError
from ecotf.models.backbones.plain import PlainConfig
from ecotf.models.backbones.small import SmallConfig
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.clips.stages import stage_name
from ecotf.tasks.fine_tuning import network_recipe

if TYPE_CHECKING:
    from ecotf.tasks.recipes import AnyRecipe


# What comes from the run, so that nothing else can be asked for it.
_THEIRS = ("sample_rate", "front_end", "level", "network.backbone", "network.band_norm", "stages.0.weights_from")


def refuse_changes(overrides: Sequence[str]) -> None:
    """Refuse ``key=value`` that the run has the say in; raises `ConfigError`."""
    for change in overrides:
        key = change.split("=")[0].strip()
        if any(key == one or key.startswith(f"{one}.") for one in _THEIRS):
            raise ConfigError(f"{key}: with --start-from it is what the run has; leave it out, or --start-from")


def begun_from(recipe: AnyRecipe, run: Path) -> ClipRecipe:
    """Return the recipe with the front end, backbone and last weights of a run; its head, stages and answers stay.

    Frames stay as long as the recipe has them, as far as the run's backbone can (`halvings`): they are of the same
    weights.

    Parameters
    ----------
    run
        The folder of a run, of tagging, events or few-shot.

    Raises
    ------
    ConfigError
        The recipe or the run has no network of clips, the run has no weights, or its backbone gives too few frames.

    Examples
    --------
    >>> begun_from(load_recipe("birds/events"), Path("runs/fewshot/small/2026-06-21_22-15-00"))  # doctest: +SKIP
    """
    source = network_recipe(run)
    if source is None:
        raise ConfigError(f"{run}: no run with a network of clips; allowed: runs of tagging, events and few-shot")
    if not isinstance(recipe, ClipRecipe):
        raise ConfigError(f"{recipe.name}: no recipe whose network begins with another run's; birds/events is one")
    stages = source.expanded().stages
    last = (run / stage_name(len(stages) - 1, stages[-1])).resolve()
    if not (last / "weights.npz").is_file():
        raise ConfigError(f"{run}: no weights in {last.name}; a finished run is needed")
    values, theirs = recipe.model_dump(mode="json"), source.model_dump(mode="json")
    backbone: dict[str, Any] = theirs["network"]["backbone"] | {"weights": "none"}
    if any(stage.needs_frames for stage in recipe.stages):
        backbone["halvings"] = _halvings(recipe, source, run)
    values["network"] |= {"backbone": backbone, "band_norm": theirs["network"]["band_norm"]}
    values |= {name: theirs[name] for name in ("sample_rate", "front_end", "level")}
    values["stages"][0]["weights_from"] = str(last)
    return validate(ClipRecipe, values, f"{recipe.name} that begins with {run}")


def _halvings(recipe: ClipRecipe, source: ClipRecipe, run: Path) -> int:
    """Say how often the run's backbone halves time for frames as long as the recipe's."""
    theirs = source.network.backbone
    if not isinstance(theirs, PlainConfig | SmallConfig):
        raise ConfigError(
            f"{run}: the frames of its backbone {theirs.name} have one length, too long for events; allowed: plain and "
            "small"
        )
    own = getattr(recipe.network.backbone, "halvings", None) or 0
    return max(0, round(math.log2(recipe.front_end.hop_s * 2**own / source.front_end.hop_s)))
