"""What is clustered: recordings, a manifest, or a folder of embeddings, told apart by what is there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ecotf.audio.discover import find_recordings, shown_name
from ecotf.datasets.manifest import Manifest, read_manifest
from ecotf.embeddings.shards import FOLDER as SHARDS
from ecotf.embeddings.store import Embeddings, open_embeddings
from ecotf.errors import ConfigError


class Input(NamedTuple):
    """What is clustered.

    Attributes
    ----------
    problems
        A line for each argument that stands for no recording.
    passed_over
        What was not taken; empty where nothing was.
    """

    what: list[Path] | Manifest | Embeddings
    problems: tuple[str, ...] = ()
    passed_over: str = ""


def open_input(arguments: Sequence[str | Path]) -> Input:
    """Open what a command line names.

    Raises
    ------
    ConfigError
        A manifest or a folder of embeddings beside something else, or no recording.
    """
    paths = [Path(one) for one in arguments]
    for path in paths:
        if path.suffix.lower() in (".csv", ".parquet") or (path / SHARDS).is_dir():
            if len(paths) > 1:
                raise ConfigError(f"{path}: give one manifest or one folder of embeddings alone, or recordings")
            return Input(open_embeddings(path) if path.is_dir() else read_manifest(path))
    found = find_recordings(arguments)
    problems = tuple(f"{shown_name(str(argument))}: {reason}" for argument, reason in found.problems)
    if not found.recordings:
        raise ConfigError(f"no recording to cluster{': ' + problems[0] if problems else ''}")
    return Input(found.recordings, problems, found.passed_over_text)
