"""The tables of a folder of regions: the manifest of its clips, and the features of their regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ecotf.datasets.manifest import make_manifest, write_manifest
from ecotf.files import atomic_file
from ecotf.regions.config import MEASURES, RoiConfig
from ecotf.regions.cut import shape_names
from ecotf.regions.folder import FEATURES, MANIFEST, CutFolder
from ecotf.regions.species import sort_regions

if TYPE_CHECKING:
    import pandas as pd

LEFT_OUT = "noise"
"""The label of regions that are no signal of their species; the default ignored labels of recipes hold it."""


def region_table(folder: CutFolder, config: RoiConfig) -> pd.DataFrame:
    """Make a table of all regions, by recording and time: places in the recording and in the clip, and features."""
    import pandas as pd

    shapes = shape_names(config)
    last = {record.path: number for number, record in enumerate(folder.records())}
    rows = []
    for number, record in enumerate(folder.records()):
        for region in record.regions if last[record.path] == number else ():
            rows.append(
                (
                    f"{record.folder}/{region.clip}",
                    record.recording,
                    record.path,
                    region.label,
                    record.group,
                    record.split,
                    record.time_expansion,
                    record.duration_s,
                    *region[1:8],
                    *(region.measures[name] for name in MEASURES),
                    *region.shapes,
                )
            )
    columns = [
        "recording", "source", "source_path", "species", "group", "split", "time_expansion", "recorded_s",
        "source_start_s", "source_end_s", "low_hz", "high_hz", "start_s", "end_s", "duration_s", *MEASURES, *shapes,
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    table[shapes] = table[shapes].astype(np.float64)
    return table.sort_values(["source", "source_start_s", "low_hz"], ignore_index=True)


def write_tables(folder: CutFolder, config: RoiConfig) -> tuple[pd.DataFrame, list[str]]:
    """Sort the regions and write ``manifest.csv`` and ``features.csv``; returns the table and lines about species.

    In the manifest, a region that is left out has the label ``noise``; its column ``species`` still says whose it was.
    """
    import pandas as pd

    table = region_table(folder, config)
    sorted_, lines = sort_regions(table, config)
    table = pd.concat([table, sorted_], axis=1)
    features = ["recording", "species", "cluster", "kept", *MEASURES, *shape_names(config)]
    with atomic_file(folder.folder / FEATURES) as partial:
        table[features].to_csv(partial, index=False)
    if len(table):
        label = table["species"].where(table["kept"], LEFT_OUT)
        columns = [
            "recording", "start_s", "end_s", "low_hz", "high_hz", "label", "group", "split", "duration_s", "source",
            "source_start_s", "source_end_s", "species", "cluster",
        ]  # fmt: skip
        manifest = make_manifest(table.assign(label=label)[columns], folder.folder, str(folder.folder / MANIFEST))
        write_manifest(manifest, folder.folder / MANIFEST)
    else:
        (folder.folder / MANIFEST).unlink(missing_ok=True)
    return table, lines
