"""One bundle to one recorder: room is asked for, the files go there, and the recorder does the rest by itself."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ecotf_recorder.releases.bundle import Bundle

from deploy.flash.connection import Connection
from deploy.flash.devices import Device
from deploy.flash.errors import BundleRefused, ConnectionLost, DeviceError
from deploy.flash.login import Login, connect
from deploy.flash.release_manager import Line, RecorderPlace, ask_recorder
from deploy.flash.sending import Sending

Outcome = Literal["done", "unchanged", "refused", "rolled-back", "undone", "failed", "unknown", "not begun"]
GOOD: tuple[Outcome, ...] = ("done", "unchanged")

_FIND_AGAIN_S = 300.0
_BETWEEN_TRIES_S = 3.0


@dataclass(frozen=True)
class Result:
    """Result of one recorder.

    ``undone`` is a recorder that lost its power meanwhile and went back; ``unknown`` is one that went out of reach
    while it changed, and finishes or goes back by itself. ``note`` says how much was sent, ``step`` is the step that
    failed. ``reached`` is False where nobody answered: that says nothing about what was to be done.
    """

    device: Device
    outcome: Outcome
    reason: str = ""
    before: str | None = None
    current: str | None = None
    note: str = ""
    step: str = ""
    reached: bool = True


@dataclass(frozen=True)
class Progress:
    """Progress: a step, its message, and for an upload the part that is done (0 to 1)."""

    step: str
    detail: str = ""
    fraction: float | None = None


Say = Callable[[Progress], None]


class Flasher:
    """Changes the release of recorders.

    Parameters
    ----------
    login, place
        How to get in, and where ecotf lives there.
    stop
        When set, it no longer waits for recorders; what they do goes on.
    allow_older
        Put a bundle there also if the recorder's release was made later.
    """

    def __init__(self, login: Login, place: RecorderPlace, stop: threading.Event, allow_older: bool = False) -> None:
        self.login = login
        self.allow_older = allow_older
        self.place = place
        self.stop = stop

    def flash(self, device: Device, bundle: Bundle, say: Say) -> Result:
        """Put ``bundle`` on ``device``; a failure is a result, not an error.

        Only what the recorder lacks is sent. Where that does not give the bundle there, all of it is.
        """
        why_whole = ""
        notes: list[str] = []
        older = ["--allow-older"] if self.allow_older else []

        def send(connection: Connection) -> tuple[list[str], str | None]:
            with tempfile.TemporaryDirectory() as scratch:
                sending = Sending(connection, self.place, bundle, Path(scratch), why_whole, self.allow_older)
                part, current = sending.prepare()
                if part is None:
                    return ["apply", bundle.id, *older], current
                files = sending.files()
                say(Progress("sending", sending.note))
                notes.append(sending.note)
                size = sum(path.stat().st_size for path in files.values())

                def moved(done: int) -> None:
                    if self.stop.is_set():
                        raise ConnectionLost("stopped during the upload")
                    say(Progress("upload", "", done / size))

                connection.upload({f"{part}/{name}": path for name, path in files.items()}, moved)
            return ["apply", bundle.id, "--part", part, *older], current

        result = self.change(device, send, say)
        if result.step == "assemble":
            why_whole = result.reason
            result = self.change(device, send, say)
        return dataclasses.replace(result, note=notes[-1] if notes else "")

    def rehearse(self, device: Device, bundle: Bundle, say: Say) -> Result:
        """Say what :meth:`flash` would send; nothing changes on the recorder."""
        say(Progress("connect"))
        try:
            with connect(device, self.login) as connection, tempfile.TemporaryDirectory() as scratch:
                sending = Sending(connection, self.place, bundle, Path(scratch), "", self.allow_older)
                current = sending.look()
                sending.files()
        except BundleRefused as error:
            return Result(device, "refused", str(error))
        except DeviceError as error:
            return Result(device, "failed", str(error))
        return Result(device, "unchanged", "", current, current, sending.note.replace("sent", "would send", 1))

    def roll_back(self, device: Device, release_id: str | None, say: Say) -> Result:
        """Make the previous or a given release current."""

        def look(connection: Connection) -> tuple[list[str], str | None]:
            current = ask_recorder(connection, self.place, ["status"])[-1].get("current")
            return ["rollback", *([release_id] if release_id else [])], current

        return self.change(device, look, say)

    def change(
        self,
        device: Device,
        begin: Callable[[Connection], tuple[list[str], str | None]],
        say: Say,
        end_with: Callable[[Connection], None] = lambda connection: None,
    ) -> Result:
        """Let the recorder change something, and find out how that ended even if the connection breaks.

        Parameters
        ----------
        begin
            Gives the command, and the release that is current before it.
        end_with
            Called last, with the same connection.
        """
        token = uuid.uuid4().hex
        before: str | None = None
        begun = reached = False
        failed = ""

        def hear(line: Line) -> None:
            nonlocal failed
            failed = line["step"] if line.get("status") == "failed" else failed
            if line["step"] != "end":
                say(Progress(line["step"], line.get("detail", "")))

        say(Progress("connect"))
        try:
            with connect(device, self.login) as connection:
                reached = True
                words, before = begin(connection)
                begun = True
                end = ask_recorder(connection, self.place, [*words, "--token", token], hear, self.stop)[-1]
                end_with(connection)
            if end.get("step") != "end":
                raise DeviceError(f"the recorder did not say how it ended; its last step was {end['step']}")
            return Result(device, end["status"], end.get("detail", ""), before, end.get("current"), "", failed)
        except ConnectionLost as error:
            if begun:
                return self._find_out(device, token, say, before, str(error))
            return Result(device, "failed", str(error), before, before, reached=reached)
        except BundleRefused as error:
            return Result(device, "refused", str(error), before, before)
        except DeviceError as error:
            return Result(device, "failed", str(error), before, before, reached=reached)

    def _find_out(self, device: Device, token: str, say: Say, before: str | None, why: str) -> Result:
        say(Progress("reconnect", why))
        deadline = time.monotonic() + _FIND_AGAIN_S
        status: Line | None = None
        while not self.stop.is_set() and time.monotonic() < deadline:
            with contextlib.suppress(DeviceError), connect(device, self.login) as connection:
                status = ask_recorder(connection, self.place, ["status"])[-1]
            if status and not status["busy"]:
                break
            self.stop.wait(_BETWEEN_TRIES_S)
        if status and not status["busy"]:
            last, journal = status.get("last") or {}, status.get("journal") or {}
            if last.get("token") == token:
                return Result(device, last["status"], last.get("reason", ""), before, status.get("current"))
            if journal.get("token") != token:
                return Result(device, "failed", f"{why} before the recorder began", before, status.get("current"))
        reason = f"{why}; the recorder finishes or goes back by itself, see ecotf flash status"
        return Result(device, "unknown", reason, before)
