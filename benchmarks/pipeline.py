"""Where the time goes from a file to its detections: decoding, features, model, events; bats and birds, WAV and FLAC.

Each file is worked through in a process of its own, in one thread, in blocks, as the classifier does; every stage is
timed apart. Speeds are hours of sound per minute of one core; memory is the peak above what the imports take. The model
is that of a run (bats), without which its stage is left out.

    python benchmarks/pipeline.py --run runs/bats/field/2026-06-21_22-15-00 --output pipeline.json
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

RATES = {"bats": 384_000, "birds": 32_000}
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")} | {
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
STAGES = ("decode", "features", "model", "events")


def write_sound(path: Path, task: str, seconds: float) -> None:
    """Noise with short downward sweeps, ten in every second of the first half; quiet in the second."""
    rate = RATES[task]
    rng = np.random.default_rng(0)
    t = np.arange(int(0.005 * rate)) / rate
    call = 0.3 * np.sin(2 * np.pi * (0.25 * rate * t - 10 * rate * t**2)) * np.hanning(len(t))
    with soundfile.SoundFile(path, "w", rate, 1, "PCM_16") as file:
        for second in range(int(seconds)):
            sound = rng.normal(size=rate) * 0.003
            if second < seconds / 2:
                for at in range(0, rate - len(call), rate // 10):
                    sound[at : at + len(call)] += call
            file.write(sound)


def timed_pieces(path: Path, spectrogram: Any, spent: dict[str, float]) -> Iterator[np.ndarray]:
    """The spectrogram in pieces, block by block; adds up what decoding and features take."""
    from ecotf.audio.recording import open_recording

    stream = spectrogram.stream()
    began = time.perf_counter()
    for block in open_recording(path).blocks(spectrogram.sample_rate):
        decoded = time.perf_counter()
        piece = stream.push(block)
        spent["decode"] += decoded - began
        spent["features"] += time.perf_counter() - decoded
        yield piece
        began = time.perf_counter()
    spent["decode"] += time.perf_counter() - began
    began = time.perf_counter()
    piece = stream.finish()
    spent["features"] += time.perf_counter() - began
    yield piece


def bats(path: Path, run: Path | None) -> dict[str, float]:
    """Seconds of every stage with the front end of the published hybrid, and with the run's model if there is one."""
    from ecotf.features import BandSpectrogramConfig, build_spectrogram

    spent = dict.fromkeys(STAGES, 0.0)
    if run is None:
        config = BandSpectrogramConfig(
            window_s=0.002322, hop_s=0.0005805, low_hz=4300, high_hz=116_300, gain=103621.5, denoise="published"
        )
        for _ in timed_pieces(path, build_spectrogram(config, RATES["bats"]), spent):
            pass
        return spent
    from ecotf.detection.candidates import find_candidates
    from ecotf.detection.scoring import Stopwatch
    from ecotf.inference.load import load_run

    loaded = load_run(run)
    made = build_spectrogram(loaded.recipe.front_end, RATES["bats"])
    for warm in (True, False):  # the first time compiles the graph
        spent, watch, began = dict.fromkeys(STAGES, 0.0), Stopwatch(), time.perf_counter()
        found = find_candidates(
            timed_pieces(path, made, spent), loaded.detector, loaded.recipe.detection, loaded.recipe.pulses, made.hop_s,
            made.offset_s, made.frequencies_hz, stopwatch=watch,
        )  # fmt: skip
        for _ in found:
            if warm:
                break
    spent["model"] = watch.networks_s + watch.trees_s
    spent["events"] = time.perf_counter() - began - spent["model"] - spent["decode"] - spent["features"]
    return spent


def birds(path: Path) -> dict[str, float]:
    """Seconds of decoding, of log-mel features, and of smoothing and picking peaks in a band's levels."""
    from ecotf._kernels.events import local_maxima, smooth_gaussian
    from ecotf.features import MelSpectrogramConfig, build_spectrogram

    spent = dict.fromkeys(STAGES, 0.0)
    config = MelSpectrogramConfig(window_s=0.032, hop_s=0.01, low_hz=50, high_hz=14_000, bands=64)
    for piece in timed_pieces(path, build_spectrogram(config, RATES["birds"]), spent):
        began = time.perf_counter()
        for track in smooth_gaussian(piece[:, ::8], 2.0).T:
            local_maxima(np.ascontiguousarray(track), 5, -60.0)
        spent["events"] += time.perf_counter() - began
    return spent


def peak_mib() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(task: str, path: Path, run: Path | None) -> dict[str, Any]:
    """Seconds and memory of one file."""
    import ecotf.audio.recording
    import ecotf.features

    if run is not None and task == "bats":
        import ecotf.inference.load  # noqa: F401
    before = peak_mib()
    spent = bats(path, run) if task == "bats" else birds(path)
    return {"seconds": spent, "peak_mib": peak_mib() - before}


def report(results: list[dict[str, Any]], console: Console) -> None:
    """A table of all files."""
    table = Table(title="hours of sound per minute of one core")
    for column in ("", *STAGES, "all", "memory, MiB"):
        table.add_column(column, justify="left" if not column else "right")
    for result in results:
        hours = [result["duration_s"] / (60 * s) if s > 0 else None for s in result["seconds"].values()]
        total = result["duration_s"] / (60 * sum(result["seconds"].values()))
        cells = ["-" if value is None else f"{value:.2f}" for value in (*hours, total)]
        table.add_row(f"{result['task']}, {result['format']}", *cells, f"{result['peak_mib']:.0f}")
    console.print(table)


def main() -> None:
    """Measure every task with every format, then report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="a finished run with a bat model")
    parser.add_argument("--seconds", type=float, default=60, help="of bat recording; of birds ten times as many")
    parser.add_argument("--output", type=Path, help="where to write JSON")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure(args.child[0], Path(args.child[1]), args.run)))
        return
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for task in RATES:
            for suffix in ("wav", "flac"):
                path = Path(folder) / f"{task}.{suffix}"
                seconds = args.seconds * (1 if task == "bats" else 10)
                write_sound(path, task, seconds)
                command = [sys.executable, __file__, "--child", task, str(path)]
                command += ["--run", str(args.run)] if args.run else []
                done = subprocess.run(
                    command, env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE, text=True, check=True
                )
                measured = json.loads(done.stdout.splitlines()[-1])
                results.append({"task": task, "format": suffix, "duration_s": seconds, **measured})
    report(results, Console())
    if args.output:
        args.output.write_text(json.dumps({"load": os.getloadavg(), "results": results}, indent=1))


if __name__ == "__main__":
    main()
