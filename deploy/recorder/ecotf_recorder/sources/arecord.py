"""``arecord``: which device a name stands for, the command, and what its complaints mean."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from ecotf_recorder.errors import SourceError

_CARD = re.compile(r"^card \d+: (?P<id>\S+) \[(?P<name>.*?)\], device (?P<device>\d+): (?P<rest>.*)$", re.MULTILINE)
_INACCURATE = re.compile(r"rate is not accurate \(requested = (\d+)Hz, got = (\d+)Hz\)")
_OVERRUN = re.compile(r"overrun!!!(?: \(at least ([\d.]+) ms long\))?")
_SPECIAL = re.compile(r"[:=]|^(default|null|peak)$")
_PATIENCE_S = 5.0


def find_device(name: str) -> str:
    """The ALSA name of a device: itself (``hw:1,0``), or that of the one card whose line in ``arecord -l`` holds it.

    A card keeps its name when it is plugged in again; its number may change.

    Raises
    ------
    SourceError
        No card has it, or several; or there is no arecord.
    """
    if _SPECIAL.search(name):
        return name
    listing = _run(["arecord", "-l"])
    cards = list(_CARD.finditer(listing))
    found = [card for card in cards if name.lower() in card[0].lower()]
    if len(found) == 1:
        return f"hw:CARD={found[0]['id']},DEV={found[0]['device']}"
    if found:
        names = "; ".join(card[0] for card in found)
        raise SourceError(f"several microphones are called {name!r}: {names}; give source.device more exactly")
    present = ", ".join(f"{card['id']} [{card['name']}]" for card in cards) or "none"
    raise SourceError(f"no microphone called {name!r} is plugged in; present: {present}")


def command(device: str, sample_rate: int, channels: int) -> list[str]:
    """Return the command: raw 16-bit samples on standard output, with a second of room in the driver."""
    form = ["-f", "S16_LE", "-c", str(channels), "-r", str(sample_rate)]
    return ["arecord", "-D", device, "-t", "raw", *form, "--buffer-time=1000000", "-"]


def environment() -> dict[str, str]:
    """In which arecord speaks English."""
    return {**os.environ, "LC_ALL": "C"}


def wrong_rate(line: str) -> int | None:
    """The rate that a device takes instead, if a line of arecord says so; it then records at that rate all the same."""
    found = _INACCURATE.search(line)
    return int(found[2]) if found else None


def overrun_s(line: str) -> float | None:
    """Read the length of a driver's overrun, in seconds, if a line of arecord reports one."""
    found = _OVERRUN.search(line)
    return float(found[1] or 0) / 1000 if found else None


def explain(lines: list[str], device: str, sample_rate: int, channels: int) -> str:
    """One line from what arecord said before it ended."""
    got = next((rate for rate in map(wrong_rate, lines) if rate), None)
    said = [line.strip() for line in lines if line.strip() and not line.startswith("Recording ")]
    if got is not None:
        rates = allowed_rates(device, channels) or f"{got} Hz"
        return f"{device} does not record at {sample_rate} Hz; allowed: {rates}; the model is for {sample_rate} Hz"
    if any("bad speed value" in line for line in said):
        return f"this arecord is too old for {sample_rate} Hz; alsa-utils 1.2.8 (Debian 12) goes up to 768000 Hz"
    if any("Channels count non available" in line for line in said):
        return f"{device} does not record {channels} channels; set source.channels"
    if any("No such file" in line or "No such device" in line for line in said):
        return f"{device} is not there: unplugged?"
    if any("Device or resource busy" in line for line in said):
        return f"{device} is in use by another program"
    return f"{device}: arecord ended ({said[-1] if said else 'it said nothing'})"


def allowed_rates(device: str, channels: int) -> str:
    """The rates of a device from ``--dump-hw-params``; empty if it gives none."""
    probe = ["arecord", "-D", device, "--dump-hw-params", "-d", "1", "-t", "raw", "-f", "S16_LE", "-c", str(channels)]
    try:
        text = _run([*probe, "/dev/null"])
    except SourceError:
        return ""
    found = re.search(r"^RATE:\s*(.+)$", text, re.MULTILINE)
    if not found:
        return ""
    ends = re.fullmatch(r"[\[(](\d+) (\d+)[\])]", found[1].strip())
    return f"{ends[1]} to {ends[2]} Hz" if ends else f"{found[1].strip().strip('{}')} Hz"


def _run(arguments: list[str]) -> str:
    if shutil.which(arguments[0]) is None:
        raise SourceError("arecord is not installed; run: sudo apt install alsa-utils")
    try:
        done = subprocess.run(
            arguments, capture_output=True, text=True, errors="replace", env=environment(), timeout=_PATIENCE_S,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout + done.stderr
