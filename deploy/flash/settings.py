"""``config`` and ``logs``: what recorders are set to and what they say, from here."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from deploy.flash.connection import Connection
from deploy.flash.devices import Device
from deploy.flash.errors import DeviceError
from deploy.flash.flashing import Flasher, Progress, Result, Say
from deploy.flash.login import Login
from deploy.flash.release_manager import RecorderPlace, text_of
from deploy.flash.showing import ask_all
from ecotf.commands.console import console, log, plain
from ecotf.errors import ConfigError


def read_changes(stated: Sequence[str], taken_away: Sequence[str]) -> dict[str, str | None]:
    """Read ``section.key=value`` words.

    Raises
    ------
    ConfigError
        One is none, or a key is there twice.
    """
    changes: dict[str, str | None] = {}
    for word in stated:
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {word!r}: allowed is key=value, such as rules.hits=3")
        if key.strip() in changes:
            raise ConfigError(f"--set {key.strip()} is there twice")
        changes[key.strip()] = value.strip()
    for key in taken_away:
        if key in changes:
            raise ConfigError(f"{key}: either --set or --unset")
        changes[key] = None
    return changes


class ConfigSetter:
    """Changes the config of recorders.

    Parameters
    ----------
    table
        A table of plausible labels for them; None leaves theirs.
    """

    def __init__(
        self, login: Login, place: RecorderPlace, changes: dict[str, str | None], table: Path | None,
        stop: threading.Event,
    ) -> None:  # fmt: skip
        self._flasher = Flasher(login, place, stop)
        self._changes, self._table = changes, table

    def set(self, device: Device, say: Say) -> Result:
        """Change the config of one; a failure is a result, not an error."""
        there: list[str] = []

        def begin(connection: Connection) -> tuple[list[str], str | None]:
            words = ["config", json.dumps(self._changes)]
            if self._table is not None:
                folder = connection.ask(["mktemp", "-d"])
                if not folder:
                    raise DeviceError("there is no room for a temporary folder; is the disk full?")
                there.append(folder)
                say(Progress("upload"))
                connection.upload({f"{folder}/plausible.csv": self._table}, lambda _: None)
                words += ["--table", f"{folder}/plausible.csv"]
            return words, None

        def end(connection: Connection) -> None:
            for folder in there:
                with contextlib.suppress(DeviceError):
                    connection.ask(["rm", "-rf", "--", folder])

        return self._flasher.change(device, begin, say, end)


def show_config(devices: Sequence[Device], login: Login, place: RecorderPlace, jobs: int) -> int:
    """Print the settings of each recorder that differ from the defaults; 0 when all recorders answered."""
    table = Table("device", "setting", "value", title="config")
    bad: list[str] = []
    for device, answer in ask_all(devices, login, place, jobs, "config"):
        if isinstance(answer, DeviceError) or not answer or answer[-1].get("step") != "config":
            bad.append(f"{device}: {answer if isinstance(answer, DeviceError) else 'answers nonsense'}")
            continue
        for line in answer[:-1]:
            table.add_row(plain(device.name), plain(text_of(line.get("key"))), plain(text_of(line.get("value"))))
    console.print(table)
    for note in bad:
        log(note)
    return int(bool(bad))


def show_logs(devices: Sequence[Device], login: Login, place: RecorderPlace, jobs: int, source: str, lines: int) -> int:
    """Print the last lines of a log of each recorder; 0 when all recorders answered."""
    bad = 0
    for device, answer in ask_all(devices, login, place, jobs, "logs", source, "--lines", str(lines)):
        if isinstance(answer, DeviceError) or not answer or answer[-1].get("step") != "logs":
            log(f"{device}: {answer if isinstance(answer, DeviceError) else 'answers nonsense'}")
            bad += 1
            continue
        for line in answer[:-1]:
            console.print(plain(f"{device}: {text_of(line.get('text'), '')}"), soft_wrap=True)
    return int(bad > 0)
