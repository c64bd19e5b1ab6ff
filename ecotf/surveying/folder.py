"""The folder of a survey: its tables as CSV for R and as Parquet, and what was said."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from ecotf.errors import ConfigError
from ecotf.files import atomic_folder
from ecotf.surveying.exchange import EXCHANGES, check_exchange
from ecotf.surveying.page import write_page
from ecotf.surveying.survey import Survey

ABOUT = "survey.json"
PARQUET = ("recordings", "detections", "observations", "hours", "days", "sites", "occasions")
"""The tables that `ecotf.surveying.query` asks, in ``tables/``."""
_NOT_SHOWN = ["moment", "end_moment"]


def check_output(folder: Path, overwrite: bool) -> None:
    """Refuse to write over something.

    Raises
    ------
    ConfigError
        The folder is there and not empty, and is no survey or may not be replaced.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / ABOUT).exists():
        raise ConfigError(f"{folder} is there and is no survey; give another --output")
    if not overwrite:
        raise ConfigError(f"{folder} holds a survey already; give another --output, or --overwrite")


def write_survey(survey: Survey, folder: Path, exchange: Sequence[str] = (), overwrite: bool = False) -> list[str]:
    """Write a survey; the folder appears whole or not at all.

    Parameters
    ----------
    exchange
        Formats for others, from `ecotf.surveying.exchange.EXCHANGES`.

    Returns
    -------
    What must be said of these formats, a line each.

    Raises
    ------
    ConfigError
        The folder is used already, or a format is not known.
    EcotfError
        The disk is full, or the folder cannot be written to.
    """
    check_output(folder, overwrite)
    check_exchange(exchange)
    with atomic_folder(folder) as partial:
        write_tables(survey, partial)
        write_page(survey, partial, file_names(survey.labels))
        notes = _exchanged(survey, partial / "exchange", exchange)
        (partial / ABOUT).write_text(json.dumps(about(survey), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return notes


def _exchanged(survey: Survey, folder: Path, names: Sequence[str]) -> list[str]:
    if names:
        folder.mkdir()
    return [line for name in names for line in EXCHANGES[name](survey, folder)]


def about(survey: Survey) -> dict[str, object]:
    """Return the facts of a survey: settings, models, counts, and all that was said."""
    import ecotf

    counts = survey.recordings["status"].value_counts()
    return {
        "ecotf": ecotf.__version__,
        "options": asdict(survey.options),
        "models": survey.models,
        "recordings": {str(status): int(count) for status, count in counts.items()},
        "left_out": survey.left_out,
        "first_day": f"{survey.days['day'].min():%Y-%m-%d}",
        "last_day": f"{survey.days['day'].max():%Y-%m-%d}",
        "recorded_hours": round(float(survey.days["recorded_h"].sum()), 3),
        "unknown_sites": list(survey.unknown_sites),
        "notes": list(survey.notes),
    }


def write_tables(survey: Survey, folder: Path) -> None:
    """Write the tables of a survey into a folder that is there."""
    tables = tables_of(survey)
    for name in ("history", "covariates", "tables"):
        (folder / name).mkdir()
    for name in PARQUET:
        for_parquet(tables[name]).to_parquet(folder / "tables" / f"{name}.parquet", index=False)
    for name, table in tables.items():
        if name != "detections":  # large, and there already as the classifier wrote it
            _csv(table, folder / f"{name if name not in ('days', 'hours') else f'effort_{name}'}.csv")
    _csv(survey.effort.round(6).rename_axis("site").reset_index(), folder / "effort.csv")
    _csv(survey.states.rename_axis("site").reset_index(), folder / "states.csv")
    for label, name in file_names(survey.labels).items():
        _csv(survey.histories[label].rename_axis("site").reset_index(), folder / "history" / f"{name}.csv")
    names = pd.DataFrame(file_names(survey.labels).items(), columns=["label", "file"])
    _csv(names.assign(file=[f"{name}.csv" for name in names["file"]]), folder / "species.csv")
    for name, table in survey.covariates.items():
        _csv(table.round(6).rename_axis("site").reset_index(), folder / "covariates" / f"{name}.csv")


def tables_of(survey: Survey) -> dict[str, pd.DataFrame]:
    """Return the tables that are written, by their names."""
    recorded = survey.days.groupby("site")
    sites = survey.sites.table.copy()
    sites["days_recorded"] = sites["site"].map(recorded["state"].agg(lambda states: (states == "recorded").sum()))
    sites["hours_recorded"] = sites["site"].map(recorded["recorded_h"].sum()).round(6)
    ends = survey.occasions.firsts + pd.Timedelta(days=survey.occasions.days - 1)
    occasions = pd.DataFrame({
        "occasion": survey.occasions.names, "first_day": survey.occasions.firsts, "last_day": ends,
    })  # fmt: skip
    hours = survey.hours.assign(hour_from_sunset=(survey.hours["from_sunset_s"] / 3600).round(6))
    return {
        "recordings": survey.recordings.drop(columns=_NOT_SHOWN, errors="ignore"),
        "detections": survey.detections.drop(columns=_NOT_SHOWN, errors="ignore"),
        "observations": survey.observations,
        "hours": hours.drop(columns="from_sunset_s"),
        "days": survey.days.round({"recorded_h": 6, "silent_h": 6}),
        "sites": sites,
        "occasions": occasions,
    }


def file_names(labels: Iterable[str]) -> dict[str, str]:
    """Return a file's name, without its ending, for each label; no two the same.

    Examples
    --------
    >>> file_names(["Myotis daubentonii", "Myotis/daubentonii"])
    {'Myotis daubentonii': 'Myotis_daubentonii', 'Myotis/daubentonii': 'Myotis_daubentonii_2'}
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for label in labels:
        name = base = re.sub(r"[^\w-]+", "_", label)[:80].strip("_") or "unnamed"
        number = 2
        while name.casefold() in taken:
            name, number = f"{base}_{number}", number + 1
        taken.add(name.casefold())
        found[label] = name
    return found


def _csv(table: pd.DataFrame, path: Path) -> None:
    shown = table.copy()
    for name in shown:
        if pd.api.types.is_datetime64_any_dtype(shown[name]):
            whole_days = name in ("day", "first_day", "last_day")
            shown[name] = shown[name].dt.strftime("%Y-%m-%d" if whole_days else "%Y-%m-%dT%H:%M:%S")
    shown.to_csv(path, index=False, na_rep="NA", encoding="utf-8", errors="surrogateescape")


def for_parquet(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table as Parquet holds it: only UTF-8, and text in columns of objects."""
    shown = table.copy()
    for name in shown:
        if shown[name].dtype == object and name not in ("channel", "begins"):
            shown[name] = [
                str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace") for value in shown[name]
            ]
    if "channel" in shown:
        shown["channel"] = pd.to_numeric(shown["channel"]).astype("Int64")
    return shown
