"""Measure what is sent of a model to a recorder that has another one.

    python benchmarks/flash_difference.py bundles/one_species/model.tflite bundles/two_species/model.tflite

The first file is what the recorder has; each further one is sent after the one before it. No recorder is needed: both
sides' own code runs here.
"""

from __future__ import annotations

import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "deploy" / "recorder")]

from ecotf_recorder.releases.blocks import hash_blocks  # noqa: E402

from deploy.flash.delta import write_delta  # noqa: E402


def main(paths: list[Path]) -> None:
    """Print a row for each pair of files."""
    if len(paths) < 2:
        raise SystemExit(__doc__)
    print("| sent | of, KB | difference, KB | hashes, KB | to hash, s | to find, s |")
    print("|---|---:|---:|---:|---:|---:|")
    for old, new in pairwise(paths):
        began = perf_counter()
        blocks = hash_blocks(old)
        hashed = perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            size = write_delta(Path(folder) / "delta", new, blocks, "0" * 12)
        found = perf_counter()
        said = len(blocks.to_json()["hashes"])
        print(
            f"| {new.parent.name} | {new.stat().st_size / 1e3:.0f} | {size / 1e3:.1f} | {said / 1e3:.1f} "
            f"| {hashed - began:.2f} | {found - hashed:.2f} |"
        )


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
