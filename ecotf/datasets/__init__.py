"""Data sets: one manifest for all annotations, importers that make it, and splits that do not leak."""

from ecotf.datasets.against_audio import check_against_audio, check_recordings, require_files
from ecotf.datasets.manifest import COLUMNS, Manifest, make_manifest, read_manifest, write_manifest

__all__ = [
    "COLUMNS",
    "Manifest",
    "check_against_audio",
    "check_recordings",
    "make_manifest",
    "read_manifest",
    "require_files",
    "write_manifest",
]
