"""How many of the first 20 hits of one example are right, its own recording passed over."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import ecotf
from ecotf.audio.discover import find_recordings
from ecotf.embeddings.store import Embeddings
from ecotf.errors import ConfigError
from ecotf.searching.examples import Example, embed_examples
from ecotf.searching.find import Wanted, like_rows, rows_of

TOP, EACH, RESAMPLES = 20, 5, 2000
SPECIES = {"boobook": ("qut_boobook", "Ninox boobook"), "piha": ("pyha_piha", "bird")}
ARCHIVE = ("qut_boobook", "qut_pitta", "pyha_piha")


def measure_precision(data: Path, cache: Path, small: Path | None) -> list[dict[str, Any]]:
    """Measure every embedder that is there over three sets of soundscapes together."""
    known: dict[str, tuple[str | Path, Path | None, float]] = {}
    if small is not None:
        known["fewshot/small"] = (small, None, 0.5)
    for name, title, described, hop_s in (
        ("ECOTF_YAMNET", "YAMNet", "yamnet", 0.48), ("ECOTF_BIRDNET", "BirdNET 2.4", "birdnet_2.4", 1.0),
    ):  # fmt: skip
        if os.environ.get(name):
            known[title] = (described, Path(os.environ[name]), hop_s)
    if not known:
        raise ConfigError("no embedder: set ECOTF_BIRDNET or ECOTF_YAMNET, or give --small RUN")
    events = pd.read_csv(data / "annotations.csv")
    result = []
    for title, (what, file, hop_s) in known.items():
        embedder = ecotf.open_embedder(what, file, hop_s)
        recordings = find_recordings([data / "soundscapes" / name for name in ARCHIVE]).recordings
        embeddings = ecotf.embed(embedder, recordings, cache / title.replace("/", "_"), resume=True)
        for species, (folder, label) in SPECIES.items():
            of = events[events["path"].str.startswith(f"soundscapes/{folder}/") & (events["label"] == label)]
            facts = _of_species(embeddings, embedder, data, of)
            result.append({"embedder": title, "species": species, "window_s": embedder.samples / embedder.sample_rate,
                           "hop_s": hop_s, **facts})  # fmt: skip
            print(result[-1], flush=True)
    return result


def _of_species(embeddings: Embeddings, embedder: Any, data: Path, events: pd.DataFrame) -> dict[str, Any]:
    """Take up to five events of each recording as examples, one at a time; a group is the example's recording."""
    right = _right(embeddings, data, events)
    names = embeddings.table["recording"].to_numpy()
    by_path = {str(path): name for name, path in embeddings.paths.items()}
    figures = []
    for path, own in events.groupby("path"):
        full = os.path.realpath(data / str(path))
        chosen = own.sort_values("start_s").iloc[np.unique(np.linspace(0, len(own) - 1, EACH).astype(int))]
        wanted = Wanted(TOP, without=(by_path[full],), threads=2)
        elsewhere = right & (names != by_path[full])
        for event in chosen.itertuples():
            query = embed_examples(
                embeddings, embedder, [Example(Path(full), float(event.start_s), float(event.end_s))]
            )
            hits = like_rows(embeddings, query, wanted, rows_of(embeddings, wanted))
            chance = elsewhere.sum() / (names != by_path[full]).sum()
            figures.append((str(path), right[hits["row"].to_numpy()].mean(), chance, int(elsewhere.sum())))
    table = pd.DataFrame(figures, columns=["recording", "precision", "chance", "positives"])
    means = table.groupby("recording")["precision"].mean().to_numpy()
    drawn = np.random.default_rng(0).choice(means, (RESAMPLES, len(means))).mean(axis=1)
    return {
        "examples": len(table), "recordings": len(means), "rows": len(embeddings), "positives": int(right.sum()),
        "precision": float(means.mean()), "low": float(np.quantile(drawn, 0.025)),
        "high": float(np.quantile(drawn, 0.975)), "chance": float(table["chance"].mean()),
        "worst": float(table["precision"].min()), "best": float(table["precision"].max()),
    }  # fmt: skip


def _right(embeddings: Embeddings, data: Path, events: pd.DataFrame) -> np.ndarray:
    """Return which rows share at least half of an event or half of their window with an event, bool ``[rows]``."""
    table, right = embeddings.table, np.zeros(len(embeddings), bool)
    paths = {str(path): name for name, path in embeddings.paths.items()}
    for path, own in events.groupby("path"):
        rows = np.flatnonzero(table["recording"] == paths[os.path.realpath(data / str(path))])
        start, end = (table[name].to_numpy()[rows, None] for name in ("start_s", "end_s"))
        first, last = own["start_s"].to_numpy(), own["end_s"].to_numpy()
        shared = np.minimum(end, last) - np.maximum(start, first)
        right[rows] = (shared >= 0.5 * np.minimum(end - start, last - first)).any(axis=1)
    return right
