#!/usr/bin/env python3
"""The clock is set after many detections: how long until all have their time, and how long does one turn take?

    python benchmarks/recorder_redating.py [--rows 100000 1000000 3000000] [--folder FOLDER]

A boot without a clock hears so many detections, in stretches of 500, with a gap behind each 50th stretch. Then the
clock is set, and the recorder's `Dater` works turn by turn, as in the recorder's loop, while a detection a second comes
and is kept every ten seconds. Afterwards every row of table and database is looked at. It prints wall and processor
seconds, the longest time between two turns (the watchdog is told at each, and sound waits meanwhile), the longest one
without the time for which others had the processor, and the highest memory.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

RECORDER = Path(__file__).parents[1] / "deploy" / "recorder"
sys.path.insert(0, str(RECORDER))

from ecotf_recorder.dating import Dater  # noqa: E402
from ecotf_recorder.scoring.held import Detection  # noqa: E402
from ecotf_recorder.store.notebook import Notebook  # noqa: E402
from ecotf_recorder.times.clock import Clock, iso_time  # noqa: E402

BOOT, SET_AT = "abcd1234", 1_782_043_200.0  # wall time of second 0 of the boot
A_STRETCH, APART_S, A_GAP = 500, 0.1, 50
LATEST = "synchronised"
REST = (40000.0, 50000.0, "Pipistrellus pipistrellus", 0.9, 0.95)
ADD_STRETCH = (
    "INSERT INTO stretches (id, recording, steady, boot, seconds, ended, release) VALUES (?, ?, ?, ?, ?, '', 'r')"
)
ADD_DETECTION = (
    "INSERT INTO detections (stretch, recording, start_s, end_s, low_hz, high_hz, label, score, detection_score, "
    "time_quality) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
ADD_GAP = "INSERT INTO gaps (steady, boot, seconds, reason, time_quality) VALUES (?, ?, 0.05, ?, 'not set')"


def build(folder: Path, rows: int) -> None:
    """What a boot without a clock heard; the rows are written past the notebook, which would take minutes."""
    clock = Clock(lambda: 0.0, lambda: SET_AT, BOOT, lambda _: "")
    Notebook(folder, clock).close()
    file = sqlite3.connect(folder / "detections.sqlite", isolation_level=None)
    file.execute("PRAGMA synchronous=OFF")
    with (
        closing(file), open(folder / "detections.csv", "a", encoding="utf-8") as table,
        open(folder / "gaps.csv", "a", encoding="utf-8") as gaps,
    ):  # fmt: skip
        file.execute("BEGIN")
        for index, first in enumerate(range(0, rows, A_STRETCH)):
            began = APART_S * first
            name = clock.name(began)
            file.execute(ADD_STRETCH, (index + 1, name, began, BOOT, APART_S * A_STRETCH))
            starts = [round(APART_S * at, 3) for at in range(min(A_STRETCH, rows - first))]
            file.executemany(
                ADD_DETECTION, [(index + 1, name, start, start + 0.01, *REST, "not set") for start in starts]
            )
            rest = ",".join(map(str, REST))
            table.writelines(f"{name},{start},{start + 0.01},{rest},,not set\n" for start in starts)
            if index % A_GAP == A_GAP - 1:
                file.execute(ADD_GAP, (began, BOOT, "the driver lost sound"))
                gaps.write(",0.05,the driver lost sound,not set\n")
        table.flush()
        file.execute("INSERT OR REPLACE INTO facts VALUES ('csv_bytes', ?)", (os.fstat(table.fileno()).st_size,))
        file.execute("COMMIT")


def redate(folder: Path) -> dict[str, float]:
    """Give everything its time; returns what it cost."""
    clock = Clock(time.monotonic, lambda: SET_AT + time.monotonic(), BOOT, lambda _: LATEST)
    notebook = Notebook(folder, clock)
    dater = Dater(notebook, None)
    stretch = notebook.begin("now", SET_AT, None, "r")
    began, used = time.perf_counter(), time.process_time()
    longest, own, turns, kept, heard = 0.0, 0.0, 0, 0.0, 0
    before, queued_before = began, queued_s()
    dater.begin()
    while dater.is_at_work:
        dater.work()
        now = time.perf_counter()
        while now - began > heard + 1:
            notebook.add(stretch, "now", SET_AT, [Detection(heard, heard + 0.01, 4e4, 5e4, "x", 0.9, 0.9)], LATEST)
            heard += 1
        if now - began > kept + 10:
            kept = now - began
            notebook.commit()
        now = time.perf_counter()
        queued_now = queued_s()
        longest, own = max(longest, now - before), max(own, now - before - (queued_now - queued_before))
        before, queued_before, turns = now, queued_now, turns + 1
    result = {
        "wall_s": time.perf_counter() - began, "processor_s": time.process_time() - used, "longest_turn_s": longest,
        "own_turn_s": own, "turns": turns, "memory_mb": highest_memory_mb(),
        "heard": heard,
    }  # fmt: skip
    if dater.problem:
        raise SystemExit(dater.problem)
    notebook.close()
    return result


def check(folder: Path, rows: int, heard: int) -> None:
    """Every row has its own time, in table and database, in the order in which it was heard."""
    clock = Clock(lambda: 0.0, lambda: SET_AT, BOOT, lambda _: LATEST)
    notebook = Notebook(folder, clock)
    dated = notebook.database.execute("SELECT recording, time, time_quality FROM detections ORDER BY id")
    n = 0
    with open(folder / "detections.csv", newline="", encoding="utf-8") as file:
        for row, (name, when, quality) in zip(csv.DictReader(file), dated, strict=True):
            assert (row["recording"], row["time"], row["time_quality"]) == (name, iso_time(when), quality), row
            if n < rows:
                assert abs(when - SET_AT - APART_S * n) < 1e-6 and quality == "redated", row
            n += 1
    assert n == rows + heard, f"{n} rows instead of {rows + heard}"
    undated = notebook.database.execute("SELECT COUNT(*) FROM gaps WHERE began IS NULL").fetchone()[0]
    assert not undated and ",,not set" not in (folder / "gaps.csv").read_text() and not notebook.needs_dating
    notebook.close()


def queued_s() -> float:
    """How long this process has waited for a processor that others used."""
    return int(Path("/proc/self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9


def highest_memory_mb() -> float:
    """Of this process; what `getrusage` gives begins with that of the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    """Measure each size, in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 3_000_000])
    parser.add_argument("--folder", type=Path, help="on the disk that is to be measured (a temporary folder)")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(redate(options.child)))
        return
    print("| rows | wall, s | processor, s | longest turn, s | less the queue, s | turns | memory, MB |")
    print("|---|---|---|---|---|---|---|")
    for rows in options.rows:
        with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
            folder = Path(scratch)
            build(folder, rows)
            words = [sys.executable, __file__, "--child", str(folder)]
            found = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)
            check(folder, rows, found["heard"])
            print(
                f"| {rows:,} | {found['wall_s']:.1f} | {found['processor_s']:.1f} | {found['longest_turn_s']:.2f} | "
                f"{found['own_turn_s']:.2f} | {found['turns']} | {found['memory_mb']:.0f} |", flush=True,
            )  # fmt: skip


if __name__ == "__main__":
    main()
