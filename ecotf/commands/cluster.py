"""``ecotf cluster``: the clips of an unlabelled archive in clusters, and names for them."""

from __future__ import annotations

from collections.abc import Sequence

from ecotf.commands.cluster_archive import cluster
from ecotf.commands.name_clusters import export, show

PARTS = {"show": show, "export": export}
"""What the first argument may be, other than an archive (one with such a name is ./show)."""


def main(arguments: Sequence[str]) -> int:
    """Cluster an archive, or show or export clusters."""
    if arguments and arguments[0] in PARTS:
        return PARTS[arguments[0]](arguments[1:])
    return cluster(arguments)
