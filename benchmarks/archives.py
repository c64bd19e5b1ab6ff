"""Hours of sound a minute of archives: three recipes on one and two workers and on a Spark, beside BirdNET; and memory.

    python benchmarks/archives.py --bats RUN --hybrid RUN --birds RUN --bat-sounds FOLDER --bird-sounds FOLDER \\
        --birdnet BirdNET_GLOBAL_6K_V2.4_Model_FP32.tflite

Each archive is one folder of links to recordings, given so often that the whole has some hours. Every row is a
command of its own from its start to its end, loading included; memory is that of all its processes together, the share
of each (PSS) added up, every half second. The digest is that of all rows of the table, sorted.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd
import soundfile

from ecotf.inference.ledger import read_ledger

SPARK = "local-cluster[2,1,1024]"
ROWS = {
    "here": [], "1 worker": ["--workers", "1"], "2 workers": ["--workers", "2"],
    "Spark, 2 executors": ["--workers", "2", "--engine", SPARK],
}  # fmt: skip
_SOUNDS = (".flac", ".wav")
_BIRDNET = Path(__file__).with_name("birdnet_alone.py")


class Cost(NamedTuple):
    """What a command took, with the memory of its processes in MiB at every look."""

    seconds: float
    memory: list[tuple[float, float]]

    @property
    def peak(self) -> float:
        """The most memory, MiB."""
        return max((mib for _, mib in self.memory), default=0.0)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description="Archives: hours of sound a minute, and memory.")
    parser.add_argument("--bats", type=Path, help="a run of bats/field")
    parser.add_argument("--hybrid", type=Path, help="a run of bats/hybrid_cnn_xgboost")
    parser.add_argument("--birds", type=Path, help="a run of birds/small")
    parser.add_argument("--bat-sounds", type=Path, help="folder of recordings of bats")
    parser.add_argument("--bird-sounds", type=Path, help="folder of recordings of birds")
    parser.add_argument("--birdnet", type=Path, help="BirdNET 2.4 as a .tflite")
    parser.add_argument("--hours", type=float, default=1.0, help="of each archive")
    parser.add_argument("--small-files", type=int, default=0, help="measure memory over so many short files instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="archive-") as room:
        if options.small_files:
            small_files(options, Path(room))
            return
        for title, run, sounds in (
            ("bats/field", options.bats, options.bat_sounds),
            ("bats/hybrid_cnn_xgboost", options.hybrid, options.bat_sounds),
            ("birds/small", options.birds, options.bird_sounds),
        ):
            if run is not None:
                archive = make_archive(sounds, Path(room) / title, options.hours)
                for name, more in ROWS.items():
                    one_row(title, name, run, archive, Path(room) / "out", more)
        if options.birdnet is not None:
            archive = make_archive(options.bird_sounds, Path(room) / "birdnet", options.hours)
            for threads in (1, 2):
                command = [sys.executable, str(_BIRDNET), str(options.birdnet), str(archive), str(threads)]
                show("BirdNET 2.4, TFLite", f"{threads} threads", hours_of(archive), measured(command), "")


def one_row(title: str, name: str, run: Path, archive: Path, out: Path, more: Sequence[str]) -> None:
    """Classify an archive and print what it took."""
    shutil.rmtree(out, ignore_errors=True)
    cost = measured(classify(run, archive, out, more))
    hours = sum(row.duration_s for row in read_ledger(out / "ledger.csv") if row.status == "done") / 3600
    table = pd.read_csv(out / "detections.csv", dtype=str, keep_default_na=False)
    text = "\n".join(sorted("\t".join(row) for row in table.to_numpy().tolist()))
    show(title, name, hours, cost, f"{len(table)} rows, {hashlib.sha256(text.encode()).hexdigest()[:12]}")


def small_files(options: argparse.Namespace, room: Path) -> None:
    """Classify many links to a few tenths of a second; print memory over time."""
    paths = [path for path in sorted(options.bat_sounds.rglob("*")) if path.suffix.lower() in _SOUNDS]
    some = [path for path in paths if soundfile.info(path).duration > 1][:5]
    for number in range(options.small_files):
        folder = room / "small" / f"site{number // 1000:03}"
        folder.mkdir(parents=True, exist_ok=True)
        # Hard links: of symbolic links to one file only the first would be taken.
        os.link(_tenth(some[number % len(some)], room, number), folder / f"{number:06}.wav")
    command = classify(options.bats, room / "small", room / "out", ["--workers", "2", "--formats", "dataset"])
    cost = measured(command)
    done = sum(row.status in ("done", "silent") for row in read_ledger(room / "out" / "ledger.csv"))
    print(f"{done} of {options.small_files} files done in {cost.seconds:.0f} s, {done / cost.seconds:.0f} a second")
    for tenth in range(11):
        at = cost.memory[min(len(cost.memory) - 1, tenth * len(cost.memory) // 10)]
        print(f"  after {at[0]:6.0f} s: {at[1]:6.0f} MiB")


def _tenth(path: Path, room: Path, number: int) -> Path:
    """A tenth of a second of a recording, as WAV; anew every 30,000 links, which is the most of some file systems."""
    copy = room / "few" / f"{number // 30_000}-{path.stem}.wav"
    if not copy.exists():
        copy.parent.mkdir(exist_ok=True)
        sound, rate = soundfile.read(path, dtype="int16")
        soundfile.write(copy, sound[rate // 2 : rate // 2 + rate // 10], rate)
    return copy


def make_archive(sounds: Path, folder: Path, hours: float) -> Path:
    """Fill a folder with hard links to copies of recordings, until they have so many hours."""
    paths = [path for path in sorted(sounds.rglob("*")) if path.suffix.lower() in _SOUNDS]
    seconds = {path: soundfile.info(path).duration for path in paths}
    left, number = hours * 3600, 0
    while left > 0:
        for path in paths:
            copy = folder.parent / "copies" / folder.name / f"{path.parent.name}-{path.name}"
            if not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
            target = folder / f"night{number:03}" / copy.name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(copy, target)
            left -= seconds[path]
        number += 1
    return folder


def hours_of(archive: Path) -> float:
    """Add up the lengths of recordings."""
    return sum(soundfile.info(path).duration for path in archive.rglob("*.*") if path.is_file()) / 3600


def classify(run: Path, archive: Path, out: Path, more: Sequence[str]) -> list[str]:
    """Make the command line."""
    return [sys.executable, "-m", "ecotf", "classify", "--model", str(run), str(archive), "--output", str(out), *more]


def measured(command: Sequence[str]) -> Cost:
    """Run a command to its end; look at the memory of its processes every half second."""
    began, memory = time.monotonic(), []
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as process:
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(0.5):
                memory.append((time.monotonic() - began, tree_mib(process.pid)))

        watcher = threading.Thread(target=look)
        watcher.start()
        _, said = process.communicate()
        ended.set()
        watcher.join()
    if process.returncode > 1:
        raise SystemExit(f"{' '.join(command)}\n{said.decode(errors='replace')}")
    return Cost(time.monotonic() - began, memory)


def tree_mib(pid: int) -> float:
    """Add up the shares of memory (PSS) of a process and all that it started, MiB."""
    total, waiting = 0.0, [pid]
    while waiting:
        one = waiting.pop()
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except OSError:
            continue
    return total


def show(title: str, name: str, hours: float, cost: Cost, more: str) -> None:
    """Print one line of the table, and once more for programs."""
    line = {
        "what": title, "where": name, "hours": round(hours, 3), "seconds": round(cost.seconds, 1),
        "hours_a_minute": round(hours * 60 / cost.seconds, 3), "peak_mib": round(cost.peak), "rows": more,
    }  # fmt: skip
    print("| " + " | ".join(map(str, line.values())) + " |", flush=True)
    print(json.dumps(line), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
