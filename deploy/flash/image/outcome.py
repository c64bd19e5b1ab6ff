"""How the first start of a prepared card went, read from its system partition when it comes back."""

from __future__ import annotations

import json
from pathlib import Path

from ecotf_recorder.releases.bundle import ReleaseError, read_regular

from deploy.flash.image.system import SETUP

LOG = "/var/log/ecotf-setup.log"  # as ecotf-setup.service has it
_MOST_BYTES = 1 << 20
DONE = "done"


def read_outcome(card: Path) -> str:
    """Return ``done`` or what the setup was at; empty where the card was not prepared, or is its boot partition."""
    log, waiting = card / LOG.lstrip("/"), (card / SETUP.lstrip("/")).is_dir()
    if not log.is_file():
        return "has not begun; was the card in a recorder?" if waiting else ""
    try:
        lines = read_regular(log, _MOST_BYTES).decode(errors="replace").splitlines()
    except (OSError, ReleaseError) as error:
        return f"{log} cannot be read ({error})"
    said = next(filter(None, map(_said, reversed(lines))), "its log says nothing")
    return said if waiting or said == DONE else f"ended, with {said}"


def _said(line: str) -> str:
    try:
        said = json.loads(line)
        step, status, detail = str(said["step"]), str(said["status"]), str(said.get("detail", ""))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return ""
    if step == "end":
        return f"{status}: {detail}" if detail else status
    return f"was cut off at {step}; the next start tries again" if status == "started" else ""
