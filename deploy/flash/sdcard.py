"""A bundle onto a memory card, for recorders that no network reaches; the recorder applies it when it starts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ecotf_recorder.releases.bundle import Bundle, ReleaseError, check_files, read_bundle
from ecotf_recorder.releases.inbox import ALLOW_OLDER

from ecotf.errors import ConfigError, EcotfError
from ecotf.files import explain_write_errors

INBOX = Path("ecotf/inbox")


def write_to_card(bundle: Bundle, card: Path, allow_older: bool = False) -> tuple[Path, list[str]]:
    """Put a bundle into the card's inbox; it has its full name there only when it is whole.

    Parameters
    ----------
    card
        Where the card is mounted: its first partition (``bootfs`` on a Raspberry Pi's), or that of the system.
    allow_older
        The recorder takes it also if its current release was made later.

    Returns
    -------
    folder : Path
    replaced : list of str
        Bundles that waited there and now do not any more.

    Raises
    ------
    ConfigError
        There is no such folder.
    EcotfError
        The card is full or cannot be written to, or gives back other bytes than were written.
    """
    if not card.is_dir():
        raise ConfigError(f"{card}: no such folder; --sdcard is where the card is mounted")
    inbox = card / INBOX
    folder = inbox / bundle.id
    part = inbox / f"{bundle.id}.part"
    with explain_write_errors(folder):
        try:
            inbox.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            for name in bundle.names:
                shutil.copyfile(bundle.folder / name, part / name)
                _sync(part / name)
            try:
                check_files(read_bundle(part))
            except ReleaseError as error:
                raise EcotfError(f"{card}: the card gives back other bytes than were written ({error})") from None
            replaced = _clear(inbox, keep=part)
            if allow_older:
                folder.with_name(folder.name + ALLOW_OLDER).touch()
            os.rename(part, folder)
            _sync(inbox)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return folder, [name for name in replaced if name != bundle.id]


def read_notes(card: Path) -> list[tuple[str, str]]:
    """Read the notes of recorders about the bundles on the card: id and note."""
    notes = sorted((card / INBOX).glob("*/result.txt"))
    return [(note.parent.name, note.read_text(encoding="utf-8", errors="replace").strip()) for note in notes]


def _clear(inbox: Path, keep: Path) -> list[str]:
    """Remove what waits or was dealt with; one card carries one bundle."""
    others = [path for path in inbox.iterdir() if path.is_dir() and path != keep and not path.name.startswith(".")]
    for path in others:
        shutil.rmtree(path)
    for path in inbox.glob(f"*{ALLOW_OLDER}"):
        path.unlink()
    return [path.name for path in others if "." not in path.name]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some card readers' file systems do not offer it for folders
    finally:
        os.close(descriptor)
