"""A tiny folder of clusters over simulated recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from ecotf.discovery.folder import AboutClusters, Clusters, open_clusters, write_about, write_clips
from ecotf.embeddings.records import Embedded, EmbeddedRecords
from ecotf.embeddings.shards import ShardWriter
from ecotf.embeddings.store import About, write_table

RATE = 16_000
PITCHES = (1000.0, 3000.0)


def tiny_clusters(folder: Path, clips_each: int = 4, recordings: int = 4) -> Clusters:
    """Write recordings of two pitches and of noise, and a folder of clusters with a clip for each second of them.

    Cluster 0 is 1 kHz, cluster 1 is 3 kHz; the last recording is noise (-1). Recordings of one pitch lie at two sites
    and began at 21:00 and 05:00.
    """
    rng, times = np.random.default_rng(0), np.arange(clips_each * RATE) / RATE
    rows = []
    for number in range(recordings):
        kind = number % 2 if number < recordings - 1 else -1
        sound = 0.02 * rng.standard_normal(len(times))
        if kind >= 0:
            sound += 0.3 * (times % 1 < 0.6) * np.sin(2 * np.pi * PITCHES[kind] * times)
        hour = (21, 5)[number // 2 % 2]
        path = folder / "recordings" / f"site{number // 2}" / f"20260621_{hour:02d}{number:02d}00.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, sound, RATE, subtype="PCM_16")
        for clip in range(clips_each):
            rows.append({
                "recording": str(path), "path": str(path.resolve()), "start_s": float(clip), "end_s": clip + 1.0,
                "low_hz": np.nan, "high_hz": np.nan, "site": path.parent.name,
                "time": f"2026-06-21T{hour:02d}:{number:02d}:{clip:02d}.000", "row": len(rows),
                "x": 4 * kind + rng.normal(), "y": rng.normal(), "cluster": kind,
                "probability": 1 - clip / clips_each if kind >= 0 else 0.0, "label": "",
            })  # fmt: skip
    clips, output = pd.DataFrame(rows), folder / "clusters"
    _embeddings(output / "embeddings", clips)
    write_about(output, AboutClusters("clustering/archive", "Tiny", "free", "d" * 32, 1.0))
    pd.DataFrame({"iteration": [0], "clusters": [2], "noise": [1 / recordings], "chosen": [True]}).to_csv(
        output / "iterations.csv", index=False
    )
    write_clips(output, clips)
    return open_clusters(output)


def _embeddings(folder: Path, clips: pd.DataFrame) -> None:
    """Write embeddings of four numbers: those of one cluster are near each other."""
    folder.mkdir(parents=True)
    About("Tiny", "free", "d" * 32, 4, RATE, RATE, RATE, False).write(folder)
    means = np.array([[1, 0, 0, 0.1], [0, 1, 0, 0.1], [0, 0, 1, 0.1]])
    values = means[clips["cluster"]] + 0.05 * np.random.default_rng(1).standard_normal((len(clips), 4))
    shards, records = ShardWriter(folder, 4, 0), EmbeddedRecords(folder)
    for (name, path), inside in clips.groupby(["recording", "path"], sort=False):
        first = shards.rows
        shards.append(values[inside["row"]])
        size = Path(path).stat()
        n = len(inside)
        records.add(
            Embedded(name, path, name, size.st_size, size.st_mtime_ns, "done", "", float(n), first, n, 1.0, 1.0)
        )
    shards.sync()
    write_table(folder, False)
