"""The release manager on the recorder, spoken to through a connection: its commands, and its lines of JSON."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from deploy.flash.connection import Connection
from deploy.flash.errors import ConnectionLost, DeviceError

Line = dict[str, Any]


@dataclass(frozen=True)
class RecorderPlace:
    """Paths of ecotf on the recorder; ``root`` is another folder than ``/`` in tests."""

    root: str = "/"

    @property
    def python(self) -> str:
        """The recorder's Python."""
        return str(PurePosixPath(self.root) / "opt/ecotf/bin/python")

    def releases(self, *arguments: str) -> list[str]:
        """The words of a command of the release manager; ``-I`` because a home folder is no place for modules."""
        root = [] if self.root == "/" else ["--root", self.root]
        return [self.python, "-I", "-m", "ecotf_recorder.releases", *root, *arguments]


def ask_recorder(
    connection: Connection,
    place: RecorderPlace,
    arguments: list[str],
    hear: Callable[[Line], None] = lambda line: None,
    stop: threading.Event | None = None,
    silence_s: float | None = None,
) -> list[Line]:
    """Run a command of the release manager and return its lines; ``hear`` gets each as it comes.

    Raises
    ------
    DeviceError
        It cannot be run there, or says that it cannot be done.
    ConnectionLost
        The connection broke meanwhile.
    """
    lines: list[Line] = []

    def take(text: str) -> None:
        line = parse_line(text)
        if line is not None:
            lines.append(line)
            hear(line)

    words, limit = place.releases(*arguments), {} if silence_s is None else {"silence_s": silence_s}
    status, complaint = connection.run(words, take, stop, root=True, **limit)
    if status < 0:
        raise ConnectionLost("the connection broke")
    ended = lines[-1] if lines and lines[-1].get("step") == "end" else None
    if ended and ended.get("status") in ("failed", "busy"):
        raise DeviceError(str(ended.get("detail", "it does not say why")))
    if not lines and status != 0:
        if status in (126, 127) or "command not found" in complaint or "No such file" in complaint:
            raise DeviceError(f"{place.python} is not there; set the recorder up with ecotf flash init")
        if "invalid choice" in complaint or "unrecognized arguments" in complaint:
            raise DeviceError(f"its software is too old for {arguments[0]}; flash_device.py init updates it")
        raise DeviceError(complaint.splitlines()[-1] if complaint else f"{arguments[0]} ended with status {status}")
    return lines


def text_of(value: object, instead: str = "-") -> str:
    """What a recorder said as a text; ``instead`` where it said nothing, or something else."""
    return value if isinstance(value, str) and value else instead


def number_of(value: object, instead: float = 0.0) -> float:
    """What a recorder said as a number; ``instead`` where it said nothing, or something else."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15
    return float(value) if good else instead  # type: ignore[arg-type]


def mapping_of(value: object) -> Line:
    """What a recorder said as a mapping; empty where it said something else."""
    return value if isinstance(value, dict) else {}


def parse_line(text: str) -> Line | None:
    """A line of JSON about a step, or None for anything else that was printed."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) and "step" in line else None
