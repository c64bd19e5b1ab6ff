"""Read a run: the recipe, the detector and its thresholds, all from inside the run folder."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from ecotf.config import read_yaml
from ecotf.detection.gate import FittedGate
from ecotf.errors import ConfigError
from ecotf.models.detector import Detector
from ecotf.models.saved import build_detector, load_weights
from ecotf.runs import RunFolder
from ecotf.tasks.calls.recipe import CallRecipe
from ecotf.tasks.recipes import parse_recipe


@dataclass(frozen=True)
class LoadedRun:
    """A run that is ready to classify.

    Attributes
    ----------
    thresholds
        Of every species and of ``call``, fitted on the run's validation recordings.
    gate
        Fitted on the same; None in a run that has none.
    """

    path: Path
    recipe: CallRecipe
    detector: Detector
    thresholds: dict[str, float]
    gate: FittedGate | None = None


def load_run(path: str | Path) -> LoadedRun:
    """Read the run folder at ``path``; raises `ConfigError` when it is half written, or is no run."""

    import pandas as pd

    run = RunFolder.open(path)
    recipe = parse_recipe(read_yaml(run.file("recipe.yaml")), str(run.file("recipe.yaml")))
    if not isinstance(recipe, CallRecipe):
        raise ConfigError(f"{path}: a run of task {recipe.task} ({recipe.name}); here one of task calls is needed")
    # As text: a species may be called "007".
    species = pd.read_csv(run.file("labels.csv"), dtype=str, keep_default_na=False)["label"].tolist()
    detector = build_detector(recipe.front_end, recipe.patches, recipe.networks, species)
    detector = load_weights(detector, run.file("model"), recipe.trees is not None)
    fitted = run.read_json("thresholds.json")
    gate = _gate(fitted.get("gate"), str(run.file("thresholds.json")))
    return LoadedRun(run.path, recipe, detector, dict(fitted["thresholds"]), gate)


def _gate(kept: object, where: str) -> FittedGate | None:
    """What a training kept of its gate; runs older than the gate kept nothing."""
    if kept is None:
        return None
    names = {field.name for field in fields(FittedGate)}
    numbers = kept if isinstance(kept, dict) else {}
    if set(numbers) != names or not all(isinstance(value, int | float) for value in numbers.values()):
        raise ConfigError(f"{where}: gate = {kept!r}; it holds the numbers {', '.join(sorted(names))}, or is null")
    return FittedGate(**numbers)
