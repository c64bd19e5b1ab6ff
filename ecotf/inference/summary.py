"""A count of what a classification found, read back from the files it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def species_counts(output: Path) -> pd.DataFrame | None:
    """Detections, recordings and highest score of every label; None when no table of the whole job was written."""

    import pandas as pd

    for name in ("detections.csv", "detections.parquet"):
        if (output / name).exists():
            path = output / name
            text = {"recording": str, "label": str}
            is_csv = path.suffix == ".csv"
            table = pd.read_csv(path, dtype=text, keep_default_na=False) if is_csv else pd.read_parquet(path)
            grouped = table.groupby("label").agg(
                detections=("score", "size"), recordings=("recording", "nunique"), highest=("score", "max")
            )
            return grouped.sort_values("detections", ascending=False).reset_index()
    return None
