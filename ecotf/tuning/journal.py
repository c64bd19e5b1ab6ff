"""The trials file: appended to, never rewritten; every line carries a checksum and is on disk before the next trial."""

from __future__ import annotations

import json
import os
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ecotf.append_only import AppendOnly
from ecotf.errors import ConfigError
from ecotf.files import atomic_file
from ecotf.training.run_store import Log
from ecotf.tuning.trial import Trial, trial_of

NAME = "trials.jsonl"
_FORMAT = 1
Identity = dict[str, str]
"""The parts that must be equal in two equal searches (recipe, space, metric, data, seed, ...), each as a digest."""


class Journal:
    """The finished trials of one search, in the order in which they ended.

    The first line says which search it is; each other one is a trial. A line is ``checksum json``; it is appended with
    one write and synced, so that a kill leaves it whole or absent (or, should the power fail, visibly torn).
    """

    def __init__(self, path: Path, trials: list[Trial]) -> None:
        self.path = path
        self.trials = trials

    @classmethod
    def open(cls, path: Path, identity: Identity, log: Log) -> Journal:
        """Read the trials at ``path``, or begin a new file.

        What cannot be read is set aside as ``*.corrupt-<time>``; the good trials before it are kept.

        Raises
        ------
        ConfigError
            The trials are of another search.
        """
        if not path.exists():
            _write(path, [_line({"format": _FORMAT, "search": identity})])
            return cls(path, [])
        content = path.read_bytes()
        good: list[bytes] = []
        header: dict[str, Any] | None = None
        trials: list[Trial] = []
        for line in content.splitlines(keepends=True):
            try:
                values = _read(line)
                if header is None:
                    header = dict(values["search"])
                else:
                    trials.append(trial_of(values))
            except (ValueError, KeyError, TypeError):
                break
            good.append(line)
        if header is not None:
            _require_same(path, header, identity)
        if sum(map(len, good)) < len(content) or header is None:
            aside = _set_aside(path)
            kept = f"the {len(trials)} good trials before it are kept" if trials else "no trial before it could be kept"
            log(f"{path}: line {len(good) + 1} is damaged; the file was set aside as {aside.name}, {kept}")
            _write(path, good or [_line({"format": _FORMAT, "search": identity})])
        return cls(path, trials)

    def append(self, trial: Trial) -> None:
        """Add a trial; it is on disk when this returns.

        Raises
        ------
        EcotfError
            The disk is full; the file is as it was before.
        """
        AppendOnly(self.path, b"").append(_line(trial.as_json()))
        self.trials.append(trial)


def _line(values: dict[str, Any]) -> bytes:
    text = json.dumps(values, ensure_ascii=False, allow_nan=False).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _read(line: bytes) -> dict[str, Any]:
    """Read the values of a line; ValueError where the line is damaged."""
    checksum, _, text = line.partition(b" ")
    if not line.endswith(b"\n") or int(checksum, 16) != zlib.crc32(text[:-1]):
        raise ValueError("a damaged line")
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError("not a line of ours")
    return values


def _write(path: Path, lines: list[bytes]) -> None:
    with atomic_file(path) as partial:
        partial.write_bytes(b"".join(lines))


def _set_aside(path: Path) -> Path:
    """Give the damaged file a second name; the first one is replaced in one step, so there is always a trials file."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%d_%H-%M-%S")
    aside, twin = path.with_name(f"{path.name}.corrupt-{stamp}"), 1
    while aside.exists():
        twin += 1
        aside = path.with_name(f"{path.name}.corrupt-{stamp}_{twin}")
    os.link(path, aside)
    return aside


def _require_same(path: Path, theirs: dict[str, Any], ours: Identity) -> None:
    for part, digest in ours.items():
        if theirs.get(part) != digest:
            raise ConfigError(
                f"{path}: these trials are of another search, its {part} is not the same; give the settings that it "
                "was begun with, or another --output"
            )
