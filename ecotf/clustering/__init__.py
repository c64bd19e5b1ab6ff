"""Groups of rows of numbers that lie close together: features of regions, or embeddings."""

from ecotf.clustering.methods import CLUSTERERS, NOISE, ClusterConfig, Clusterer, biggest, cluster
from ecotf.clustering.scaling import scaled

__all__ = ["CLUSTERERS", "NOISE", "ClusterConfig", "Clusterer", "biggest", "cluster", "scaled"]
