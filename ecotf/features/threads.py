"""A few threads for work that releases the interpreter lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any


@cache
def _pool(workers: int, process: int) -> ThreadPoolExecutor:
    """Kept, because starting threads takes as long as a second of sound; not across a fork, which loses them."""
    return ThreadPoolExecutor(workers, thread_name_prefix=f"spectrogram-{process}")


def in_threads(work: Callable[[int], Any], parts: int, threads: int) -> None:
    """Do ``work(0)`` to ``work(parts - 1)`` in at most ``threads`` threads, this one among them."""
    if threads < 1:
        raise ValueError(f"threads = {threads}: must be at least 1")
    workers = min(threads, parts)
    if workers < 2:
        for part in range(parts):
            work(part)
        return

    def share(first: int) -> None:
        for part in range(first, parts, workers):
            work(part)

    others = [_pool(threads - 1, os.getpid()).submit(share, first) for first in range(1, workers)]
    try:
        share(0)
    finally:
        for other in others:
            other.result()
