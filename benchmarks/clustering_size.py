"""Time and memory of one clustering of many embeddings: k-means to small clusters, HDBSCAN on those, all assigned.

    /usr/bin/time -v python benchmarks/clustering_size.py --rows 100000 --numbers 256
    /usr/bin/time -v python benchmarks/clustering_size.py --rows 1000000 --numbers 1024 --folder /tmp/many

The embeddings are drawn: 60 sounds of very different number, and a fifth of strays. They are written in half precision
and mapped into memory, as a folder of embeddings is. What is told is the time of the clustering alone, the most memory
that the process held, and how well the sounds are found. `clustering.md` has figures.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from ecotf.clustering.choosing import cluster_rows
from ecotf.discovery.learning import KeptRows
from ecotf.evaluation.agreement import agreement
from ecotf.tasks.recipes import load_cluster_recipe

_BLOCK = 20_000
_SOUNDS = 60


def write_rows(path: Path, rows: int, numbers: int, seed: int = 0) -> np.ndarray:
    """Write rows ``[rows, numbers]`` in blocks; return the sound of each, -1 for a stray."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 1, (_SOUNDS, numbers)).astype(np.float32)
    share = 1 / np.arange(1, _SOUNDS + 1)
    truth = np.where(rng.random(rows) < 0.2, -1, rng.choice(_SOUNDS, rows, p=share / share.sum()))
    with path.open("wb") as stream:
        for at in range(0, rows, _BLOCK):
            own = truth[at : at + _BLOCK]
            noise = rng.standard_normal((len(own), numbers), dtype=np.float32)
            block = np.where((own < 0)[:, None], noise, centres[own] + 0.4 * noise)
            stream.write(block.astype(np.float16).tobytes())
    return truth


def main() -> None:
    """Write rows, cluster them, and tell time, memory and agreement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--numbers", type=int, default=256)
    parser.add_argument("--folder", type=Path, help="where the embeddings are written (a temporary folder)")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings of clustering/archive")
    options = parser.parse_args()
    recipe = load_cluster_recipe("clustering/archive", options.overrides)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "rows.f16"
        truth = write_rows(path, options.rows, options.numbers)
        began, busy = perf_counter(), process_time()
        found = cluster_rows(KeptRows(path, options.numbers), recipe.clustering, recipe.seed, print)
        seconds, busy = perf_counter() - began, process_time() - busy
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = agreement(truth.astype(str)[truth >= 0], found.labels[truth >= 0])
    print(f"{options.rows:,} x {options.numbers}: {seconds:.0f} s, {busy:.0f} s of processor time, {memory:,.0f} MiB")
    print(
        f"{found.figures['clusters']} clusters of {_SOUNDS}, {100 * found.figures['noise']:.0f} % noise (strays: 20 %)"
    )
    print(f"of the sounds: AMI {told['ami']:.3f}, ARI {told['ari']:.3f}, accuracy {told['accuracy']:.3f}")


if __name__ == "__main__":
    main()
