"""Embedders, one a file: models that turn a window of sound into a row of numbers.

To add one, write its file and import it here. `ecotf.tasks.run_embedder` adds trained runs. Configs are light; a
runtime is loaded when an embedder is built.
"""

from __future__ import annotations

from ecotf.models.embedders import saved_model, several, tflite
from ecotf.models.embedders.base import EMBEDDERS, Embedder, EmbedderConfig, build_embedder, open_embedder

__all__ = ["EMBEDDERS", "Embedder", "EmbedderConfig", "build_embedder", "open_embedder"]

_ENTRIES = (saved_model, several, tflite)
