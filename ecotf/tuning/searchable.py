"""The contract between a search and the task of its recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from ecotf.datasets.manifest import Manifest
from ecotf.training.run_store import Log
from ecotf.tuning.trial import Objective


class Searchable(Protocol):
    """A recipe whose settings can be searched. Each task gives one for its recipes.

    Attributes
    ----------
    judges
        Dotted keys that decide what trials are compared on; they cannot be searched.
    columns
        Columns of the manifest, besides the usual ones, that decide what is learned; None: all that there are.
    """

    judges: tuple[str, ...]
    columns: tuple[str, ...] | None

    def read(
        self, manifest: Manifest, cache: Path, threads: int, log: Log, progress: Callable[[int, int], None]
    ) -> Any:
        """Read the recordings, name and leave out those that cannot be read, split the rest; what trials share is kept.

        The result has a ``manifest`` with the splits.
        """

    def known_figures(self, data: Any) -> list[str]:
        """List the figures that a trial on these recordings reports, by judging a model that finds nothing."""

    def objective(self, folder: Path, cache: Path, threads: int, log: Log) -> Objective:
        """Make the objective of a search in ``folder``, which holds ``manifest.csv``."""

    def read_start(self, paths: Sequence[Path]) -> dict[str, Any]:
        """Read published settings to begin with, by dotted key; raises `ConfigError` where there are none for it."""

    def write_published(self, tuned: Any, folder: Path) -> list[Path]:
        """Write the tuned recipe as the published system keeps its settings; returns the files, maybe none."""
