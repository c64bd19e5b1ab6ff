"""From named clusters to a manifest: each clip with the name of its cluster, for ``ecotf train``."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ecotf.audio.hdf5_rows import file_of
from ecotf.clustering.methods import NOISE
from ecotf.datasets.manifest import make_manifest, write_manifest
from ecotf.discovery.folder import Clusters
from ecotf.errors import ConfigError, DataError
from ecotf.review.clusters import read_naming

NOISE_LABEL, UNKNOWN_LABEL = "noise", "unknown"
"""Labels that recipes know without being told: no event, and an event of unknown species."""


@dataclass(frozen=True)
class ExportedNames:
    """What was exported.

    Attributes
    ----------
    labels
        How many clips each label has, the most frequent first.
    recordings
        How many recordings the manifest has.
    lines
        What a user must know: of clips without a name, and of recordings that have vanished.
    """

    labels: dict[str, int]
    recordings: int
    lines: tuple[str, ...]


def export_manifest(
    clusters: Clusters,
    path: Path,
    noise: Literal["label", "leave"] = "label",
    unnamed: Literal["unknown", "leave"] = "unknown",
    overwrite: bool = False,
) -> ExportedNames:
    """Write a manifest of all clips with a name; a group is a recording.

    Parameters
    ----------
    path
        A ``.csv`` or a ``.parquet``.
    noise
        Clips of clusters that a person has called noise: ``label`` gives them the label ``noise``, which training hears
        as sound without an event; ``leave`` leaves them out.
    unnamed
        Clips without a name, or in no cluster: with the label ``unknown``, training neither learns from them nor takes
        them for silence. ``leave`` leaves them out, so that a recipe which learns from all segments of a recording
        takes them for sound without an event.
    overwrite
        Replace a file that is there.

    Raises
    ------
    ConfigError
        No cluster has a name, or the file is there already.
    """
    if path.exists() and not overwrite:
        raise ConfigError(f"{path}: is there already; give another --output, or --overwrite")
    naming, note = read_naming(clusters)
    if not naming.names:
        raise ConfigError(f"{clusters.folder}: no cluster has a name yet; ecotf cluster show is the page to name them")
    clips = clusters.clips
    there = {one: os.path.exists(file_of(Path(one))) for one in clips["path"].unique()}
    present = clips["path"].map(there).to_numpy(bool)
    named = clips["cluster"].to_numpy(np.int64) * 0
    labels = np.full(len(clips), UNKNOWN_LABEL, object)
    for cluster in naming.clusters:
        inside = naming.cluster == cluster
        if cluster in naming.names:
            labels[inside], named[inside] = naming.names[cluster], 1
        elif cluster in naming.noise:
            labels[inside], named[inside] = NOISE_LABEL, 2
    kept = present & ((named == 1) | ((named == 2) & (noise == "label")) | ((named == 0) & (unnamed == "unknown")))
    if not (kept & (named == 1)).any():
        raise DataError(f"{clusters.folder}: the recordings of all clips with a name have vanished")
    table = clips.loc[kept, ["path", "start_s", "end_s", "low_hz", "high_hz", "time"]].rename(
        columns={"path": "recording"}
    )
    table = table.assign(label=labels[kept], group=table["recording"])
    if clips["site"].ne("").any():
        table = table.assign(site=clips.loc[kept, "site"])
    if clusters.about.time_expansion is not None:
        table = table.assign(time_expansion=clusters.about.time_expansion)
    table = table.sort_values(["recording", "start_s"], kind="stable", ignore_index=True)
    write_manifest(make_manifest(table, path.parent, str(path)), path)
    counts = Counter(table["label"].tolist())
    lines = [note] if note else []
    lines += _said(naming.cluster, named, kept, unnamed, naming.names, naming.noise)
    gone = [one for one, is_there in there.items() if not is_there]
    if gone:
        lines.append(
            f"left out: {np.sum(~present)} clips of {len(gone)} recordings that are no longer there, as {gone[0]}"
        )
    return ExportedNames(dict(counts.most_common()), table["recording"].nunique(), tuple(lines))


def _said(
    cluster: np.ndarray, named: np.ndarray, kept: np.ndarray, unnamed: str, names: dict[int, str], noise: frozenset[int]
) -> list[str]:
    """Say what became of clips without a name."""
    lines = []
    how = f"have the label {UNKNOWN_LABEL}" if unnamed == "unknown" else "are left out"
    without = [one for one in np.unique(cluster) if one != NOISE and one not in names and one not in noise]
    if without:
        several = "s" * (len(without) > 1)
        lines.append(
            f"{int(np.isin(cluster, without).sum())} clips of {len(without)} cluster{several} without a name {how}"
        )
    alone = int((cluster == NOISE).sum())
    if alone:
        lines.append(f"{alone} clips that are in no cluster {how}")
    called = named == 2
    if called.any():
        there = f"have the label {NOISE_LABEL}" if (kept & called).any() else "are left out"
        lines.append(f"{int(called.sum())} clips of clusters called noise {there}")
    return lines
