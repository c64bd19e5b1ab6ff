"""Whether a bundle is one for this board, and not older than what the board has."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from ecotf_recorder.releases.bundle import Bundle, ReleaseError
from ecotf_recorder.releases.settings import ReleaseSettings

_MEMINFO = "/proc/meminfo"


def board_facts(settings: ReleaseSettings) -> dict[str, Any]:
    """Return the machine, and the memory in MB that a recorder may use; None where the board does not tell it."""
    return {"machine": settings.machine or os.uname().machine, "memory_mb": _memory_mb(settings)}


def why_unfit(bundle: Bundle, machine: object, memory_mb: object) -> str:
    """Return why a bundle cannot run on a board; empty if it can, or if one of the two does not say.

    The workstation and the recorder both ask this.
    """
    if bundle.machines and isinstance(machine, str) and machine and machine not in bundle.machines:
        return f"{bundle.id} is for {' and '.join(bundle.machines)}, and this board is {machine}"
    if bundle.memory_mb and isinstance(memory_mb, (int, float)) and 0 < memory_mb < bundle.memory_mb:
        return f"{bundle.id} needs {bundle.memory_mb:.0f} MB of memory, and this board has {memory_mb:.0f} MB for it"
    return ""


def why_older(bundle: Bundle, current: str | None, created: object, name: object = "") -> str:
    """Return why a bundle is a step back from the release ``current``, made at ``created``; empty if it is none."""
    mine, theirs = _moment(bundle.created), _moment(created)
    if current in (None, bundle.id) or mine is None or theirs is None or mine >= theirs:
        return ""
    return (
        f"{bundle.id} was made on {bundle.created}, before {current} ({name or 'no name'}, {created}), which is "
        "installed; --allow-older puts it there all the same"
    )


def check_fit(settings: ReleaseSettings, bundle: Bundle, current: Bundle | None, allow_older: bool) -> None:
    """Refuse a bundle for other boards, or one that is older than the current release.

    Raises
    ------
    ReleaseError
        The reason.
    """
    reason = why_unfit(bundle, **board_facts(settings))
    if not reason and current is not None and not allow_older:
        reason = why_older(bundle, current.id, current.created, current.name)
    if reason:
        raise ReleaseError(f"{reason}; refused")


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _memory_mb(settings: ReleaseSettings) -> float | None:
    if settings.memory_mb:
        return settings.memory_mb
    try:
        with open(_MEMINFO, encoding="ascii") as file:
            total = next(int(line.split()[1]) for line in file if line.startswith("MemTotal:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return None
    return round(max(0.0, total * 1024 / 1e6 - settings.system_mb), 1)
