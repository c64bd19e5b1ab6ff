"""A Spark in local-cluster mode: how its Java starts, and what it writes beside pyspark."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""For JAVA_TOOL_OPTIONS: a Java that lives for seconds spends most of them on compiling what it runs once."""


@contextmanager
def tidied() -> Iterator[None]:
    """Remove what is new there at the end of the block, but never a folder in which somebody works: executors of other
    sessions have theirs there, too, and Python cannot import anything in a folder that is gone."""
    found = importlib.util.find_spec("pyspark")
    if found is None or found.origin is None:
        yield
        return
    work = Path(found.origin).parent / "work"
    before = set(work.glob("*"))
    yield
    for left in set(work.glob("*")) - before:
        if not any(place.is_relative_to(left) for place in _places_of_work()):
            shutil.rmtree(left, ignore_errors=True)
    if work.exists() and not any(work.iterdir()):
        work.rmdir()


def _places_of_work() -> Iterator[Path]:
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            yield Path(os.readlink(folder / "cwd"))
