"""BirdCLEF metadata (``train_metadata.csv`` of 2021 to 2024): every year's columns, and ratings as weights."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ecotf.datasets.tables import FIRST_ROW, read_table
from ecotf.datasets.text import read_text
from ecotf.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

BEST_RATING = 5.0
LEAST_WEIGHT = 0.1
BACKGROUND_FACTOR = 0.8  # published: a species in the background of another counts for less

_QUOTED = re.compile(r'"([^"]*)"|\'([^\']*)\'')
_NUMBER_IN_URL = re.compile(r"xeno-canto\.org/(?:sounds/)?(?:XC)?(\d+)", re.IGNORECASE)
_NUMBER_IN_NAME = re.compile(r"(?:^|/)XC(\d+)", re.IGNORECASE)
_LETTERS = {"a": 5.0, "b": 4.0, "c": 3.0, "d": 2.0, "e": 1.0}  # Xeno-canto's own ratings
_NO_RATING = ("", "nan", "none", "no score")
# Ours, and how the years and Xeno-canto call it.
_COLUMNS = {
    "label": ("primary_label", "ebird_code"),
    "file": ("filename",),
    "secondary": ("secondary_labels", "also"),
    "rating": ("rating", "q"),
    "recordist": ("author", "recordist", "rec"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lng", "lon"),
    "url": ("url",),
    "scientific_name": ("scientific_name", "sci_name"),
    "presence": ("presence_type",),
}


def secondary_labels(cell: object) -> list[str]:
    """Return the labels in a cell, however it is written: ``[]``, ``['a', 'b']``, nothing, NaN, ``a b`` or ``a, b``.

    Examples
    --------
    >>> secondary_labels("['amerob', 'norcar']")
    ['amerob', 'norcar']
    """
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return []
    text = str(cell).strip()
    if text.lower() in ("", "nan", "none"):
        return []
    quoted = [one or other for one, other in _QUOTED.findall(text)]
    bare = text.strip("[]() ")
    found = quoted if _QUOTED.search(text) else re.split(r"[,;]" if re.search("[,;]", bare) else r"\s+", bare)
    labels = (label.strip() for label in found)
    return list(dict.fromkeys(label for label in labels if label.lower() not in ("", "nan")))


def xeno_canto_number(url: str, file: str) -> str:
    """Return the number of a recording in Xeno-canto, from its address or its file name; empty if neither has one."""
    found = _NUMBER_IN_URL.search(url) or _NUMBER_IN_NAME.search(file.replace("\\", "/"))
    return found[1] if found else ""


def read_birdclef_table(path: Path) -> pd.DataFrame:
    """Read a ``train_metadata.csv`` of any year.

    Returns
    -------
    pandas.DataFrame
        One row a recording: ``label, file, secondary`` (list of str), ``rating`` (NaN where there is none),
        ``recordist, latitude, longitude, xeno_canto, scientific_name`` (empty where the year has no such column) and
        ``foreground`` (whether the label is the recording's main voice).

    Raises
    ------
    DataError
        No column for the label or the file name, an empty cell there, or a rating that is none; row and value are
        named.
    """

    import pandas as pd

    source = read_table(path)
    table = pd.DataFrame({name: _first_of(source, path, name) for name in _COLUMNS}, index=source.index)
    for name in ("label", "file"):
        empty = table[name] == ""
        if empty.any():
            theirs = next(column for column in _COLUMNS[name] if column in source)
            raise DataError(f"{path}: {theirs} is empty (row {int(table.index[empty][0]) + FIRST_ROW}); it is needed")
    table["secondary"] = [secondary_labels(cell) for cell in table["secondary"]]
    numbers = table.index.to_numpy(int) + FIRST_ROW
    table["rating"] = [_rating(cell, path, row) for cell, row in zip(table["rating"], numbers, strict=True)]
    table["xeno_canto"] = [xeno_canto_number(*row) for row in zip(table["url"], table["file"], strict=True)]
    table["foreground"] = table["presence"].str.lower() != "background"
    return table.drop(columns=["url", "presence"]).reset_index(drop=True)


def rating_weights(
    rating: Sequence[float] | np.ndarray | pd.Series,
    foreground: pd.Series,
    unrated: float | Literal["random"],
    seed: int,
) -> np.ndarray:
    """How much each recording counts: rating / 5, from 0.1 to 1, times 0.8 where the label is not in the foreground.

    Parameters
    ----------
    rating
        0 to 5; 0 and NaN mean that nobody rated it.
    unrated
        The rating of what nobody rated; ``random`` draws one of 0.5, 1, ..., 5, as published for 2024.
    seed
        Of ``random``.

    Returns
    -------
    float64 ``[n]``
    """
    stars = np.asarray(rating, np.float64)
    missing = ~(stars > 0)
    drawn = np.random.default_rng(seed).integers(1, 11, len(stars)) / 2 if unrated == "random" else float(unrated)
    weight = np.clip(np.where(missing, drawn, stars) / BEST_RATING, LEAST_WEIGHT, 1.0)
    return np.asarray(weight * np.where(np.asarray(foreground, bool), 1.0, BACKGROUND_FACTOR))


def read_class_list(path: Path) -> list[str]:
    """Read species: one a line, or the columns of a ``sample_submission.csv`` behind ``row_id``.

    Raises
    ------
    DataError
        The file cannot be read, holds no species, or one twice.
    """
    lines = read_text(path).splitlines()
    classes = lines[0].split(",")[1:] if lines and lines[0].startswith("row_id,") else lines
    classes = [name.strip() for name in classes if name.strip()]
    twice = [name for i, name in enumerate(classes) if name in classes[:i]]
    if twice:
        raise DataError(f"{path}: species {twice[0]!r} is there twice; once is enough")
    if not classes:
        raise DataError(f"{path}: no species; one a line is needed, or the header of a sample_submission.csv")
    return classes


def _first_of(source: pd.DataFrame, path: Path, name: str) -> pd.Series:
    import pandas as pd

    for column in _COLUMNS[name]:
        if column in source:
            return source[column].astype("str").str.strip()
    if name in ("label", "file"):
        raise DataError(
            f"{path}: column {_COLUMNS[name][0]!r} is missing; found are {', '.join(map(str, source.columns[:12]))}"
        )
    return pd.Series("", index=source.index, dtype="str")


def _rating(cell: str, path: Path, row: int) -> float:
    text = cell.strip().lower()
    if text in _NO_RATING:
        return math.nan
    try:
        value = _LETTERS[text] if text in _LETTERS else float(text)
    except ValueError:
        value = -1.0
    if math.isnan(value):
        return value
    if not 0 <= value <= BEST_RATING:
        raise DataError(f"{path}: rating is {cell!r} (row {row}); allowed are 0 to 5, A to E, or an empty cell")
    return value
