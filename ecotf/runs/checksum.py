"""The checksum of a run: one number for everything that makes it what it is."""

from __future__ import annotations

import hashlib
from pathlib import Path


def run_checksum(path: Path) -> str:
    """Compute the sha256 of a run's weights, trees, thresholds, labels and recipe, or of one model file.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "model.tflite"
    >>> file.write_bytes(b"")
    0
    >>> run_checksum(file)[:8]
    'd52f8d82'
    """
    digest = hashlib.sha256()
    files = [path / name for name in ("thresholds.json", "labels.csv", "recipe.yaml")]
    files += sorted(inside for inside in (path / "model").rglob("*") if inside.is_file())
    for file in [path] if path.is_file() else files:
        digest.update(file.relative_to(path).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
