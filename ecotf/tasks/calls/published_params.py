"""Tuned settings as the published bat system keeps them: ``cnn_params.csv, resnet_params.csv, xgboost_params.csv``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecotf.config import Config
from ecotf.dotted import value_at
from ecotf.errors import ConfigError, DataError
from ecotf.files import atomic_file
from ecotf.models.backbones.cnn import CnnConfig
from ecotf.models.backbones.resnet50 import ResNet50Config
from ecotf.tasks.calls.fit_network import FitNetworkStage
from ecotf.tasks.calls.recipe import TrainingPlan

if TYPE_CHECKING:
    import pandas as pd

_OF_STAGE = {
    "learn_rate_adam": "learning_rate",
    "beta_1": "beta_1",
    "beta_2": "beta_2",
    "epsilon": "epsilon",
    "min_delta": "min_delta",
    "patience": "patience",
    "batchsize": "batch",
}
_OF_CNN = {
    "nb_conv_layers": "convolutions",  # theirs does not count the first one
    "nb_dense_layers": "dense_layers",
    "nb_filters": "filters",
    "filter_size": "kernel",
    "pool_size": "pool",
    "nb_dense_nodes": "dense_units",
    "dropout_proba": "dropout",
}
_OF_RESNET = {
    "L2_weight_decay": "l2",
    "batch_norm_decay": "batch_norm_momentum",
    "batch_norm_epsilon": "batch_norm_epsilon",
}
_OF_TREES = {
    "max_depth": "max_depth",
    "eta": "eta",
    "n_estimators": "n_estimators",
    "gamma_xgb": "gamma",
    "subsample": "subsample",
    "scale_pos_weight": "scale_pos_weight",
    "min_child_weight": "min_child_weight",
}
_SIZES = {"call_and_species": "8", "call": "2", "species": "7"}
_WHOLE = {
    *("nb_conv_layers", "nb_dense_layers", "nb_filters", "filter_size", "pool_size", "nb_dense_nodes", "patience"),
    *("batchsize", "max_depth", "n_estimators"),
}


@dataclass(frozen=True)
class _Row:
    """One row of one file: which part of the recipe it holds."""

    file: str
    model: str
    columns: dict[str, str]
    """Column to dotted key."""
    net_type: bool


def read_start(paths: Sequence[Path], plan: TrainingPlan) -> dict[str, Any]:
    """Read the settings of published CSV files, by the recipe's dotted key.

    Parameters
    ----------
    paths
        Files, or folders that hold them.

    Raises
    ------
    ConfigError
        The recipe has no part that such a file describes, or its row is not there.
    DataError
        Not such a file, or a value that is none.
    """
    rows = _rows_of(plan)
    files = [file for path in paths for file in (sorted(path.glob("*_params.csv")) if path.is_dir() else [path])]
    if not files:
        raise ConfigError(f"{paths[0]}: the folder holds no cnn_params.csv, resnet_params.csv or xgboost_params.csv")
    found: dict[str, Any] = {}
    for file in files:
        table = _read(file)
        of_kind = [row for row in rows if set(row.columns) <= set(table.columns)]
        for row in of_kind:
            mine = table[table["model"] == row.model]
            if mine.empty:
                models = ", ".join(table["model"])
                raise ConfigError(f"{file}: it has no row for the model {row.model!r}; there are {models}")
            for column, key in row.columns.items():
                found[key] = _number(mine.iloc[0][column], column, file)
    if not found:
        allowed = ", ".join(f"{row.file} ({row.model})" for row in rows) or "none: nothing of it is in such files"
        raise ConfigError(f"{files[0]}: its columns are of no part of this recipe; it can start from {allowed}")
    return found


def write_params(plan: TrainingPlan, folder: Path) -> list[Path]:
    """Write the parts of a recipe that the published columns can hold; returns the files."""

    import pandas as pd

    written: dict[str, list[dict[str, Any]]] = {}
    settings = plan.model_dump(mode="json")
    for row in _rows_of(plan):
        values: dict[str, Any] = {"model": row.model}
        for column, key in row.columns.items():
            value = value_at(settings, key)
            values[column] = value - 1 if column == "nb_conv_layers" else value
        if row.net_type:
            values["net_type"] = "params"
        written.setdefault(row.file, []).append(values)
    paths = []
    for name, rows in written.items():
        with atomic_file(folder / name) as partial:
            pd.DataFrame(rows).to_csv(partial, index=False)
        paths.append(folder / name)
    return paths


def _rows_of(plan: TrainingPlan) -> list[_Row]:
    rows = []
    for index, network in enumerate(plan.networks):
        size = _SIZES[network.head.answers]
        stage = next(
            number
            for number, stage in enumerate(plan.stages)
            if isinstance(stage, FitNetworkStage) and stage.network == network.name
        )
        training = {column: f"stages.{stage}.{key}" for column, key in _OF_STAGE.items()}
        kinds: tuple[tuple[type[Config], str, dict[str, str]], ...] = (
            (CnnConfig, "cnn", _OF_CNN),
            (ResNet50Config, "resnet", _OF_RESNET),
        )
        for kind, name, columns in kinds:
            if isinstance(network.backbone, kind):
                own = {column: f"networks.{index}.backbone.{key}" for column, key in columns.items()}
                rows.append(_Row(f"{name}_params.csv", f"{name}_{size}", {**own, **training}, True))
    if plan.trees is not None:
        trees = {column: f"trees.{key}" for column, key in _OF_TREES.items()}
        rows.append(_Row("xgboost_params.csv", "xgboost_spectrogram", trees, False))
    return rows


def _read(file: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False, skipinitialspace=True)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from None
    except ValueError as error:  # pandas's own errors and bad text are ValueErrors
        raise DataError(f"{file}: not a table of settings ({str(error).splitlines()[0]})") from None
    if "model" not in table.columns:
        raise DataError(f"{file}: it has no column 'model'; its columns are {', '.join(map(str, table.columns))}")
    return table


def _number(text: str, column: str, file: Path) -> float | int:
    try:
        number = float(text)
    except ValueError:
        raise DataError(f"{file}: {column} = {text!r} is not a number") from None
    if column in _WHOLE:
        if number % 1:
            raise DataError(f"{file}: {column} = {text!r} is not a whole number")
        return int(number) + (column == "nb_conv_layers")
    return number
