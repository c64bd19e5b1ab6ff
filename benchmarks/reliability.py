#!/usr/bin/env python3
"""Classify ten thousand small files of which a thousand are broken in twelve ways: who is lost, and does memory grow?

    python benchmarks/reliability.py [--files 10000] [--broken 1000] [--output reliability.json]

Checked: every file is in the ledger; each broken one with the status and the reason of its kind; none of the good ones
is lost, and each has all of its detections. The network is a stand-in that finds something in every tenth of a second,
since what is measured is the job around it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import soundfile

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "inference")]

from cheap_run import CheapRun  # noqa: E402

from ecotf.audio.discover import find_recordings, shown_name  # noqa: E402
from ecotf.inference.job import ClassifierOptions, classify  # noqa: E402
from ecotf.inference.ledger import read_ledger  # noqa: E402

RATE, SECONDS = 32_000, 0.2


def sound(seed: int, seconds: float = SECONDS, rate: int = RATE) -> np.ndarray:
    """Noise."""
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int, form: str, subtype: str) -> None:
    """Write sound, also under a name that is not UTF-8, which soundfile does not open."""
    with path.open("wb") as file:
        soundfile.write(file, samples, rate, format=form, subtype=subtype)


def wav(path: Path, seed: int, rate: int = RATE, subtype: str = "PCM_16", **stated: float) -> None:
    """Write an intact WAV file."""
    write(path, sound(seed, rate=rate, **stated), rate, "WAV", subtype)


def flac(path: Path, seed: int) -> bytearray:
    """Return the bytes of an intact FLAC file."""
    write(path, sound(seed, 1.0), RATE, "FLAC", "PCM_16")
    return bytearray(path.read_bytes())


def with_a_sample(value: float) -> Callable[[Path, int], None]:
    """Writes a float file in which one sample has ``value``."""

    def make(path: Path, seed: int) -> None:
        samples = sound(seed)
        samples[1000] = value
        write(path, samples, RATE, "WAV", "FLOAT")

    return make


def cut_wav(path: Path, seed: int) -> None:
    """Half of a file."""
    wav(path, seed)
    os.truncate(path, path.stat().st_size // 2)


def rate_0(path: Path, seed: int) -> None:
    """A header that gives a rate of 0."""
    wav(path, seed)
    content = bytearray(path.read_bytes())
    content[24:28] = struct.pack("<I", 0)
    path.write_bytes(content)


def damaged_flac(path: Path, seed: int) -> None:
    """Bytes in the middle that are not what was written."""
    content = flac(path, seed)
    middle = len(content) // 2
    content[middle : middle + 2000] = np.random.default_rng(seed).bytes(2000)
    path.write_bytes(content)


def cut_flac(path: Path, seed: int) -> None:
    """Half of a FLAC file."""
    content = flac(path, seed)
    path.write_bytes(content[: len(content) // 2])


BROKEN: dict[str, tuple[Callable[[Path, int], object], str, str]] = {
    "empty": (lambda path, seed: path.touch(), "corrupt", "empty file (0 bytes)"),
    "text": (lambda path, seed: path.write_text("the battery was changed\n" * 9), "corrupt", "not a sound file"),
    "garbage": (lambda path, seed: path.write_bytes(np.random.default_rng(seed).bytes(5000)), "corrupt", ""),
    "header only": (lambda path, seed: wav(path, seed, seconds=0.0), "corrupt", "0 samples"),
    "cut WAV": (cut_wav, "corrupt", "truncated"),
    "cut FLAC": (cut_flac, "corrupt", "1.000 s"),
    "damaged FLAC": (damaged_flac, "corrupt", ""),
    "not a number": (with_a_sample(np.nan), "corrupt", "is not a number"),
    "infinite": (with_a_sample(np.inf), "corrupt", "is infinite"),
    "rate of 0": (rate_0, "corrupt", "sample rate of 0"),
    "low rate": (lambda path, seed: wav(path, seed, rate=8000), "unsupported", "at least 16000 Hz"),
    "short": (lambda path, seed: wav(path, seed, seconds=0.005), "short", "5.0 ms long"),
}
"""How to break a file, and the status and a part of the reason that its row in the ledger must have."""


def make_files(folder: Path, files: int, broken: int) -> dict[str, str]:
    """Make the recordings; returns the way in which each is broken, empty for a good one, by its shown name."""
    kinds, made = list(BROKEN), {}
    every = files // broken if broken else files + 1
    for number in range(files):
        kind = kinds[number // every % len(kinds)] if number % every == every - 1 and number < every * broken else ""
        name = {1: f"for\udcea{number}.wav", 2: f"two\nlines{number}.wav", 3: "夜" * 70 + f"{number}.wav"}.get(
            number % 97
        )
        path = folder / f"site{number % 10}" / (name or f"{number}.wav")
        path.parent.mkdir(parents=True, exist_ok=True)
        BROKEN[kind][0](path, number) if kind else wav(path, number)
        made[shown_name(path)] = kind
    return made


def memory_mib() -> float:
    """Memory that the process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def problems_of(made: dict[str, str], ledger: Path) -> tuple[list[str], dict[str, int]]:
    """List the results that are wrong, and count the files of each kind that were right."""
    rows = {row.recording: row for row in read_ledger(ledger)}
    problems = [f"{name}: not in the ledger" for name in made.keys() - rows.keys()]
    right = dict.fromkeys(["good", *BROKEN], 0)
    for name, kind in made.items():
        row = rows.get(name)
        if row is None:
            continue
        _, status, reason = BROKEN[kind] if kind else (None, "done", "")
        enough = row.n_detections == round(SECONDS * 10) and row.reason == "" if not kind else bool(row.reason)
        if row.status != status or reason not in row.reason or not enough:
            problems.append(f"{name} ({kind or 'good'}): {row.status}, {row.reason}, {row.n_detections} detections")
        else:
            right[kind or "good"] += 1
    return problems, right


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--broken", type=int, default=1_000)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder, out = Path(scratch, "recordings"), Path(scratch, "out")
        made = make_files(folder, options.files, options.broken)
        found = find_recordings([folder])
        memory: list[float] = []
        seen = 0

        def watch(name: str, outcome: object) -> None:
            nonlocal seen
            seen += 1
            if seen % (max(options.files // 10, 1)) == 0:
                memory.append(round(memory_mib(), 1))

        began = perf_counter()
        result = classify(
            CheapRun(Path(scratch, "model.bin")),
            found.recordings,
            out,
            ClassifierOptions(("csv", "raven")),
            report=watch,
        )
        seconds = perf_counter() - began
        problems, right = problems_of(made, out / "ledger.csv")
        with (out / "detections.csv").open(encoding="utf-8") as file:
            rows = sum(1 for _ in csv.reader(file)) - 1
    figures = {
        "files": options.files,
        "right": right,
        "statuses": {status: number for status, number in result.counts.items() if number},
        "detections": rows,
        "problems": problems[:20],
        "memory_mib_at_each_tenth": memory,
        "seconds": round(seconds, 1),
        "ms_per_file": round(1000 * seconds / options.files, 2),
    }
    print(json.dumps(figures, indent=2))
    if options.output:
        options.output.write_text(json.dumps(figures, indent=2) + "\n")
    if problems or rows != right["good"] * round(SECONDS * 10):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
