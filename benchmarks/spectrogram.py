"""How fast the spectrograms are, beside what else there is: librosa, SciPy, TensorFlow, PyTorch.

Two tasks, each with the same parameters for all and their results compared before anything is timed:

- birds: log-mel of 60 s at 32 kHz (window 1024, hop 320, 64 bands);
- bats: 10 s at 384 kHz (window 1024, hop 256), the bins from 4 to 116 kHz, ln(1 + P), every band without its mean over
  blocks of 1000 frames, each block resized to 256 x 128.

One thread each, medians of interleaved runs: every round times all, one after the other. Prints tables and writes JSON.

    python benchmarks/spectrogram.py --output spectrogram.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from spectrogram_peers import (
    BANDS,
    BAT_HOP,
    BAT_LOW,
    BAT_RATE,
    BAT_ROWS,
    BIRD_HOP,
    BIRD_RATE,
    BLOCK,
    GAIN,
    PICTURE,
    N,
    bat_peers,
    bird_peers,
)  # fmt: skip

GOALS = {  # times faster than each, with AVX-512 and with AVX2
    "birds": {
        "librosa": (10, 8),
        "scipy.signal.stft": (9, 7),
        "scipy.fft": (5, 4),
        "tf.signal": (6, 5),
        "torch.stft": (10, 8),
    },
    "bats": {"librosa": (7, 7), "scipy.signal.stft": (5, 5), "tf.signal": (4, 4), "torch.stft": (8, 8)},
}
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")} | {
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


def noise(seconds: float, rate: int) -> np.ndarray:
    """Something to transform."""
    return (np.random.default_rng(0).normal(size=int(seconds * rate)) * 0.05).astype(np.float32)


def bird_tasks(sound: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    """Log-mel by each, all [n_frames, BANDS] in decibels."""
    from scipy.signal import get_window

    from ecotf.features import MelSpectrogramConfig, build_spectrogram

    values = {"window_s": N / BIRD_RATE, "hop_s": BIRD_HOP / BIRD_RATE, "low_hz": 50.0, "high_hz": 14_000.0}
    config = MelSpectrogramConfig(**values, bands=BANDS, power="plain", floor_db=-100.0)
    ours = build_spectrogram(config, BIRD_RATE)
    # One bin needs no step from half as many complex points to the numbers of a real transform; all bins need it all.
    alone = type(ours.plan)(ours.analysis_window, 0, 1)
    powers = type(ours.plan)(ours.analysis_window, 0, N // 2 + 1, [(0, np.ones(1))])
    least = np.empty((ours.n_frames(len(sound)), 1), np.float32)

    def one_row_of(plan: Any) -> np.ndarray:
        plan.rows(sound, 0, ours.hop, len(least), least, 3, 0.0)
        return least

    mel = np.ascontiguousarray(ours.weights.T, np.float32)
    short = np.round(sound * 32767).astype(np.int16)
    normalised = build_spectrogram(config.model_copy(update={"scale": "pcen"}), BIRD_RATE)
    tasks = {
        "ecotf": lambda: ours(sound),
        "ecotf, int16": lambda: ours(short),
        "ecotf, complex transform alone": lambda: one_row_of(alone),
        "ecotf, real transform and powers": lambda: one_row_of(powers),
        "ecotf, pcen": lambda: normalised(sound),
    }
    return tasks | bird_peers(sound, mel, get_window("hann", N).astype(np.float32))


def bat_tasks(sound: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    """Pictures of blocks by each, [n_blocks, 256, 128]."""
    from ecotf.features import BandSpectrogramConfig, build_spectrogram, resize

    step = BAT_RATE / N
    config = BandSpectrogramConfig(
        window_s=N / BAT_RATE, hop_s=BAT_HOP / BAT_RATE, low_hz=BAT_LOW * step, high_hz=(BAT_LOW + BAT_ROWS) * step,
        gain=GAIN, power="plain", denoise="mean", smooth_sigma=0.0, block_s=BLOCK * BAT_HOP / BAT_RATE,
    )  # fmt: skip
    ours = build_spectrogram(config, BAT_RATE)
    assert (ours.n_rows, ours.block_frames) == (BAT_ROWS, BLOCK)
    n_blocks = ours.n_frames(len(sound)) // BLOCK
    sound = sound[: (n_blocks * BLOCK - 1) * BAT_HOP + N]
    short = np.round(sound * 32767).astype(np.int16)
    published = build_spectrogram(
        BandSpectrogramConfig(
            window_s=0.002322, hop_s=0.0005805, low_hz=4300.0, high_hz=116_300.0, denoise="published"
        ),
        BAT_RATE,
    )

    def pictures_of(made: Any, samples: np.ndarray) -> np.ndarray:
        """Block by block, so that a block is resized while it is in the cache."""
        out = np.empty((n_blocks, *PICTURE), np.float32)
        stream, done = made.stream(), 0
        for at in range(0, len(samples), BLOCK * BAT_HOP):
            levels = stream.push(samples[at : at + BLOCK * BAT_HOP])
            for i in range(0, len(levels), BLOCK):
                resize(levels[i : i + BLOCK], *PICTURE, out=out[done])
                done += 1
        for levels in stream.finish().reshape(-1, BLOCK, BAT_ROWS):
            resize(levels, *PICTURE, out=out[done])
            done += 1
        return out

    median = build_spectrogram(config.model_copy(update={"denoise": "median"}), BAT_RATE)
    tasks: dict[str, Callable[[], np.ndarray]] = {
        "ecotf": lambda: pictures_of(ours, sound),
        "ecotf, int16": lambda: pictures_of(ours, short),
        "ecotf, no resize": lambda: ours(sound),
        "ecotf, medians, no resize": lambda: median(sound),
        "ecotf, published (891), no resize": lambda: published(sound),
    }
    return tasks | bat_peers(sound, n_blocks)


def thread_tasks() -> dict[str, Callable[[], np.ndarray]]:
    """Ours in one and in two threads, on ten minutes of birds and one of bats, into memory that is there already."""
    from ecotf.features import BandSpectrogramConfig, MelSpectrogramConfig, build_spectrogram

    birds = build_spectrogram(
        MelSpectrogramConfig(window_s=0.032, hop_s=0.01, low_hz=50, high_hz=14_000, bands=BANDS), BIRD_RATE
    )
    bats = build_spectrogram(
        BandSpectrogramConfig(
            window_s=N / BAT_RATE, hop_s=BAT_HOP / BAT_RATE, low_hz=4500, high_hz=116_000, denoise="mean"
        ),
        BAT_RATE,
    )
    tasks: dict[str, Callable[[], np.ndarray]] = {}
    for name, made, sound in (("birds", birds, noise(600, BIRD_RATE)), ("bats", bats, noise(60, BAT_RATE))):
        out = np.empty((made.n_frames(len(sound)), made.n_rows), np.float32)
        for threads in (1, 2):
            tasks[f"{name}, {threads} threads"] = lambda a=(made, sound, threads, out): a[0](
                a[1], threads=a[2], out=a[3]
            )
    return tasks


def interleaved(tasks: dict[str, Callable[[], np.ndarray]], rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds by name, medians: on the clock, and of processor time, which other work disturbs less."""
    for task in tasks.values():
        task()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            began = time.perf_counter(), time.process_time()
            task()
            times[name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
    medians = {name: 1000 * np.median(values, axis=0) for name, values in times.items()}
    return {name: {"clock": float(clock), "processor": float(used)} for name, (clock, used) in medians.items()}


def check_equal(tasks: dict[str, Callable[[], np.ndarray]]) -> None:
    """All peers compute what we compute, to a hundredth of a decibel or a thousandth of the greatest level."""
    ours = tasks["ecotf"]()
    for name in set(tasks) & set(GOALS["birds"]):
        error = np.abs(tasks[name]() - ours).max()
        if error > max(0.01, 1e-3 * np.abs(ours).max()):
            raise SystemExit(f"{name} differs from ecotf by up to {error:g}: the comparison would not be fair")


def measure(rounds: int) -> dict[str, Any]:
    """Everything with the build of the kernels that this process uses."""
    from ecotf._kernels import level

    birds, bats = bird_tasks(noise(60, BIRD_RATE)), bat_tasks(noise(10, BAT_RATE))
    check_equal(birds)
    check_equal(bats)
    return {
        "build": level,
        "birds": interleaved(birds, rounds),
        "bats": interleaved(bats, rounds),
        "threads": interleaved(thread_tasks(), rounds),
    }


def report(result: dict[str, Any], console: Console) -> None:
    """Tables of one build."""
    for task in ("birds", "bats"):
        table = Table(title=f"{task}, kernels {result['build']}, one thread")
        table.add_column("")
        for column in ("clock, ms", "times ecotf", "processor, ms", "times ecotf", "goal"):
            table.add_column(column, justify="right")
        ours = result[task]["ecotf"]
        for name, times in sorted(result[task].items(), key=lambda item: item[1]["clock"]):
            goals = GOALS[task].get(name)
            cells = [f"{value:.2f}" for kind in times for value in (times[kind], times[kind] / ours[kind])]
            table.add_row(name, *cells, _goal(goals, result["build"]))
        console.print(table)
    ratios = [
        (
            "complete log-mel / own complex transform alone (goal: 1.5)",
            "birds",
            "ecotf",
            "ecotf, complex transform alone",
        ),
        ("complete log-mel / own real transform with powers", "birds", "ecotf", "ecotf, real transform and powers"),
        ("birds, one thread / two threads (goal: at least 1.8)", "threads", "birds, 1 threads", "birds, 2 threads"),
        ("bats, one thread / two threads (goal: at least 1.8)", "threads", "bats, 1 threads", "bats, 2 threads"),
    ]
    for title, task, above, below in ratios:
        both = [result[task][above][kind] / result[task][below][kind] for kind in ("clock", "processor")]
        console.print(f"{title}: {both[0]:.2f} on the clock, {both[1]:.2f} of processor time")


def _goal(goals: tuple[int, int] | None, build: str) -> str:
    """The goal of AVX-512 or of AVX2; slower processors have none."""
    return "" if goals is None or build not in ("v4", "v3") else str(goals[("v4", "v3").index(build)])


def processor() -> str:
    """Return the processor's name, where Linux gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def runnable_builds() -> list[str]:
    """List the builds of the kernels that this processor can run, the fastest first."""
    from ecotf._kernels import cpu

    return list(cpu.levels())


def main() -> None:
    """Measure with each build in a process of its own, then report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--builds", nargs="+", metavar="BUILD", help="builds of the kernels (the two fastest that run here)"
    )
    parser.add_argument("--output", type=Path, help="where to write JSON")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure(args.rounds)))
        return
    console = Console(width=110)
    results = []
    known = runnable_builds()
    for build in args.builds or known[:2]:
        if build not in known:
            parser.error(f"--builds {build}: this processor runs {', '.join(known)}")
        command = [sys.executable, __file__, "--child", "--rounds", str(args.rounds)]
        environment = {**os.environ, **ONE_THREAD, "ECOTF_KERNELS": build}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        results.append(json.loads(done.stdout.splitlines()[-1]))
        report(results[-1], console)
    facts = {"processor": processor(), "load": os.getloadavg(), "rounds": args.rounds, "results": results}
    console.print(f"{facts['processor']}; load of the machine {facts['load'][0]:.1f}")
    if args.output:
        args.output.write_text(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
