"""Embeddings of sound: the windows they are of, and the folders they are kept in."""

from __future__ import annotations

from ecotf.embeddings.cache import EmbeddingCache, embed_clips, embed_windows
from ecotf.embeddings.windows import count_windows, cut_windows, windows_of

__all__ = ["EmbeddingCache", "count_windows", "cut_windows", "embed_clips", "embed_windows", "windows_of"]
