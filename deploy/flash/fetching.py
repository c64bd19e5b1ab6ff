"""What recorders wrote, brought home: only what is new, with checksums, and going on where a fetch was cut off."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import re
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

from ecotf_recorder.releases.fetching import CLIPS, PIECE_BYTES, is_plain_path

from deploy.flash.connection import Connection
from deploy.flash.devices import Device
from deploy.flash.errors import DeviceError
from deploy.flash.flashing import Progress, Result, Say
from deploy.flash.login import Login, connect
from deploy.flash.release_manager import Line, RecorderPlace, ask_recorder
from ecotf.errors import ConfigError, EcotfError
from ecotf.files import atomic_file, explain_write_errors, lock

NOTES = "fetched.json"
_AT_ONCE_BYTES, _AT_ONCE_FILES = 16 << 20, 200
_PATIENCE_S = 300.0  # a slow board hashes what is here already before it sends the rest
_NONSENSE = "answers nonsense; if its software is older, flash_device.py init updates it"


@dataclass
class _Wanted:
    """A file of a recorder on its way here: as it is there, and how much of it is here."""

    name: str
    size: int
    changed_ns: int
    target: Path
    have: int = 0

    def __post_init__(self) -> None:
        self.part = self.target.with_name(f".{self.target.name}.part")
        self.hash = hashlib.sha256()
        self.find()

    def find(self) -> None:
        """Look how much is here, in a part that was cut off or in the file that is to grow."""
        self.grows = not self.part.exists() and self.target.exists()
        place = self.target if self.grows else self.part
        self.have, self.hash = 0, hashlib.sha256()
        if place.exists() and place.stat().st_size <= self.size:
            with open(place, "rb") as file:
                while piece := file.read(PIECE_BYTES):
                    self.hash.update(piece)
                    self.have += len(piece)

    def take(self, at: int, piece: bytes) -> None:
        """Write a piece behind what is here; at the beginning, all is written anew beside it."""
        if at not in (0, self.have) or at + len(piece) > self.size:
            raise DeviceError(f"{self.name}: {_NONSENSE}")
        if at == 0:
            self.grows, self.have, self.hash = False, 0, hashlib.sha256()
        with explain_write_errors(self.target):
            self.target.parent.mkdir(parents=True, exist_ok=True)
            with open(self.target if self.grows else self.part, "wb" if at == 0 else "ab") as file:
                file.write(piece)
        self.hash.update(piece)
        self.have += len(piece)

    def check(self, sha256: object) -> None:
        """Compare all that is here with what the recorder has; what differs is fetched anew the next time."""
        if self.hash.hexdigest() == sha256:
            return
        self.part.unlink(missing_ok=True)
        if self.grows:
            os.truncate(self.target, 0)
        raise DeviceError(f"{self.name}: its checksum is not the recorder's; fetch again")

    def finish(self) -> None:
        """Give it its name. A table that began anew there is no reason to lose the rows of the one before."""
        if self.grows:
            return
        with explain_write_errors(self.target):
            self.target.parent.mkdir(parents=True, exist_ok=True)
            if not self.part.exists():
                self.part.touch()  # an empty file
            if self.target.suffix == ".csv" and self.target.exists() and not _begin_alike(self.target, self.part):
                places = (self.target.with_name(f"{self.target.stem}.kept-{n}.csv") for n in count(1))
                os.rename(self.target, next(place for place in places if not place.exists()))
            os.replace(self.part, self.target)


class Fetcher:
    """Fetches from recorders.

    Parameters
    ----------
    output
        A folder for each recorder is made in it.
    clips
        Whether the sound comes, too.
    stop
        When set, no further files are asked for.
    """

    def __init__(self, login: Login, place: RecorderPlace, output: Path, clips: bool, stop: threading.Event) -> None:
        self.login, self.place = login, place
        self.output, self.clips, self.stop = output, clips, stop

    def folders(self, devices: Sequence[Device]) -> dict[Device, Path]:
        """The folder of each recorder.

        Raises
        ------
        ConfigError
            Two of them would have the same, or the output cannot be one.
        """
        if self.output.exists() and not self.output.is_dir():
            raise ConfigError(f"--output {self.output}: not a folder")
        found: dict[Path, Device] = {}
        for device in devices:
            folder = self.output / (re.sub(r"[^\w.@ -]+", "_", device.name).strip(". ") or "_")
            if folder in found:
                raise ConfigError(f"{found[folder]} and {device} would both have the folder {folder}; rename one")
            found[folder] = device
        return {device: folder for folder, device in found.items()}

    def fetch(self, device: Device, folder: Path, say: Say) -> Result:
        """Fetch from one; a failure is a result, not an error."""
        say(Progress("connect"))
        fetched = 0
        try:
            with explain_write_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
            with lock(folder / ".lock", "another fetch writes there"), connect(device, self.login) as connection:
                notes = _read_notes(folder / NOTES)
                wanted = self._wanted(connection, folder, notes)
                total = sum(one.size - one.have for one in wanted) or 1
                files = len(wanted)
                while wanted and not self.stop.is_set():
                    fetched += self._bring(connection, wanted, notes)
                    _write_notes(folder / NOTES, device, notes)
                    say(Progress("fetch", "", min(1.0, fetched / total)))
                _write_notes(folder / NOTES, device, notes)
        except EcotfError as error:
            return Result(device, "failed", str(error), note=f"{fetched / 1e6:.1f} MB came; fetch again to go on")
        if wanted:
            return Result(device, "failed", f"stopped; {len(wanted)} files are left")
        return Result(device, "done", note=f"{files} files were new or had grown, {fetched / 1e6:.1f} MB")

    def _wanted(self, connection: Connection, folder: Path, notes: dict[str, Any]) -> list[_Wanted]:
        """What is there and not here."""
        lines = ask_recorder(connection, self.place, ["files"], silence_s=_PATIENCE_S)
        if not lines or lines[-1].get("step") != "files":
            raise DeviceError(_NONSENSE)
        found = []
        for line in lines[:-1]:
            name, size, changed_ns = line.get("name"), line.get("size"), line.get("changed_ns")
            if not (isinstance(name, str) and isinstance(size, int) and isinstance(changed_ns, int)):
                raise DeviceError(_NONSENSE)
            if not is_plain_path(name) or name == NOTES or size < 0:
                raise DeviceError(_NONSENSE)
            target = folder / name
            if name.startswith(f"{CLIPS}/") and not self.clips:
                continue
            if notes.get(name) != [size, changed_ns] or not target.exists() or target.stat().st_size != size:
                found.append(_Wanted(name, size, changed_ns, target))
        return found

    def _bring(self, connection: Connection, wanted: list[_Wanted], notes: dict[str, Any]) -> int:
        """Ask for some of the files, and take those that are whole from the list; returns the bytes that came."""
        asked: dict[str, _Wanted] = {}
        left = _AT_ONCE_BYTES
        for one in islice(wanted, _AT_ONCE_FILES):
            if left <= 0:
                break
            asked[one.name] = one
            left -= one.size - one.have
        came = 0
        ended: set[str] = set()

        def hear(line: Line) -> None:
            nonlocal came
            one = asked.get(str(line.get("name")))
            if one is None or one.name in ended:
                return
            if line["step"] == "piece":
                piece = _unpack(line.get("data"))
                came += len(piece)
                one.take(line.get("at", -1), piece)
            elif line["step"] == "sent":
                one.check(line.get("sha256"))
                ended.add(one.name)
                if one.have >= one.size:
                    one.finish()
                    notes[one.name] = [one.size, one.changed_ns]
                    wanted.remove(one)
            elif line["step"] == "absent":  # a clip that gave way meanwhile
                ended.add(one.name)
                wanted.remove(one)

        before = {name: one.have for name, one in asked.items()}
        words = [[one.name, one.have, one.hash.hexdigest(), one.size] for one in asked.values()]
        ask_recorder(connection, self.place, ["send", json.dumps(words)], hear, self.stop, _PATIENCE_S)
        stuck = [name for name, one in asked.items() if one in wanted and one.have == before[name]]
        if len(ended) < len(asked) or (stuck and not came):
            raise DeviceError(f"{next(iter(set(asked) - ended), stuck[0] if stuck else '')}: did not come whole")
        return came


def _unpack(data: object) -> bytes:
    try:
        packed = base64.b64decode(str(data), validate=True)
        opened = zlib.decompressobj()
        piece = opened.decompress(packed, PIECE_BYTES)
    except (ValueError, zlib.error):
        raise DeviceError(_NONSENSE) from None
    if not opened.eof:
        raise DeviceError(_NONSENSE)
    return piece


def _begin_alike(one: Path, other: Path) -> bool:
    """Whether two tables have the same first row but for names and times, which a clock that is set later changes.

    It changes none of those of files, which may be alike in all else.
    """
    rows, part = [], slice(None) if one.stem == "files" else slice(1, 3)
    for path in (one, other):
        with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows.append([row[part] for row in islice(csv.reader(file), 2)][1:])
    return rows[0] == rows[1] or not rows[0]


def _read_notes(path: Path) -> dict[str, Any]:
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return files if isinstance(files, dict) else {}


def _write_notes(path: Path, device: Device, files: dict[str, Any]) -> None:
    with atomic_file(path) as partial:
        partial.write_text(json.dumps({"recorder": device.name, "files": files}, indent=0) + "\n", encoding="utf-8")
