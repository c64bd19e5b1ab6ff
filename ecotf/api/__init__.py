"""The Python API: what ``import ecotf`` offers. It gives the numbers of the commands."""

from __future__ import annotations

from ecotf.api.archives import cluster, embed, rois
from ecotf.api.listening import classify, load
from ecotf.api.seasons import survey
from ecotf.api.training import enrol, recipes, report, spectrogram, train
from ecotf.datasets.manifest import read_manifest
from ecotf.discovery.folder import open_clusters
from ecotf.embeddings.store import open_embeddings
from ecotf.model import Model
from ecotf.quiet import quieten_libraries
from ecotf.searching.find import search
from ecotf.tasks.run_embedder import open_embedder

__all__ = [
    "Model", "classify", "cluster", "embed", "enrol", "load", "open_clusters", "open_embedder", "open_embeddings",
    "read_manifest", "recipes", "report", "rois", "search", "spectrogram", "survey", "train",
]  # fmt: skip

quieten_libraries()
