"""A published checkpoint as a model of ours: weights to begin a training with, or a run that was never trained here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ecotf.errors import ConfigError
from ecotf.files import atomic_file, atomic_folder
from ecotf.models.published import MODELS, read_checkpoint
from ecotf.models.published.base import find_model
from ecotf.models.tagger import WEIGHTS, ClipModel, save_weights
from ecotf.runs import RunFolder, environment_facts
from ecotf.runs.progress import new_progress
from ecotf.tasks.clips.network_models import fresh_model
from ecotf.tasks.clips.recipe import ClipRecipe
from ecotf.tasks.clips.stages import stage_name
from ecotf.tasks.clips.train import fit_segment_thresholds
from ecotf.tasks.recipes import load_any_recipe, recipe_text

_REPORT = """\
{recipe}: {description}
The weights were converted from {source}; nothing was trained here.
There are no recordings to judge the model on: no figure here says how good it is.
Thresholds are {threshold:g} for every class, a guess that no validation recording has fitted: expect rare classes to be
missed. Look at the scores, or give a threshold of your own (ecotf classify --threshold).

{parameters:,} parameters; {classes} classes
"""


@dataclass(frozen=True)
class Converted:
    """A model with the weights of a checkpoint, and the recipe that it is of."""

    source: str
    recipe: ClipRecipe
    model: ClipModel


def convert_checkpoint(
    path: Path, name: str | None = None, labels: Path | None = None, overrides: Sequence[str] = ()
) -> Converted:
    """Read a PyTorch checkpoint of a published model into the network of its recipe.

    Parameters
    ----------
    name
        Of the model (``cnn14``); by default the one that the checkpoint looks like.
    labels
        The table of the classes' names, as `read_class_names` takes it; by default they are called 0, 1, 2 and on.
    overrides
        Settings of the recipe ``tagging/<model>`` to change, ``key=value``.

    Raises
    ------
    ConfigError
        PyTorch is not there; the checkpoint cannot be read, is of no known model, or does not fit it; the names are
        not as many as the classes.

    Examples
    --------
    >>> convert_checkpoint(Path("Cnn14_mAP=0.431.pth")).recipe.name  # doctest: +SKIP
    'tagging/cnn14'
    """
    source = path.name
    checkpoint = read_checkpoint(path)
    published = find_model(MODELS, checkpoint, name, source)
    recipe = load_any_recipe(published.recipe, [*published.overrides(checkpoint), *overrides])
    assert isinstance(recipe, ClipRecipe)
    published.check(checkpoint, recipe.front_end, recipe.sample_rate, source)
    n_classes = published.n_classes(checkpoint, source)
    classes = tuple(map(str, range(n_classes))) if labels is None else read_class_names(labels)
    if len(classes) != n_classes:
        raise ConfigError(f"{labels}: names {len(classes)} classes; the checkpoint {source} has {n_classes}")
    model = fresh_model(recipe, classes, pretrained=None)
    published.carry(checkpoint, model.network, source)
    return Converted(source, recipe, model)


def read_class_names(path: Path) -> tuple[str, ...]:
    """Read the names of classes in the order of a model's outputs, from a CSV table.

    The names are in its column ``display_name`` (AudioSet's ``class_labels_indices.csv``) or ``label``, the order in
    its column ``index``; without that it is the order of the rows.

    Raises
    ------
    ConfigError
        The file cannot be read, has no such column, gives other indices than 0, 1, 2 and on, or a name twice.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as a CSV table ({str(error).strip().splitlines()[0]})") from None
    column = next((name for name in ("display_name", "label") if name in table), None)
    if column is None:
        raise ConfigError(f"{path}: has no column display_name or label; it has {', '.join(map(str, table.columns))}")
    if "index" in table:
        if sorted(table["index"]) != sorted(map(str, range(len(table)))):
            raise ConfigError(f"{path}: column index must count 0, 1, 2 and on, once each")
        table = table.iloc[table["index"].astype(int).argsort()]
    twice = table[column][table[column].duplicated()]
    if len(twice) or "" in set(table[column]):
        raise ConfigError(f"{path}: column {column} must name each class once; {twice.iloc[0] if len(twice) else ''!r}")
    return tuple(table[column])


def write_weights(converted: Converted, path: Path) -> None:
    """Write the weights as a file that a stage takes as ``weights_from``, where its name ends in ``.npz``."""
    with atomic_file(path) as partial:
        save_weights(partial, converted.model.network.model.get_weights(), converted.model.classes)


def write_run(converted: Converted, folder: Path) -> None:
    """Write a run that classifies, embeds and exports, without a training, into a new folder."""
    import pandas as pd

    recipe, model = converted.recipe, converted.model
    thresholds, unfitted, _ = fit_segment_thresholds(None, model.classes)
    with atomic_folder(folder) as partial:
        run = RunFolder(partial, new_progress(recipe.name, ["weights"]))
        run.write_text("recipe.yaml", recipe_text(recipe))
        run.write_table("labels.csv", pd.DataFrame({"label": model.classes, "training_annotations": 0}))
        run.write_json("thresholds.json", {"thresholds": thresholds, "unfitted": unfitted, "events": None})
        stage = partial / stage_name(len(recipe.stages) - 1, recipe.stages[-1])
        stage.mkdir(parents=True)
        save_weights(stage / "weights.npz", model.network.model.get_weights(), model.classes)
        (partial / "model").mkdir()
        model.network.save(partial / "model" / WEIGHTS)
        size = (partial / "model" / WEIGHTS).stat().st_size
        cost = {"model_bytes": size, "parameters": model.network.n_parameters}
        run.write_json("metrics.json", {"judged_on": {"split": None}, "cost": cost, "converted_from": converted.source})
        facts = {"recipe": recipe.name, "description": recipe.description, "source": converted.source}
        numbers = {"parameters": model.network.n_parameters, "classes": len(model.classes)}
        run.write_text("report.txt", _REPORT.format(**facts, **numbers, threshold=next(iter(thresholds.values()))))
        facts = environment_facts(recipe.seed, run.started, datetime.now(UTC).isoformat())
        run.write_json("environment.json", facts)
        run.mark_done("weights")
        run.finish()
