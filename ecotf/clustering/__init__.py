"""Groups of rows of numbers that lie close together: features of regions, or embeddings."""

from ecotf.clustering.methods import CLUSTERERS, NOISE, ClusterConfig, Clusterer, Found, biggest, cluster, find_clusters
from ecotf.clustering.scaling import scaled

__all__ = [
    "CLUSTERERS",
    "NOISE",
    "ClusterConfig",
    "Clusterer",
    "Found",
    "biggest",
    "cluster",
    "find_clusters",
    "scaled",
]
