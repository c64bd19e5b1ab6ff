"""``status`` and ``list``: what recorders say of themselves, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ecotf_recorder.releases.health import is_well
from rich.table import Table

from deploy.flash.devices import Device
from deploy.flash.errors import DeviceError
from deploy.flash.login import Login, connect
from deploy.flash.recorder import Line, RecorderPlace, ask_recorder
from deploy.flash.sdcard import read_notes
from ecotf.commands.console import console, log, plain

_SILENT_S = 60.0  # a recorder that runs writes every 10 s


def show_status(devices: Sequence[Device], login: Login, place: RecorderPlace, jobs: int) -> int:
    """Print a row for each recorder; return 0 if all are well, else 1."""
    table = Table("device", "release", "state", "backlog", "detections", "free", "previous")
    notes: list[str] = []
    well = 0
    for device, answer in _ask_all(devices, login, place, jobs, "status"):
        if isinstance(answer, DeviceError):
            table.add_row(plain(device.name), "-", "[red]unreachable[/]", "-", "-", "-", "-")
            notes.append(f"{device}: {answer}")
            continue
        said = answer[-1]
        health = said.get("health") or {}
        age_s = said.get("health_age_s")
        alive = age_s is None or 0 <= age_s < _SILENT_S  # below 0 it is from before the last start
        state = str(health.get("state", "nothing said")) if alive and not health.get("stopped") else "not running"
        good = alive and is_well(health, said["current"]) and not said["journal"]
        well += good
        table.add_row(
            plain(device.name), plain(said["current"] or "-"), f"[{'green' if good else 'red'}]{plain(state)}[/]",
            f"{health.get('backlog_s', 0) or 0:g} s", plain(health.get("detections", "-")),
            f"{plain(said['free_mb'])} MB", plain(said["previous"] or "-"),
        )  # fmt: skip
        if note := _note(said, health):
            notes.append(f"{device}: {note}")
    console.print(table)
    for note in notes:
        log(note)
    log(f"{well} of {len(devices)} recorders well")
    return int(well < len(devices))


def show_releases(devices: Sequence[Device], login: Login, place: RecorderPlace, jobs: int) -> int:
    """Print a row for each release on each recorder; 0 when all recorders answered, 1 otherwise."""
    table = Table("device", "release", "name", "created", "MB", "", title="releases")
    silent: list[str] = []
    for device, answer in _ask_all(devices, login, place, jobs, "list"):
        if isinstance(answer, DeviceError):
            silent.append(f"{device}: {answer}")
            table.add_row(plain(device.name), "-", "", "", "", "[red]unreachable[/]")
            continue
        for line in answer:
            marks = [mark for mark in ("current", "previous") if line[mark]] + ([] if line["whole"] else ["DAMAGED"])
            table.add_row(
                plain(device.name), plain(line["id"]), plain(line.get("name", "")), plain(line.get("created", "")),
                f"{line.get('bytes', 0) / 1e6:.1f}", ", ".join(marks),
            )  # fmt: skip
        if not answer:
            table.add_row(plain(device.name), "none", "", "", "", "")
    console.print(table)
    for note in silent:
        log(note)
    return int(bool(silent))


def show_notes(card: Path) -> int:
    """Print what a recorder noted on its card; 0 when every bundle there was applied, 1 otherwise."""
    notes = read_notes(card)
    for name, note in notes:
        log(f"{name}: {note}")
    if not notes:
        log(f"{card}: no recorder has noted anything there")
    return int(any(not name.endswith(".done") for name, _ in notes))


def _ask_all(
    devices: Sequence[Device], login: Login, place: RecorderPlace, jobs: int, command: str
) -> list[tuple[Device, list[Line] | DeviceError]]:
    def ask(device: Device) -> list[Line] | DeviceError:
        try:
            with connect(device, login) as connection:
                return ask_recorder(connection, place, [command])
        except DeviceError as error:
            return error

    with ThreadPoolExecutor(jobs) as pool:
        return list(zip(devices, pool.map(ask, devices), strict=True))


def _note(said: dict[str, Any], health: dict[str, Any]) -> str:
    if said["busy"]:
        return "a flash is going on"
    if said["journal"]:
        return f"{said['journal']['operation']} was cut off at {said['journal']['step']}; undone at the next start"
    if health.get("error"):
        return str(health["error"])
    last = said.get("last") or {}
    if last.get("status") in ("refused", "rolled-back", "undone"):
        return f"last {last['operation']} ({last['id']}): {last['status']}: {last['reason']}"
    return ""
