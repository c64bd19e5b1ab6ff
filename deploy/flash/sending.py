"""What is sent of a bundle to one recorder: the difference to a release that it has, or all."""

from __future__ import annotations

from pathlib import Path

from ecotf_recorder.releases.bundle import MODEL, Bundle
from ecotf_recorder.releases.delta import DELTA, VERSION
from ecotf_recorder.releases.fitting import why_older, why_unfit
from ecotf_recorder.releases.uploads import manifest_digest

from deploy.flash.connection import Connection
from deploy.flash.errors import BundleRefused, ConnectionLost, DeviceError, NoDelta
from deploy.flash.release_manager import Line, RecorderPlace, ask_recorder, mapping_of

_WORTH_IT = 0.8  # a delta that is a larger part of the model than this is not sent


class Sending:
    """One bundle on its way to one recorder.

    Parameters
    ----------
    scratch
        Folder for the delta.
    why_whole
        If the whole is to be sent, the reason.
    allow_older
        Send it also if the recorder's release was made later.

    Attributes
    ----------
    note
        How much is sent, and why not less; after :meth:`files`.
    """

    def __init__(
        self, connection: Connection, place: RecorderPlace, bundle: Bundle, scratch: Path, why_whole: str = "",
        allow_older: bool = False,
    ) -> None:  # fmt: skip
        self.connection, self.place = connection, place
        self.bundle = bundle
        self.scratch = scratch
        self.note = ""
        self._why_whole, self._allow_older = why_whole, allow_older
        self._digest = manifest_digest(bundle.folder)

    def prepare(self) -> tuple[str | None, str | None]:
        """Ask for room; return the folder for the upload, None where none is needed, and the current release."""
        room = self._ask("prepare", self.bundle.id, "--size", str(self.bundle.size), "--digest", self._digest)
        self._require_fit(room)
        self._require_delta(room)
        return None if room["present"] else str(room["part"]), room.get("current")

    def look(self) -> str | None:
        """Return the current release; nothing changes there."""
        status = self._ask("status")
        self._require_fit(status)
        self._require_delta(status)
        return status.get("current")

    def files(self) -> dict[str, Path]:
        """Return the files that are sent, by their names there, the manifest last."""
        files = {name: self.bundle.folder / name for name in self.bundle.names}
        delta = None
        try:
            delta = None if self._why_whole else self._delta()
        except NoDelta as reason:
            self._why_whole = str(reason)
        if delta is not None:
            files = {delta.name if name == MODEL else name: path for name, path in files.items()}
            files[delta.name] = delta
        sent, size = sum(path.stat().st_size for path in files.values()), self.bundle.size
        if delta is not None:
            self.note = f"sent {_plain(sent)} of {_plain(size)}: the rest was there"
        elif not self.note:
            self.note = f"sent all {_plain(size)}: {self._why_whole}"
        return files

    def _delta(self) -> Path | None:
        """Write what the recorder lacks of the model; None if it lacks nothing of the bundle.

        Raises
        ------
        NoDelta
            There is no delta, or none that is worth it.
        """
        from ecotf_recorder.releases.blocks import Blocks, BlocksError  # numpy is loaded when work begins

        from deploy.flash.delta import write_delta

        try:
            said = self._ask("blocks", self.bundle.id, "--name", self.bundle.name, "--digest", self._digest)
        except ConnectionLost:
            raise
        except DeviceError as error:
            raise NoDelta(f"the recorder does not say what it has ({error})") from None
        if said.get("present"):
            self.note = "sent nothing: all of it was there"
            return None
        base = said.get("base")
        if not isinstance(base, str):
            raise NoDelta("the recorder has no model yet")
        try:
            blocks = Blocks.from_json(said)
        except BlocksError as error:
            raise NoDelta(str(error)) from None
        model, path = self.bundle.folder / MODEL, self.scratch / DELTA
        if write_delta(path, model, blocks, base) > _WORTH_IT * model.stat().st_size:
            raise NoDelta(f"it has little in common with {base}, which the recorder has")
        return path

    def _ask(self, *words: str) -> Line:
        return ask_recorder(self.connection, self.place, list(words))[-1]

    def _require_fit(self, said: Line) -> None:
        """Ask before anything is sent what the recorder will ask again; an older recorder does not say it."""
        board = mapping_of(said.get("board"))
        reason = why_unfit(self.bundle, board.get("machine"), board.get("memory_mb"))
        if not reason and not self._allow_older:
            current, created, name = (said.get(key) for key in ("current", "current_created", "current_name"))
            reason = why_older(self.bundle, current, created, name)
        if reason:
            raise BundleRefused(f"{reason}; nothing was sent")

    def _require_delta(self, said: Line) -> None:
        if said.get("delta") != VERSION and not self._why_whole:
            self._why_whole = "the recorder's software takes whole bundles only; flash_device.py init updates it"


def _plain(size: int) -> str:
    """Bytes for people."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(round(size / 1e3), 1)} KB"
