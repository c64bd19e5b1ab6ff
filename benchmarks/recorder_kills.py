#!/usr/bin/env python3
"""Kill the recorder again and again over each source: are detections lost or twice, and is the lost sound told?

    python benchmarks/recorder_kills.py --model bundles/field/model.tflite [--kills 40] [--sources folder file ...]

The sound has a sweep in every half second, which the model must find once each. From files, every sweep must be in the
table once. Live sound (microphone: a stand-in for arecord; stdin: a pipe) goes by the computer's clock; a sweep must be
in the table once, or in a gap of `gaps.csv`; no time may be in neither a stretch nor a gap.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
import wave
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
RECORDER = ROOT / "deploy" / "recorder"
sys.path.insert(0, str(RECORDER))

from ecotf_recorder.model import describe  # noqa: E402

SOURCES = ("folder", "file", "stdin", "microphone")
PERIOD_S, SWEEP_AT_S, SWEEP_S = 0.5, 0.25, 0.005
NEAR_S = 0.2  # a row belongs to the sweep that is so near
EDGE_S = 0.1  # a sweep so near to the edge of a stretch may be cut
LONGEST_FILE_S, N_FILES, FILE_S = 180.0, 400, 1.0
PLAYER = Path(__file__).with_name("recorder_kills_sound.py")
ARECORD = """#!/bin/sh
case "$*" in
  "-l") echo "card 2: Microphone [AudioMoth USB Microphone], device 0: USB Audio [USB Audio]"; exit 0 ;;
esac
exec "{python}" -S -E "{player}" "{period}" {rate}
"""


def period_of(rate: int, rng: np.random.Generator) -> np.ndarray:
    """Half a second of noise with a sweep in its middle, int16."""
    sound = 0.002 * rng.standard_normal(round(PERIOD_S * rate))
    times = np.arange(round(SWEEP_S * rate)) / rate
    sweep = 0.2 * np.sin(2 * np.pi * (0.3 * rate * times - 0.015 * rate / SWEEP_S * times**2)) * np.hanning(times.size)
    at = round(SWEEP_AT_S * rate)
    sound[at : at + sweep.size] += sweep
    return np.rint(sound * 32767).astype("<i2")


def write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    """Write a WAV file of one channel."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(samples.tobytes())


class Bench:
    """One source in a folder of its own."""

    def __init__(self, source: str, model: Path, folder: Path, seed: int) -> None:
        self.source, self.folder = source, folder
        self.rate = int(describe(model).sample_rate_hz)
        self.random = random.Random(seed)
        self.state = folder / "state"
        (self.state / "current").mkdir(parents=True)
        (self.state / "current" / "model.tflite").symlink_to(model.resolve())
        self.period = folder / "period.raw"
        period = period_of(self.rate, np.random.default_rng(seed))
        period.tofile(self.period)
        self.lines = {
            "folder": f'folder = "{folder}/night"\nsettle_s = 0.0',
            "file": f'file = "{folder}/night.wav"',
            "stdin": "",
            "microphone": 'device = "AudioMoth"',
        }[source]
        if source == "folder":
            (folder / "night").mkdir()
            write_wav(folder / "night" / "0.wav", np.tile(period, round(FILE_S / PERIOD_S)), self.rate)
            for number in range(1, N_FILES):
                os.link(folder / "night" / "0.wav", folder / "night" / f"{number}.wav")
        elif source == "file":
            write_wav(folder / "night.wav", np.tile(period, round(LONGEST_FILE_S / PERIOD_S)), self.rate)
        elif source == "microphone":
            script = folder / "arecord"
            words = {"python": sys.executable, "player": PLAYER, "period": self.period, "rate": self.rate}
            script.write_text(ARECORD.format(**words))
            script.chmod(script.stat().st_mode | stat.S_IXUSR)
        (folder / "config.toml").write_text(
            f'state_dir = "{self.state}"\nhealth_s = 0.5\npage_s = 0.0\n[source]\nkind = "{source}"\n{self.lines}\n'
            "[detections]\nflush_s = 0.5\n[clips]\nkeep = false\n[clock]\ntrusted = true\n"
        )

    def command(self, *words: str | Path) -> list[str]:
        """A command of the recorder."""
        return [sys.executable, "-m", "ecotf_recorder", *map(str, words)]

    @property
    def environment(self) -> dict[str, str]:
        """With the stand-in for arecord on the path."""
        threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        path = f"{self.folder}:{os.environ['PATH']}"
        return {**os.environ, **threads, "PATH": path, "PYTHONPATH": str(RECORDER)}

    def start(self) -> subprocess.Popen[bytes]:
        """Start the recorder, with what writes into it."""
        words, sound = self.command("run", "--config", self.folder / "config.toml"), subprocess.DEVNULL
        player = None
        if self.source == "stdin":
            play = [sys.executable, "-S", "-E", str(PLAYER), str(self.period), str(self.rate)]
            player = subprocess.Popen(play, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pipesize=4096)
        process = subprocess.Popen(
            words, env=self.environment, stdin=player.stdout if player is not None else sound,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        if player is not None and player.stdout is not None:
            player.stdout.close()  # it ends with its reader
        return process

    def kill(self, times: int) -> None:
        """Let it run for a while and kill it; the last time it is stopped as systemd does it."""
        for number in range(times):
            process = self.start()
            time.sleep(self.random.uniform(0.3, 4.0 if self.source in ("folder", "file") else 8.0))
            process.kill()
            process.wait()
            print(f"\r{self.source}: {number + 1} kills", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        process = self.start()
        self._wait()
        process.terminate()
        if process.wait(120):
            raise SystemExit(f"{self.source}: the recorder ended with status {process.returncode}")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask its database."""
        with sqlite3.connect(f"file:{self.state}/detections.sqlite?mode=ro", uri=True) as opened:
            return opened.execute(query).fetchall()

    def _wait(self) -> None:
        wanted = {"folder": N_FILES, "file": 1}.get(self.source)
        deadline = time.monotonic() + 600
        while wanted is not None and time.monotonic() < deadline:
            try:
                if self.rows("SELECT COUNT(*) FROM files")[0][0] >= wanted:
                    return
            except sqlite3.Error:
                pass
            time.sleep(0.5)
        if wanted is not None:
            raise SystemExit(f"{self.source}: not all was read in ten minutes")
        time.sleep(5)


def classify(bench: Bench, path: Path) -> list[float]:
    """Where the recorder's own ``classify`` finds calls in one go, seconds."""
    model, output = bench.state / "current" / "model.tflite", bench.folder / "whole"
    done = subprocess.run(
        bench.command("classify", model, path, "--output", output),
        env=bench.environment,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    with (output / "detections.csv").open(newline="") as file:
        return [float(row["start_s"]) for row in csv.DictReader(file)]


def sweep_of(seconds: float) -> int | None:
    """The number of the sweep that a row at ``seconds`` is, None if there is none."""
    number = round((seconds - SWEEP_AT_S) / PERIOD_S)
    return number if abs(seconds - SWEEP_AT_S - number * PERIOD_S) < NEAR_S else None


def judge_files(bench: Bench) -> dict[str, Any]:
    """Compare the table with what one go finds."""
    first = bench.folder / ("night/0.wav" if bench.source == "folder" else "night.wav")
    whole, n = classify(bench, first), N_FILES if bench.source == "folder" else 1
    rows = bench.rows("SELECT recording, start_s FROM detections")
    found = Counter((Path(name).name, round(1e6 * start)) for name, start in rows)
    names = [f"{number}.wav" for number in range(n)] if bench.source == "folder" else [first.name]
    expected = {(name, round(1e6 * start)) for name in names for start in whole}
    return {
        "expected": len(expected),
        "lost": len(expected - found.keys()),
        "doubled": sum(count - 1 for count in found.values()),
        "other": len(found.keys() - expected),
    }


def judge_live(bench: Bench) -> dict[str, Any]:
    """Hold sweeps against the table, and the time against stretches and gaps."""
    stretches = bench.rows("SELECT id, steady, COALESCE(seconds, 0) FROM stretches ORDER BY id")
    gaps = [(begin, begin + length) for begin, length in bench.rows("SELECT steady, seconds FROM gaps")]
    heard = [(begin, begin + length) for _, begin, length in stretches]
    begin, end = heard[0][0], heard[-1][1]
    begins = {number: steady for number, steady, _ in stretches}
    found = Counter(
        sweep_of(begins[stretch] + start) for stretch, start in bench.rows("SELECT stretch, start_s FROM detections")
    )
    expected = lost = told = 0
    for number in range(int(begin / PERIOD_S), int(end / PERIOD_S) + 2):
        at = number * PERIOD_S + SWEEP_AT_S
        expected += begin + EDGE_S < at < end - EDGE_S
        if any(one + EDGE_S < at < other - EDGE_S for one, other in heard):
            lost += found[number] == 0
        elif begin + EDGE_S < at < end - EDGE_S:
            told += found[number] == 0
    untold, reached = 0.0, begin
    for one, other in sorted([*heard, *gaps]):
        untold += max(0.0, one - reached)
        reached = max(reached, other)
    twice = sum(max(0.0, before[1] - after[0]) for before, after in pairwise(heard))
    return {
        "seconds": round(end - begin, 1),
        "expected": expected,
        "lost": lost,
        "doubled": sum(count - 1 for number, count in found.items() if number is not None),
        "other": found[None],
        "in gaps": told,
        "gaps": len(gaps),
        "seconds in gaps": round(sum(other - one for one, other in gaps), 1),
        "seconds untold": round(untold, 3),
        "seconds twice": round(twice, 3),
    }


def tables_agree(bench: Bench) -> bool:
    """The table and gaps.csv have as many rows as the database."""
    counts = []
    for name in ("detections", "gaps"):
        with (bench.state / f"{name}.csv").open(newline="") as file:
            counts.append(sum(1 for _ in csv.reader(file)) - 1 == bench.rows(f"SELECT COUNT(*) FROM {name}")[0][0])
    return all(counts)


def check_model(bench: Bench) -> None:
    """Refuse a model that does not find every sweep once."""
    period = np.fromfile(bench.period, "<i2")
    path = bench.folder / "check.wav"
    write_wav(path, np.tile(period, 40), bench.rate)
    found = Counter(map(sweep_of, classify(bench, path)))
    if sorted(found.items(), key=str) != sorted(((number, 1) for number in range(40)), key=str):
        raise SystemExit(f"the model does not find every sweep once, but {sum(found.values())} calls in 40 sweeps")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="an exported model of calls")
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--sources", nargs="+", choices=SOURCES, default=SOURCES)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(arguments)
    judge: dict[str, Callable[[Bench], dict[str, Any]]] = {
        "folder": judge_files, "file": judge_files, "stdin": judge_live, "microphone": judge_live,
    }  # fmt: skip
    figures, bad = {}, False
    for source in options.sources:
        with tempfile.TemporaryDirectory() as scratch:
            bench = Bench(source, options.model, Path(scratch), options.seed)
            check_model(bench)
            bench.kill(options.kills)
            said = {"kills": options.kills, **judge[source](bench), "tables agree": tables_agree(bench)}
        figures[source] = said
        print(json.dumps({source: said}), flush=True)
        bad |= bool(said["lost"] or said["doubled"] or said.get("seconds untold") or not said["tables agree"])
    if options.output:
        options.output.write_text(json.dumps(figures, indent=2) + "\n")
    raise SystemExit(int(bad))


if __name__ == "__main__":
    main()
