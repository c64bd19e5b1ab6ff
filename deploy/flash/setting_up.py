"""``init``: from a board with an operating system to a recorder that waits for its first bundle. Safe to run again."""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ecotf_recorder.releases.signature import read_public_key

from deploy.flash import RECORDER
from deploy.flash.connection import Connection
from deploy.flash.devices import Device
from deploy.flash.errors import DeviceError
from deploy.flash.flashing import Progress, Result, Say
from deploy.flash.login import Login, connect
from deploy.flash.release_manager import Line, RecorderPlace, parse_line
from deploy.flash.wheels import Board, build_recorder_wheel, download_wheels
from ecotf.errors import ConfigError, EcotfError

HERE = Path(__file__).parent
_ASK_BOARD = (
    "import json, platform, sys; print(json.dumps([platform.machine(), sys.version_info[:2], platform.libc_ver()[1]]))"
)


@dataclass(frozen=True)
class SetupChoices:
    """Settings of ``init``.

    ``wheels`` is a folder of wheels instead of downloads; ``offline`` uploads all wheels, for boards without internet.
    """

    config: Path | None = None
    trust: tuple[Path, ...] = ()
    offline: bool = False
    wheels: Path | None = None

    def check(self) -> None:
        """Refuse files that are not there, or are no public keys.

        Raises
        ------
        ConfigError
            The first that cannot be used.
        """
        if self.config is not None and not self.config.is_file():
            raise ConfigError(f"{self.config}: no such file")
        if self.wheels is not None and not self.wheels.is_dir():
            raise ConfigError(f"{self.wheels}: no such folder")
        for key in self.trust:
            try:
                read_public_key(key)
            except (OSError, ValueError) as error:
                raise ConfigError(f"--trust {error}") from None


class RecorderSetup:
    """Sets recorders up; the recorder's wheel is built once for all of them."""

    def __init__(self, login: Login, place: RecorderPlace, choices: SetupChoices, scratch: Path) -> None:
        self.login = login
        self.place = place
        self.choices = choices
        self.scratch = scratch
        self.wheel = build_recorder_wheel(scratch)

    def set_up(self, device: Device, say: Say) -> Result:
        """Set one up; a failure is a result, not an error."""
        say(Progress("connect"))
        try:
            with connect(device, self.login) as connection, tempfile.TemporaryDirectory(dir=self.scratch) as folder:
                board = _ask_board(connection)
                board.check()
                say(Progress("wheels"))
                uploads = self._collect(Path(folder), board)
                self._install(connection, uploads, say)
        except EcotfError as error:
            return Result(device, "failed", str(error))
        return Result(device, "done")

    def _collect(self, folder: Path, board: Board) -> list[Path]:
        shutil.copy(self.wheel, folder)
        if self.choices.wheels is not None:
            for wheel in self.choices.wheels.glob("*.whl"):
                shutil.copy(wheel, folder)
        elif self.choices.offline:
            download_wheels(self.wheel, board, folder)
        collect_files(self.choices, folder)
        return sorted(folder.iterdir())

    def _install(self, connection: Connection, uploads: list[Path], say: Say) -> None:
        there = connection.ask(["mktemp", "-d"])
        if not there:
            raise DeviceError("there is no room for a temporary folder; is the disk full?")
        try:
            size = sum(path.stat().st_size for path in uploads)
            files = {f"{there}/{path.name}": path for path in uploads}
            connection.upload(files, lambda done: say(Progress("upload", "", done / size)))
            offline = ["--offline"] if self.choices.offline or self.choices.wheels is not None else []
            words = ["python3", f"{there}/on_recorder.py", "--root", self.place.root, "--from", there, *offline]
            _run_setup(connection, words, lambda line: say(Progress(line["step"], line["detail"])))
        finally:
            with contextlib.suppress(DeviceError):
                connection.ask(["rm", "-rf", "--", there])


def collect_files(choices: SetupChoices, folder: Path) -> None:
    """Copy all that ``on_recorder.py`` needs beside the wheels into ``folder``, and itself."""
    for unit in (HERE / "units").iterdir():
        shutil.copy(unit, folder)
    shutil.copy(RECORDER / "ecotf-recorder.service", folder)
    shutil.copy(RECORDER / "config.toml", folder / "config.example.toml")
    if choices.config is not None:
        shutil.copy(choices.config, folder / "config.toml")
    for key in choices.trust:
        shutil.copy(key, folder)
    shutil.copy(HERE / "on_recorder.py", folder)


def add_setup_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``init`` that say what a recorder gets, which ``image`` has, too."""
    parser.add_argument("--config", metavar="FILE", type=Path, help="config.toml for it (an example, if it has none)")
    trust = "ed25519 public key (.pub); from then on only bundles signed with it are accepted"
    parser.add_argument("--trust", metavar="FILE", type=Path, action="append", default=[], help=trust)
    parser.add_argument("--wheels", metavar="FOLDER", type=Path, help="upload these packages and download none")


def _ask_board(connection: Connection) -> Board:
    said = connection.ask(["python3", "-c", _ASK_BOARD])
    if said is None:
        raise DeviceError("there is no python3; on the recorder: sudo apt install python3-venv")
    machine, python, glibc = json.loads(said)
    parts = [int(part) for part in glibc.split(".")[:2] if part.isdecimal()]
    return Board(machine, (python[0], python[1]), (parts[0], parts[1]) if len(parts) == 2 else (0, 0))


def _run_setup(connection: Connection, words: list[str], hear: Callable[[Line], None]) -> None:
    end: Line = {}

    def take(text: str) -> None:
        nonlocal end
        line = parse_line(text)
        if line is not None and line["step"] == "end":
            end = line
        elif line is not None:
            hear(line)

    status, complaint = connection.run(words, take, root=True)
    if status or end.get("status") != "done":
        last = complaint.splitlines()[-1] if complaint else f"it ended with status {status}"
        raise DeviceError(str(end.get("detail") or last))
