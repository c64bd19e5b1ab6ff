"""Many recorders at once: a row for each, one bad one stopping no other, and a table that accounts for all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from deploy.flash.devices import Device
from deploy.flash.flashing import GOOD, Result, Say
from deploy.flash.flashing import Progress as Now
from ecotf.commands.console import console, log, plain

_COLOURS = {"done": "green", "unchanged": "green", "unknown": "yellow", "not begun": "yellow"}
_STEPS = (
    "connect", "prepare", "sending", "upload", "assemble", "check", "place", "selftest", "switch", "restart", "health",
    "commit",
)  # fmt: skip


class FleetProgress:
    """A progress row for each recorder; where there is no terminal, a line for each step."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self._bars = Progress(
            TextColumn("{task.fields[name]}"), BarColumn(bar_width=20), TextColumn("{task.fields[step]}"),
            TimeElapsedColumn(), console=console, disable=not console.is_terminal,
        )  # fmt: skip
        self._rows: dict[Device, TaskID] = {
            device: self._bars.add_task("", total=len(_STEPS), name=plain(device.name), step="waiting")
            for device in devices
        }
        self._last: dict[Device, str] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> FleetProgress:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def say(self, device: Device) -> Say:
        """Return the function to which one recorder's worker reports."""

        def show(now: Now) -> None:
            with self._lock:
                at = _STEPS.index(now.step) + (now.fraction or 0.0) if now.step in _STEPS else None
                text = f"{now.step} {now.fraction:.0%}" if now.fraction is not None else f"{now.step} {now.detail}"
                self._bars.update(self._rows[device], completed=at, step=plain(text.strip()))
                # Each step once; what init and a broken connection have to say besides, too.
                line = now.step if now.step in (*_STEPS, "undo") else f"{now.step}: {now.detail}".rstrip(": ")
                if self._bars.disable and self._last.get(device) != line:
                    console.print(plain(f"{device}: {line}"))
                self._last[device] = line

        return show

    def end(self, result: Result) -> None:
        """Fill the row of a recorder that is dealt with."""
        colour = _COLOURS.get(result.outcome, "red")
        self._bars.update(
            self._rows[result.device], completed=len(_STEPS), step=f"[{colour}]{plain(result.outcome)}[/]"
        )


@dataclass(frozen=True)
class Stages:
    """How a crate is gone through.

    Attributes
    ----------
    size
        Recorders of a stage, in the order of the list; the next stage begins when these are dealt with. 0: all at once.
    most_failures
        After so many recorders that did not take it, no other is begun; 0 for no limit. Those that do not answer are
        not counted: they say nothing about what is sent.
    """

    size: int = 0
    most_failures: int = 0


def run_fleet(
    devices: Sequence[Device],
    work: Callable[[Device, Say], Result],
    jobs: int,
    stop: threading.Event,
    stages: Stages = Stages(),
) -> list[Result]:
    """Do ``work`` for every recorder, ``jobs`` at a time; the results in the order of ``devices``.

    Ctrl-C ends the waiting, not what recorders do; those it cut short have a result all the same.
    """
    results: dict[Device, Result] = {}
    size = stages.size or len(devices)
    failures, counting = 0, threading.Lock()

    with FleetProgress(devices) as progress, ThreadPoolExecutor(jobs) as pool:

        def one(device: Device) -> Result:
            nonlocal failures
            if stop.is_set():
                return Result(device, "not begun", "it was stopped")
            if stages.most_failures and failures >= stages.most_failures:
                return Result(device, "not begun", f"{failures} recorders before it failed")
            result = Result(device, "failed")
            try:
                result = work(device, progress.say(device))
            finally:
                with counting:
                    failures += result.outcome not in GOOD and result.reached
            return result

        for first in range(0, len(devices), max(1, size)):
            tasks = {pool.submit(one, device): device for device in devices[first : first + size]}
            waiting = set(tasks)
            while waiting:
                try:
                    for task in as_completed(list(waiting)):
                        waiting.discard(task)
                        device, error = tasks[task], task.exception()
                        bug = Result(device, "failed", f"bug: {error!r}")
                        results[device] = task.result() if error is None else bug
                        progress.end(results[device])
                except KeyboardInterrupt:
                    stop.set()
    return [results[device] for device in devices]


def summarise(results: Sequence[Result], title: str) -> int:
    """Print the result of every recorder; return the exit status, 0 if all are well, else 1."""
    table = Table("device", "before", "now", "outcome", title=title)
    for result in results:
        colour = _COLOURS.get(result.outcome, "red")
        outcome = f"[{colour}]{plain(result.outcome)}[/]"
        table.add_row(plain(result.device.name), plain(result.before or "-"), plain(result.current or "-"), outcome)
    console.print(table)
    for result in results:
        if result.note:
            log(f"{result.device}: {result.note}")
        if result.reason:
            log(f"{result.device}: {result.outcome}: {result.reason}")
    bad = sum(result.outcome not in GOOD for result in results)
    log(f"{len(results) - bad} of {len(results)} recorders well, {bad} not")
    return int(bad > 0)
