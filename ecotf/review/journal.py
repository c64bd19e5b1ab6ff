"""The journal of decisions: a file that only grows, from which the present state can always be made again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ecotf.append_only import AppendOnly
from ecotf.errors import ConfigError, DataError

NAME = "decisions.jsonl"
UNDO = "undo"
_FORMAT = 1
_KIND = "decisions about clips, one a line"

Decision = dict[str, Any]
"""``time`` (ISO 8601), ``what`` (name, merge, split, noise, move, accept, reject, undo), and the values of that."""


class Journal:
    """The decisions about some clips, open for more; one process at a time has it.

    Its first line says which clips the decisions are about. A decision is on the disk when `append` returns. To undo is
    a decision, too: no line is ever taken away.

    Parameters
    ----------
    path
        The file; made if absent.
    about
        A digest of the clips.

    Attributes
    ----------
    decisions
        All lines, in the order in which they were made.
    note
        That a kill had cut the last line off, which was dropped; or empty.

    Raises
    ------
    ConfigError
        The decisions are about other clips, of another format, or another program changed the file.

    Examples
    --------
    >>> import tempfile
    >>> journal = Journal(Path(tempfile.mkdtemp()) / "decisions.jsonl", "0a1b")
    >>> _ = journal.append({"what": "name", "cluster": 3, "name": "Ninox boobook"})
    >>> _ = journal.append({"what": "undo"})
    >>> [decision["what"] for decision in journal.decisions], in_force(journal.decisions)
    (['name', 'undo'], [])
    """

    def __init__(self, path: Path, about: str) -> None:
        self.decisions, self.note = read_decisions(path, about)
        header = {"ecotf": _KIND, "format": _FORMAT, "about": about}
        self._file = AppendOnly(path, _line(header))

    def append(self, values: Mapping[str, Any]) -> Decision:
        """Add a decision and wait until it is on the disk; returns it with its time.

        Raises
        ------
        EcotfError
            The disk is full, or the file is gone. It is as it was before.
        """
        decision = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **values}
        self._file.append(_line(decision))
        self.decisions.append(decision)
        return decision


def read_decisions(path: Path, about: str) -> tuple[list[Decision], str]:
    """Read the decisions at ``path``, also while a page adds to them; none where there is no file.

    Returns
    -------
    The decisions; and a line for the user where the last one was cut off by a kill, else an empty one.

    Raises
    ------
    ConfigError
        As `Journal`.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], ""
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    *lines, torn = content.split(b"\n")
    note = ""
    if torn:
        before = max(len(lines) - 1, 0)
        note = f"{path}: the last line was cut off by a kill and is dropped; the {before} before it are kept"
    if not lines:
        return [], note
    _require(_values(path, 1, lines[0]), path, about)
    decisions = [_values(path, number, line) for number, line in enumerate(lines[1:], start=2)]
    for number, decision in enumerate(decisions, start=2):
        if not isinstance(decision.get("what"), str):
            raise ConfigError(f"{path}: line {number} is no decision; another program changed the file")
    return decisions, note


def in_force(decisions: Sequence[Decision]) -> list[Decision]:
    """Return the decisions that were not undone; an undo takes back the last one that is still in force.

    Raises
    ------
    DataError
        There is nothing left to undo.
    """
    kept: list[Decision] = []
    for decision in decisions:
        if decision["what"] != UNDO:
            kept.append(decision)
        elif kept:
            kept.pop()
        else:
            raise DataError("there is nothing to undo")
    return kept


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass") + b"\n"


def _values(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: line {number} is damaged, or another program changed it")
    return values


def _require(header: Mapping[str, Any], path: Path, about: str) -> None:
    if header.get("ecotf") != _KIND:
        raise ConfigError(f"{path}: is no journal of decisions")
    if header.get("format") != _FORMAT:
        raise ConfigError(
            f"{path}: decisions of format {header.get('format')}, and this version of ecotf reads format {_FORMAT}"
        )
    if header.get("about") != about:
        raise ConfigError(
            f"{path}: these decisions are about other clips, as if the folder was made anew since; give the file "
            "another name to begin without them"
        )
