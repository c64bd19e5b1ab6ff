"""The folder of a search: what it was begun with, and that one search at a time is in it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ecotf.config import read_yaml
from ecotf.datasets.manifest import Manifest, write_manifest
from ecotf.errors import ConfigError
from ecotf.files import atomic_file, explain_write_errors, lock, unlock
from ecotf.tasks.base import get_task
from ecotf.tasks.recipes import parse_trainable, recipe_text
from ecotf.tuning.folder_objective import RUNNING
from ecotf.tuning.journal import NAME, Identity
from ecotf.tuning.search import Start

if TYPE_CHECKING:
    from ecotf.tasks.recipes import AnyRecipe


@dataclass(frozen=True)
class Begun:
    """The settings that a search was started with: ``recipe.yaml`` and ``search.json``."""

    recipe: AnyRecipe
    starts: list[Start]
    jobs: int

    @classmethod
    def read(cls, folder: Path) -> Begun | None:
        """Read the settings of the search in ``folder``; None where there is no search."""
        recipe, facts = folder / "recipe.yaml", folder / "search.json"
        if not recipe.exists() or not facts.exists():
            if (folder / NAME).exists():
                raise ConfigError(f"{folder}: it holds {NAME} but not what the search was begun with; copy all of it")
            return None
        try:
            values = json.loads(facts.read_text())
            starts = [Start(**start) for start in values["starts"]]
            jobs = int(values["jobs"])
        except (ValueError, LookupError, TypeError):
            raise ConfigError(f"{facts}: damaged; copy it again, or begin in another --output") from None
        return cls(parse_trainable(read_yaml(recipe), str(recipe)), starts, jobs)


class SearchFolder:
    """A folder that one search at a time works in; the lock ends with the process, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: IO[str] | None = None

    def __enter__(self) -> SearchFolder:
        with explain_write_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        busy = f"{self.path}: another search is running in it (process {{pid}}); stop it or wait for it"
        self._held = lock(self.path / ".lock", busy)
        for folder in (self.path, *filter(Path.is_dir, self.path.iterdir())):
            for left in folder.glob(".partial-*"):
                left.unlink() if left.is_file() else shutil.rmtree(left)
        return self

    def __exit__(self, *_: object) -> None:
        if self._held is not None:
            unlock(self._held)

    def begin(self, begun: Begun, manifest: Manifest) -> None:
        """Write down what is searched, so that ``--resume`` needs nothing else; raises `ConfigError`."""
        if not self.is_begun and (self.path / "manifest.csv").exists():
            raise ConfigError(f"{self.path}: holds a manifest.csv and no search; give another --output")
        with atomic_file(self.path / "recipe.yaml") as partial:
            partial.write_text(recipe_text(begun.recipe), encoding="utf-8")
        with atomic_file(self.path / "search.json") as partial:
            partial.write_text(json.dumps({"jobs": begun.jobs, "starts": [asdict(start) for start in begun.starts]}))
        write_manifest(manifest, self.path / "manifest.csv")

    @property
    def is_begun(self) -> bool:
        """Whether it says what is searched."""
        return (self.path / "search.json").exists()

    def drop_leftovers(self, finished: Sequence[int]) -> None:
        """Remove the working folders of trials that are recorded."""
        for number in finished:
            shutil.rmtree(self.path / RUNNING / f"{number:05d}", ignore_errors=True)


def identity_of(recipe: AnyRecipe, starts: Sequence[Start], manifest: Manifest) -> Identity:
    """Return the parts that must be equal in two equal searches; the budget and the number of jobs may change."""
    config = recipe.tuning
    assert config is not None
    return {
        "recipe": _digest(recipe.model_dump(mode="json", exclude={"tuning", "name", "description"})),
        "space": _digest([[key, expression.model_dump(mode="json")] for key, expression in config.space.items()]),
        "metric": _digest([config.metric, config.direction]),
        "seed": _digest(config.seed),
        "startup": _digest(config.startup),
        "early stopping": _digest(None if config.stopping is None else config.stopping.model_dump()),
        "starting points": _digest([asdict(start) for start in starts]),
        "data": _digest(_facts_of(manifest, get_task(recipe.task).searchable(recipe).columns)),
    }


def _facts_of(manifest: Manifest, more: tuple[str, ...] | None) -> list[Any]:
    """List the annotations and the splits, and of each recording the name and size of its file, not its folder.

    ``more`` are columns that decide what is learned, besides the usual ones; None takes all that there are.
    """
    columns = ["start_s", "end_s", "low_hz", "high_hz", "label", "weight", "split"]
    table = manifest.table
    own = set(table.columns) - {*columns, "recording", "group"}
    columns += sorted(own if more is None else own & set(more))
    facts = []
    for recording, rows in table.groupby("recording", sort=False):
        path = manifest.path_of(str(recording))
        facts.append([path.name, os.path.getsize(path), rows[columns].to_csv(index=False)])
    return facts


def _digest(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=12).hexdigest()
