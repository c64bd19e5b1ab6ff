"""The command line of the release manager; what comes from a workstation is checked here before anything is done."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ecotf_recorder.releases.bundle import is_release_id
from ecotf_recorder.releases.logs import SOURCES


def make_parser(description: str) -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="python -m ecotf_recorder.releases",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--root", type=Path, default=Path("/"), help="before every path; for tests")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("init", "recover", "inbox", "status", "list", "prune", "files"):
        commands.add_parser(name)
    commands.add_parser("keys").add_argument("--remove", metavar="NAME", help="trust this key no longer")
    commands.add_parser("send").add_argument("wanted", type=_wanted)
    prepare = commands.add_parser("prepare")
    prepare.add_argument("--size", type=int, required=True, help="bytes to come")
    blocks = commands.add_parser("blocks")
    blocks.add_argument("--name", default="", help="of the bundle; a release of this name is like it")
    for asking in (prepare, blocks):
        asking.add_argument("id", type=_release_id)
        asking.add_argument("--digest", default="", help="of manifest and signature; equal means no upload is needed")
    apply = commands.add_parser("apply")
    apply.add_argument("id", type=_release_id)
    apply.add_argument("--part", help="the folder that prepare named")
    apply.add_argument("--allow-older", action="store_true", help="also if the current release was made later")
    rollback = commands.add_parser("rollback")
    rollback.add_argument("id", type=_release_id, nargs="?")
    config = commands.add_parser("config")
    config.add_argument("changes", type=_changes, nargs="?", default={})
    config.add_argument("--table", type=Path, metavar="FILE", help="of plausible labels")
    logs = commands.add_parser("logs")
    logs.add_argument("source", choices=SOURCES)
    logs.add_argument("--lines", type=int, default=50)
    for changing in (apply, rollback, config):
        changing.add_argument("--token", default="", help="said again in the last line and kept")
    return parser


def _wanted(text: str) -> list[tuple[str, int, str, int]]:
    try:
        return [(str(name), int(have), str(digest), int(end)) for name, have, digest, end in json.loads(text)]
    except (ValueError, TypeError) as error:
        raise argparse.ArgumentTypeError(f"no list of files ({error})") from None


def _changes(text: str) -> dict[str, str | None]:
    try:
        return {str(key): None if value is None else str(value) for key, value in json.loads(text).items()}
    except (ValueError, AttributeError) as error:
        raise argparse.ArgumentTypeError(f"no changes ({error})") from None


def _release_id(text: str) -> str:
    if not is_release_id(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no release id (twelve hexadecimal digits)")
    return text
