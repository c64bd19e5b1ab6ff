"""A count of what a classification found, read back from the files it wrote."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

_READERS = {
    "detections.csv": lambda path: pd.read_csv(path, keep_default_na=False),
    "detections.parquet": pd.read_parquet,
}


def species_counts(output: Path) -> pd.DataFrame | None:
    """Detections, recordings and highest score of every label; None when no table of the whole job was written."""
    for name, read in _READERS.items():
        if (output / name).exists():
            table = read(output / name)
            grouped = table.groupby("label").agg(
                detections=("score", "size"), recordings=("recording", "nunique"), highest=("score", "max")
            )
            return grouped.sort_values("detections", ascending=False).reset_index()
    return None
