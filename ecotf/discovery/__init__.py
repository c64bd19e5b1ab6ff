"""Finding out what an archive of unlabelled sound holds: its clips in clusters of sounds that are alike."""

from __future__ import annotations

from ecotf.discovery.folder import Clusters, open_clusters

__all__ = ["Clusters", "open_clusters"]
