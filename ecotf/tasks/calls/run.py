"""Read a run: the recipe, the detector and its thresholds, all from inside the run folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from ecotf.config import read_yaml
from ecotf.detection.gate import FittedGate
from ecotf.errors import ConfigError
from ecotf.models.detector import Detector
from ecotf.models.saved import build_detector, load_weights
from ecotf.runs import RunFolder
from ecotf.tasks.calls.recipe import CallRecipe
from ecotf.tasks.clips.run import ClipEnsemble, fit_weights, join_runs, load_clip_run
from ecotf.tasks.recipes import EnsembleRecipe, load_any_recipe, parse_recipe, task_of


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


def load_classifier(
    paths: Sequence[str | Path], ensemble: str | None = None, fitted: bool = False
) -> LoadedRun | ClipEnsemble:
    """What `classify` takes: one run of any task, or several of task clips that answer together.

    Parameters
    ----------
    ensemble
        A recipe of task ensemble: the weights of the runs, by the recipes that they were made with.
    fitted
        Fit the weights on the validation rows that the runs share.

    Raises
    ------
    ConfigError
        A run cannot be read, or the runs do not go together.
    """
    first = RunFolder.open(paths[0])
    task = task_of(read_yaml(first.file("recipe.yaml")), str(first.file("recipe.yaml")))
    if task == "calls":
        if len(paths) > 1 or ensemble is not None or fitted:
            raise ConfigError(f"{paths[0]}: a run of task calls answers alone; an ensemble is of runs of task clips")
        return load_run(paths[0])
    runs = [load_clip_run(path) for path in paths]
    if ensemble is not None and fitted:
        raise ConfigError("--ensemble gives weights and --fit-weights fits them: choose one")
    if fitted:
        return join_runs(runs, fit_weights(runs))
    return join_runs(runs, None if ensemble is None else _weights_of(ensemble, [run.recipe.name for run in runs]))


def _weights_of(ensemble: str, made_with: Sequence[str]) -> list[float]:
    """The weight of each run by its recipe's name; every run and every member has its counterpart."""
    recipe = load_any_recipe(ensemble)
    if not isinstance(recipe, EnsembleRecipe):
        raise ConfigError(f"--ensemble {ensemble}: a recipe of another task; one of task ensemble is needed")
    weights = {member.recipe: member.weight for member in recipe.members}
    for name in made_with:
        if name not in weights:
            raise ConfigError(f"--ensemble {ensemble}: a run was made with {name}; members: {', '.join(weights)}")
    absent = [name for name in weights if name not in made_with]
    if absent or len(set(made_with)) < len(made_with):
        raise ConfigError(
            f"--ensemble {ensemble} needs one --model for each of {', '.join(weights)}"
            + (f"; missing: {', '.join(absent)}" if absent else "; one is given twice")
        )
    return [weights[name] for name in made_with]


def _gate(kept: object, where: str) -> FittedGate | None:
    """What a training kept of its gate; runs older than the gate kept nothing."""
    if kept is None:
        return None
    names = {field.name for field in fields(FittedGate)}
    numbers = kept if isinstance(kept, dict) else {}
    if set(numbers) != names or not all(isinstance(value, int | float) for value in numbers.values()):
        raise ConfigError(f"{where}: gate = {kept!r}; it holds the numbers {', '.join(sorted(names))}, or is null")
    return FittedGate(**numbers)
