"""The manifest of a run: kept when it begins, and read again with recordings called as they were then."""

from __future__ import annotations

import os

from ecotf.datasets.manifest import Manifest, make_manifest, read_manifest, write_manifest
from ecotf.runs.folder import RunFolder

_NAME = "manifest.csv"


def keep_manifest(run: RunFolder, manifest: Manifest) -> None:
    """Write the manifest into the run; its recordings are then called from there."""
    write_manifest(manifest, run.path / _NAME)
    run.mark_done("manifest", root=os.path.abspath(manifest.root))


def kept_manifest(run: RunFolder) -> tuple[Manifest, dict[str, str]]:
    """Read the manifest of a run, its recordings called as they were when the run began, so that both name them alike.

    Where the folder that they were called from is gone, they are called from the run folder.

    Returns
    -------
    The manifest, and from each name in the file to the name in the manifest.
    """
    manifest = read_manifest(run.file(_NAME))
    root = run.step_facts("manifest").get("root")
    if root is None or not os.path.isdir(root):
        return manifest, {name: name for name in manifest.recordings}
    names = {
        name: name if os.path.isabs(name) else os.path.relpath(manifest.path_of(name), root)
        for name in manifest.recordings
    }
    table = manifest.table.assign(recording=manifest.table["recording"].map(names))
    return make_manifest(table, root, str(run.file(_NAME))), names
