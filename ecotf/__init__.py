"""ecotf: from a folder of wildlife recordings to a trained detector, its detections and a model for the recorder.

Examples
--------
>>> import ecotf
>>> model = ecotf.load(RUN)
>>> detections = model.detect(NIGHT)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecotf.api import (
        Model,
        classify,
        cluster,
        embed,
        enrol,
        load,
        open_clusters,
        open_embedder,
        open_embeddings,
        read_manifest,
        recipes,
        report,
        rois,
        search,
        spectrogram,
        survey,
        train,
    )
    from ecotf.errors import ConfigError, DataError, EcotfError, RecordingError

__version__ = "0.2.0"

_API = (
    "Model", "classify", "cluster", "embed", "enrol", "load", "open_clusters", "open_embedder", "open_embeddings",
    "read_manifest", "recipes", "report", "rois", "search", "spectrogram", "survey", "train",
)  # fmt: skip
_ERRORS = ("ConfigError", "DataError", "EcotfError", "RecordingError")
__all__ = [
    "ConfigError", "DataError", "EcotfError", "Model", "RecordingError", "classify", "cluster", "embed", "enrol",
    "load", "open_clusters", "open_embedder", "open_embeddings", "read_manifest", "recipes", "report", "rois", "search",
    "spectrogram", "survey", "train",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load a part of the API when it is first used: ``import ecotf`` alone loads nothing."""
    from importlib import import_module

    if name in _API:
        return getattr(import_module("ecotf.api"), name)
    if name in _ERRORS:
        return getattr(import_module("ecotf.errors"), name)
    raise AttributeError(f"module 'ecotf' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the API."""
    return sorted([*globals(), *__all__])
