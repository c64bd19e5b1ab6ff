"""A season whose truth is known: six sites, thirty nights, gaps, a broken recorder, a silent one, a clock that jumped.

The job folder is written as the classifier writes it; the recordings themselves are not there unless a test makes them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from ecotf.append_only import csv_rows
from ecotf.inference.formats import Call
from ecotf.inference.ledger import Entry, Ledger, _cells
from ecotf.inference.question import Question
from ecotf.inference.records import Record, Records, _line

FIRST = datetime(2026, 6, 1)
NIGHTS = 30
SITES = ("dyke", "forest", "heath", "mill", "orchard", "pond")
SPECIES = ("Myotis daubentonii", "Nyctalus noctula", "Plecotus auritus")
# Nights, counted from 0, on which there is something other than a whole night of sound.
NOTHING = {("forest", night) for night in (4, 5, 6, 7)} | {("pond", 29)}
BROKEN = {("mill", night) for night in range(10, NIGHTS)}  # every file of it
SILENT = {("heath", night) for night in (12, 13)}
PARTLY_BROKEN = {("dyke", 3)}  # two of four files
JUMPED = {("orchard", night) for night in range(20, NIGHTS)}  # the clock is back in January
STARTS = (22, 24, 26, 28)  # hours after midnight of the evening
FILE_S = 1800.0
ZONE = timedelta(hours=2)


@dataclass
class Season:
    """What is written, and what must come out.

    ``hours``, ``state`` and ``seen`` are by (site, night); ``seen`` gives detections by species.
    """

    folder: Path
    sites: Path
    hours: dict[tuple[str, int], float] = field(default_factory=dict)
    state: dict[tuple[str, int], str] = field(default_factory=dict)
    seen: dict[tuple[str, int], dict[str, list[Call]]] = field(default_factory=dict)
    recordings: Path = Path("season")


def write_question(folder: Path, model: str = "a" * 64, **options: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    asked = {"threshold": None, "unnamed": True, "gate": False, "channel": "mix", "time_expansion": None, **options}
    Question("0.3.0", {"runs/field": model}, "bats/field", asked, ("csv",), "season").write(folder)


def write_job(folder: Path, entries: list[tuple[Entry, list[Call]]], model: str = "a" * 64, **options: object) -> Path:
    """Write a job folder as the classifier leaves it."""
    write_question(folder, model, **options)
    ledger, records = Ledger(folder / "ledger.csv").path, Records(folder / "job.jsonl").path
    rows, lines = [], []
    for entry, calls in entries:  # all at once: a file that is waited for row by row takes seconds
        if entry.status in ("done", "silent", "salvaged"):
            facts = entry.recording, entry.path, entry.files, entry.status, entry.reason, entry.duration_s
            lines.append(_line(Record(*facts, 0.0, 256_000, calls)))
        rows.append(_cells(entry._replace(n_detections=len(calls))))
    with ledger.open("ab") as file:
        file.write(csv_rows(rows))
    with records.open("ab") as file:
        file.writelines(lines)
    return folder


def write_sites(path: Path, recorder: bool = True) -> Path:
    rows = [
        {
            "site": site,
            "latitude": 50.5 + 0.02 * i,
            "longitude": 4.6 + 0.03 * i,
            "habitat": "water" if i % 2 else "wood",
        }
        | ({"recorder": f"24F3{i:04d}"} if recorder else {})
        for i, site in enumerate(SITES)
    ]
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def make_season(folder: Path, seed: int = 7) -> Season:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    season = Season(folder / "detections", write_sites(folder / "sites.csv"), recordings=folder / "season")
    entries: list[tuple[Entry, list[Call]]] = []
    for number, site in enumerate(SITES):
        for night in range(NIGHTS):
            key = (site, night)
            season.seen[key] = {}
            if key in NOTHING:
                season.hours[key], season.state[key] = 0.0, "nothing"
                continue
            hours = 0.0
            for which, start in enumerate(STARTS):
                local = FIRST + timedelta(days=night, hours=start)
                broken = key in BROKEN or (key in PARTLY_BROKEN and which < 2)
                shown = local - timedelta(days=150) if key in JUMPED else local
                name = f"{season.recordings}/{site}/{shown:%Y%m%d_%H%M%S}.wav"
                status = "corrupt" if broken else "silent" if key in SILENT else "done"
                calls = _calls(rng, number, night, local) if status == "done" else []
                began = f"{shown.isoformat(timespec='milliseconds')}+02:00"
                entry = Entry(
                    name,
                    status,
                    "" if status == "done" else status,
                    float("nan") if broken else FILE_S,
                    path=name,
                    files=f"{site}/{shown:%Y%m%d_%H%M%S}" if not broken else "",
                    began=began,
                    recorder=f"24F3{number:04d}",
                )
                entries.append((entry, calls))
                if status == "done" and key not in JUMPED:
                    hours += FILE_S / 3600
                    for call in calls:
                        season.seen[key].setdefault(call.label, []).append(call)
            season.hours[key] = hours
            season.state[key] = (
                "nothing" if key in JUMPED else "silent" if key in SILENT else "broken" if hours == 0 else "recorded"
            )
    write_job(season.folder, entries)
    return season


def _calls(rng: np.random.Generator, site: int, night: int, local: datetime) -> list[Call]:
    """Passes of some species: the first is everywhere, the second on two sites of three, the third rare."""
    calls = []
    chances = (0.5, 0.35 if site % 3 else 0.0, 0.06 if site in (1, 3) else 0.0)
    for species, chance in zip(SPECIES, chances, strict=True):
        if rng.random() > chance:
            continue
        for _ in range(int(rng.integers(1, 4))):  # passes, far apart
            start = float(rng.uniform(5, FILE_S - 10))
            for n in range(int(rng.integers(3, 9))):
                at = round(start + 0.1 * n, 3)
                calls.append(
                    Call(
                        at,
                        round(at + 0.005, 3),
                        30e3,
                        80e3,
                        species,
                        round(float(rng.uniform(0.5, 1)), 4),
                        0.9,
                        None,
                        "",
                    )
                )
    return sorted(calls)


def make_recording(path: Path, calls: list[Call], rate: int = 256_000) -> None:
    """Write a recording of half an hour with sweeps in noise where the calls are; the rest is a hole in the file."""
    rng = np.random.default_rng(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(1, np.int16), rate, subtype="PCM_16")
    whole = round(FILE_S * rate) * 2
    with path.open("r+b") as file:
        header = file.seek(0, 2) - 2
        for at, size in ((4, header - 8 + whole), (header - 4, whole)):
            file.seek(at)
            file.write(struct.pack("<I", size))
        file.truncate(header + whole)
        time = np.arange(round(0.005 * rate)) / rate
        sweep = np.sin(2 * np.pi * (80e3 * time - 5e6 * time**2)) * np.hanning(time.size)
        for call in calls:
            first = round((call.start_s - 0.2) * rate)
            noise = 60 * rng.standard_normal(round(0.4 * rate))
            noise[round(0.2 * rate) :][: time.size] += 8000 * sweep
            file.seek(header + 2 * first)
            file.write(noise.astype("<i2").tobytes())
