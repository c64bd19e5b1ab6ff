"""Sort the regions of each species: its clusters are signal, what belongs to none is noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ecotf.clustering import NOISE, biggest, cluster, scaled
from ecotf.regions.config import SHAPES, RoiConfig

if TYPE_CHECKING:
    import pandas as pd

LEAST = 3
"""Of fewer regions nobody can say which of them are alike."""


def sort_regions(table: pd.DataFrame, config: RoiConfig) -> tuple[pd.DataFrame, list[str]]:
    """Cluster the regions of each species.

    Parameters
    ----------
    table
        One row for each region: ``species`` and the features.

    Returns
    -------
    The columns ``cluster`` and ``kept``, in the order of ``table``; and a line about each species. Clusters count from
    0 within their species, noise is -1. A species with too few regions, or without a name, has no clusters and stays.
    """
    import pandas as pd

    clusters = pd.array([pd.NA] * len(table), dtype="Int64")
    kept = np.ones(len(table), bool)
    lines, few = [], []
    for species, places in table.groupby("species", sort=True).indices.items():
        rows = np.asarray(places)
        if not species:
            lines.append(f"{len(rows)} regions of no known species are not clustered; they have no label")
            continue
        if len(rows) < LEAST:
            few.append(f"{species} ({len(rows)})")
            continue
        labels = cluster(_points(table.iloc[rows], config), config.cluster)
        clusters[rows] = labels
        main = biggest(labels)
        kept[rows] = labels == main if config.keep == "biggest" else labels != NOISE
        if main == NOISE:
            kept[rows] = False
        count = len(set(labels.tolist()) - {NOISE})
        lines.append(
            f"{species}: {len(rows)} regions, {count} cluster{'s' * (count != 1)}, {int(kept[rows].sum())} kept"
        )
    if few:
        lines.append(f"fewer than {LEAST} regions, not clustered, all kept: {', '.join(few)}")
    return pd.DataFrame({"cluster": clusters, "kept": kept}, index=table.index), lines


def _points(table: pd.DataFrame, config: RoiConfig) -> np.ndarray:
    blocks = []
    for name in config.cluster_by:
        columns = [one for one in table.columns if one.startswith(f"{SHAPES}_")] if name == SHAPES else [name]
        if columns:
            blocks.append(table[columns].to_numpy(np.float64))
    # A region without contrast on some scale has no shape there; it must not take the scale of the others along.
    usable = np.isfinite(np.concatenate(blocks, axis=1)).all(axis=1)
    points = np.full((len(table), sum(block.shape[1] for block in blocks)), np.nan)
    if usable.any():
        points[usable] = scaled([block[usable] for block in blocks], config.scale)
    return points
