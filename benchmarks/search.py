"""Search measured: time and memory beside numpy and usearch, and how many of the first 20 hits are right.

    python benchmarks/search.py speed --output search.json        # random clustered rows in a temporary folder
    ECOTF_BIRDNET=FILE ECOTF_YAMNET=FILE python benchmarks/search.py precision --data ../shared/data \\
        --small RUN --cache cache/ --output search.json
    python benchmarks/search.py page --output search.json --page benchmarks/search.md

Every way of searching is a process of its own, so that its memory is its own; all are asked the same queries in one
run, one after the other. ``usearch`` is left out where the package is not installed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from search_precision import measure_precision
from search_tables import write_page

from ecotf.embeddings.shards import SHARD_ROWS, ShardWriter, shard_path
from ecotf.embeddings.store import TABLE, About, open_embeddings
from ecotf.files import atomic_file
from ecotf.searching.nearest import nearest

TOP, QUERIES, CENTRES = 20, 10, 1000
SIZES = ((100_000, 256), (100_000, 1024), (1_000_000, 256), (1_000_000, 1024))
WAYS = ("ecotf, 1 thread", "ecotf, 2 threads", "numpy in blocks", "numpy whole", "usearch exact", "usearch index")


def write_folder(folder: Path, rows: int, numbers: int) -> np.ndarray:
    """Write a folder of clustered embeddings; return queries, near to its centres."""
    rng = np.random.default_rng(rows + numbers)
    centres = rng.normal(size=(CENTRES, numbers)).astype(np.float32)
    writer = ShardWriter(folder, numbers, 0)
    for start in range(0, rows, SHARD_ROWS):
        n = min(SHARD_ROWS, rows - start)
        kinds = rng.integers(0, CENTRES, n)
        writer.append(centres[kinds] + 0.8 * rng.standard_normal((n, numbers), np.float32))
    writer.sync()
    number = np.arange(rows)
    names = pd.Categorical.from_codes(number // 1000, [f"{i:05d}.wav" for i in range(-(-rows // 1000))])
    table = pd.DataFrame({"recording": names.astype(str), "start_s": 3.0 * (number % 1000)})
    table = table.assign(end_s=table["start_s"] + 3, shard=number // SHARD_ROWS, row=number % SHARD_ROWS)
    table.to_parquet(folder / TABLE, index=False)
    About("none", "", "0" * 32, numbers, 48_000, 144_000, 144_000, False).write(folder)
    return centres[:QUERIES] + 0.8 * rng.standard_normal((QUERIES, numbers), np.float32)


def searcher(way: str, folder: Path, index: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Open what a way of searching needs; the result takes a query and gives the first 20 rows by cosine."""
    embeddings = open_embeddings(folder)
    if way.startswith("ecotf"):
        threads = int(way.split()[1])
        return lambda query: nearest(embeddings, query[None], TOP, threads=threads)[0].rows
    if way == "numpy in blocks":
        return lambda query: _in_blocks(folder, embeddings.numbers, query)
    if way == "usearch index":
        from usearch.index import Index

        opened = Index.restore(str(index), view=True)
        return lambda query: opened.search(query.astype(np.float16), TOP).keys.astype(np.int64)
    rows = np.concatenate([shard.astype(np.float32) if way == "numpy whole" else shard for shard in _shards(folder)])
    if way == "usearch exact":
        from usearch.index import search

        return lambda query: search(rows, query.astype(np.float16), TOP, metric="cos", exact=True).keys.astype(int)
    lengths = np.linalg.norm(rows, axis=1)
    return lambda query: _first(rows @ query / lengths)


def _shards(folder: Path) -> list[np.ndarray]:
    numbers = About.read(folder).numbers
    return [
        np.memmap(shard_path(folder, number), np.float16, "r").reshape(-1, numbers)
        for number in range(len(list((folder / "shards").glob("*.f16"))))
    ]


def _first(scores: np.ndarray) -> np.ndarray:
    best = np.argpartition(-scores, min(TOP, len(scores) - 1))[:TOP]
    return best[np.argsort(-scores[best], kind="stable")]


def _in_blocks(folder: Path, numbers: int, query: np.ndarray) -> np.ndarray:
    kept, scores, start = np.empty(0, np.int64), np.empty(0, np.float32), 0
    for shard in _shards(folder):
        for at in range(0, len(shard), 8192):
            block = shard[at : at + 8192].astype(np.float32)
            here = block @ query / np.sqrt(np.einsum("ij,ij->i", block, block))
            best = _first(here)
            kept, scores = np.concatenate([kept, start + at + best]), np.concatenate([scores, here[best]])
            best = _first(scores)
            kept, scores = kept[best], scores[best]
        start += len(shard)
    return kept


def child(way: str, folder: Path, queries: Path, index: Path) -> dict[str, Any]:
    """Answer all queries in this process, and say what that took."""
    asked = np.load(queries)
    began = time.perf_counter()
    built: dict[str, float] = {}
    if way == "usearch index" and not index.exists():
        built = _build(folder, index)
        return built
    search = searcher(way, folder, index)
    search(asked[0])  # pages of the files are in memory for all ways alike, from here on
    opened_s = time.perf_counter() - began
    seconds, used, found = [], [], []
    for query in asked:
        before, cpu = time.perf_counter(), time.process_time()
        found.append(search(query).tolist())
        seconds.append(time.perf_counter() - before)
        used.append(time.process_time() - cpu)
    return {
        "open_s": opened_s, "seconds": float(np.median(seconds)), "least_s": min(seconds),
        "cpu_s": float(np.median(used)), **_memory(), "found": found,
    }  # fmt: skip


def _build(folder: Path, index: Path) -> dict[str, float]:
    from usearch.index import Index

    made, start, began, cpu = (
        Index(ndim=About.read(folder).numbers, metric="cos", dtype="f16"),
        0,
        time.perf_counter(),
        time.process_time(),
    )
    for shard in _shards(folder):
        made.add(np.arange(start, start + len(shard)), np.ascontiguousarray(shard), threads=2)
        start += len(shard)
    made.save(str(index))
    return {
        "build_s": time.perf_counter() - began, "build_cpu_s": time.process_time() - cpu,
        "bytes": index.stat().st_size, **{f"build_{name}": value for name, value in _memory().items()},
    }  # fmt: skip


def _memory() -> dict[str, float]:
    """Return the greatest memory of this process, and what of it is not of mapped files now, MiB."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    own = int(status["RssAnon"].split()[0]) / 1024
    return {"peak_mib": int(status["VmHWM"].split()[0]) / 1024, "own_mib": own}


def measure_speed(rows: int, numbers: int, scratch: Path, with_index: bool = True) -> dict[str, Any]:
    """Measure all ways over one size."""
    folder = scratch / "embeddings"
    np.save(scratch / "queries.npy", write_folder(folder, rows, numbers))
    result: dict[str, Any] = {"rows": rows, "numbers": numbers, "ways": {}}
    threads = {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    for way in ("usearch index", *WAYS) if with_index else WAYS[:-1]:
        command = [sys.executable, __file__, "child", "--way", way, "--folder", str(folder), "--scratch", str(scratch)]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **threads}, check=False)
        if done.returncode:
            print(
                f"{way}: left out: {done.stderr.strip().splitlines()[-1] if done.stderr else done.returncode}",
                flush=True,
            )
            continue
        facts = json.loads(done.stdout.splitlines()[-1])
        result["ways"].setdefault(way, {}).update(facts)
        print(rows, numbers, way, {key: value for key, value in facts.items() if key != "found"}, flush=True)
    exact = result["ways"]["ecotf, 1 thread"]["found"]
    for facts in result["ways"].values():
        found = facts.pop("found", [])
        facts["recall"] = float(np.mean([len(set(a) & set(b)) / TOP for a, b in zip(exact, found, strict=True)]))
    return result


def main() -> None:
    """Measure, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "precision", "page", "child"))
    parser.add_argument("--output", type=Path, default=Path("search.json"))
    parser.add_argument("--page", type=Path, default=Path("benchmarks/search.md"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    parser.add_argument("--small", type=Path, help="a run of fewshot/small")
    parser.add_argument("--scratch", type=Path, help="a folder for the rows")
    parser.add_argument("--most-indexed", type=int, default=1 << 62, help="build no index of more numbers than that")
    parser.add_argument("--way")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.what == "child":
        scratch = options.scratch
        print(json.dumps(child(options.way, options.folder, scratch / "queries.npy", scratch / "usearch.index")))
        return
    kept = json.loads(options.output.read_text()) if options.output.exists() else {}
    if options.what == "speed":
        kept.setdefault("speed", [])
        known = {(one["rows"], one["numbers"]) for one in kept["speed"]}  # a run that was stopped goes on
        for rows, numbers in (size for size in SIZES if size not in known):
            scratch = Path(tempfile.mkdtemp(dir=options.scratch))
            try:
                kept["speed"].append(measure_speed(rows, numbers, scratch, rows * numbers <= options.most_indexed))
            finally:
                shutil.rmtree(scratch)
            _keep(kept, options.output)
    elif options.what == "precision":
        kept["precision"] = measure_precision(options.data, options.cache, options.small)
        _keep(kept, options.output)
    else:
        write_page(kept, options.page)


def _keep(values: dict[str, Any], path: Path) -> None:
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    main()
