"""``progress.json``: the finished steps of a training, so that a killed one can continue."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ecotf.errors import ConfigError

PROGRESS = "progress.json"


def new_progress(recipe_name: str, steps: Sequence[str]) -> dict[str, Any]:
    """Make the progress of a run that has just begun."""
    return {
        "recipe": recipe_name,
        "started": datetime.now(UTC).isoformat(),
        "finished": None,
        "complete": False,
        "steps": list(steps),
        "done": {},
        "files": [],
    }


def read_progress(path: Path) -> dict[str, Any]:
    """Read the progress of the run folder ``path``.

    Raises
    ------
    ConfigError
        No such folder, not a run folder, or a damaged file.
    """
    if not path.is_dir():
        raise ConfigError(f"{path}: {'not a folder' if path.exists() else 'there is no such run folder'}")
    try:
        progress = json.loads((path / PROGRESS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: not a run folder (it has no {PROGRESS})") from None
    except OSError as error:
        raise ConfigError(f"{path / PROGRESS}: cannot be read ({error.strerror})") from None
    except ValueError:
        progress = None
    if not isinstance(progress, dict) or not progress.keys() >= new_progress("", ()).keys():
        raise ConfigError(f"{path / PROGRESS}: damaged, the run cannot be used; train again")
    return progress
