"""``status`` and ``list``: what recorders say of themselves, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ecotf_recorder.releases.watching import is_well
from rich.table import Table

from deploy.flash.devices import Device
from deploy.flash.errors import DeviceError
from deploy.flash.image.outcome import DONE, read_outcome
from deploy.flash.login import Login, connect
from deploy.flash.release_manager import Line, RecorderPlace, ask_recorder, mapping_of, number_of, text_of
from deploy.flash.sdcard import read_notes
from ecotf.commands.console import console, log, plain

_PATIENCE_S = 120.0  # for an answer: a slow board hashes its releases before it lists them
_SILENT_S = 60.0  # a recorder that runs writes every 10 s


def show_status(devices: Sequence[Device], login: Login, place: RecorderPlace, jobs: int) -> int:
    """Print a row for each recorder; return 0 if all are well, else 1."""
    table = Table("device", "release", "state", "backlog", "detections", "free", "previous")
    notes: list[str] = []
    well = 0
    for device, answer in ask_all(devices, login, place, jobs, "status"):
        if isinstance(answer, DeviceError):
            table.add_row(plain(device.name), "-", "[red]unreachable[/]", "-", "-", "-", "-")
            notes.append(f"{device}: {answer}")
            continue
        said = answer[-1] if answer else {}
        health = mapping_of(said.get("health"))
        if said.get("step") != "status" or (said.get("health") and not health):
            table.add_row(plain(device.name), "-", "[red]answers nonsense[/]", "-", "-", "-", "-")
            notes.append(f"{device}: answers nonsense; if its software is older, flash_device.py init updates it")
            continue
        age_s = number_of(said.get("health_age_s"))
        alive = 0 <= age_s < _SILENT_S  # below 0 it is from before the last start
        state = text_of(health.get("state"), "nothing said") if alive and not health.get("stopped") else "not running"
        current = text_of(said.get("current"))
        good = alive and is_well(health, current) and not said.get("journal")
        well += good
        table.add_row(
            plain(device.name), plain(current), f"[{'green' if good else 'red'}]{plain(state)}[/]",
            f"{number_of(health.get('backlog_s')):g} s", f"{number_of(health.get('detections')):.0f}",
            f"{number_of(said.get('free_mb')):.0f} MB", plain(text_of(said.get("previous"))),
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
    for device, answer in ask_all(devices, login, place, jobs, "list"):
        if isinstance(answer, DeviceError):
            silent.append(f"{device}: {answer}")
            table.add_row(plain(device.name), "-", "", "", "", "[red]unreachable[/]")
            continue
        for line in answer:
            marks = [mark for mark in ("current", "previous") if line.get(mark)]
            marks += [] if line.get("whole") else ["DAMAGED"]
            table.add_row(
                plain(device.name), plain(text_of(line.get("id"))), plain(text_of(line.get("name"), "")),
                plain(text_of(line.get("created"), "")), f"{number_of(line.get('bytes')) / 1e6:.1f}", ", ".join(marks),
            )  # fmt: skip
        if not answer:
            table.add_row(plain(device.name), "none", "", "", "", "")
    console.print(table)
    for note in silent:
        log(note)
    return int(bool(silent))


def show_keys(devices: Sequence[Device], login: Login, place: RecorderPlace, jobs: int, remove: str | None) -> int:
    """Print a row for each key whose bundles a recorder accepts, after removing one; 0 when all recorders did it."""
    table = Table("device", "key", "fingerprint", "unsigned bundles", title="trusted keys")
    bad: list[str] = []
    for device, answer in ask_all(devices, login, place, jobs, "keys", *(["--remove", remove] if remove else [])):
        end = answer[-1] if not isinstance(answer, DeviceError) and answer else {}
        if isinstance(answer, DeviceError) or end.get("status") != "ok":
            bad.append(f"{device}: {answer if isinstance(answer, DeviceError) else 'answers nonsense'}")
            table.add_row(plain(device.name), "[red]not done[/]", "", "")
            continue
        keys = [line for line in answer if line.get("status") == "shown"]
        unsigned = "refused" if keys or end.get("required") else "[yellow]accepted[/]"
        for line in keys or [{}]:
            name, fingerprint = text_of(line.get("key"), "none"), text_of(line.get("fingerprint"), "")
            table.add_row(plain(device.name), plain(name), plain(fingerprint), unsigned)
    console.print(table)
    for note in bad:
        log(note)
    return int(bool(bad))


def prune_releases(devices: Sequence[Device], login: Login, place: RecorderPlace, jobs: int) -> int:
    """Remove all releases but the current and the previous one; 0 when all recorders did it."""
    bad = 0
    for device, answer in ask_all(devices, login, place, jobs, "prune"):
        fine = not isinstance(answer, DeviceError) and bool(answer)
        said = answer[-1].get("detail") if fine and not isinstance(answer, DeviceError) else answer
        log(f"{device}: {said or 'answers nonsense'}")
        bad += not fine
    return int(bad > 0)


def show_notes(card: Path) -> int:
    """Print what a recorder noted on its card; 0 when it was set up and every bundle applied, 1 otherwise."""
    notes, setup = read_notes(card), read_outcome(card)
    if setup:
        log(f"setup: {setup}")
    for name, note in notes:
        log(f"{name}: {note}")
    if not notes:
        log(f"{card}: no recorder has noted anything there")
    return int(any(not name.endswith(".done") for name, _ in notes) or setup not in ("", DONE))


def ask_all(
    devices: Sequence[Device], login: Login, place: RecorderPlace, jobs: int, *words: str
) -> list[tuple[Device, list[Line] | DeviceError]]:
    """Ask every recorder one thing; its lines, or why it does not answer."""

    def ask(device: Device) -> list[Line] | DeviceError:
        try:
            with connect(device, login) as connection:
                return ask_recorder(connection, place, list(words), silence_s=_PATIENCE_S)
        except DeviceError as error:
            return error

    with ThreadPoolExecutor(jobs) as pool:
        return list(zip(devices, pool.map(ask, devices), strict=True))


def _note(said: dict[str, Any], health: dict[str, Any]) -> str:
    if said.get("busy"):
        return "a flash is going on"
    if said.get("journal"):
        journal = mapping_of(said["journal"])
        operation, step = text_of(journal.get("operation")), text_of(journal.get("step"))
        return f"{operation} was cut off at {step}; undone at the next start"
    if health.get("error"):
        return str(health["error"])
    last = mapping_of(said.get("last"))
    if last.get("status") in ("refused", "rolled-back", "undone"):
        operation, release, status, reason = (text_of(last.get(k)) for k in ("operation", "id", "status", "reason"))
        return f"last {operation} ({release}): {status}: {reason}"
    return ""
