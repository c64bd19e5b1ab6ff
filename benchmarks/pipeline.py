"""Where the time goes from a file to its detections: decoding, features, model, events; bats and birds, WAV and FLAC.

Each file is worked through in a process of its own, in one thread, in blocks, as the classifier does; every stage is
timed apart, in processor time, which other work on the machine changes little (the best of three times). Speeds are
hours of sound per minute of one core; memory is the peak above what the imports take. The model is a run's (bats),
without which its stage is left out; with a run that has a gate, the table has lines with it, and the gate counts as
features.

Bats come in two kinds, simulated: `dense`, a dozen bats at once and all the time, as in short recordings that a bat set
off, and `night`, one bat passing in a minute, as in a recorder that runs on. The table says how many patches a second
the model saw.

    python benchmarks/pipeline.py --run runs/bats/hybrid_cnn_xgboost/2026-06-21_22-15-00 --output pipeline.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

RATES = {"bats, dense": 384_000, "bats, night": 384_000, "birds": 32_000}
REPEATS = 3
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")} | {
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
STAGES = ("decode", "features", "model", "events")


def write_sound(path: Path, kind: str, seconds: float) -> None:
    """Sound of one kind: scenes of half a minute with a dozen bats, minutes with one, or tones in noise for birds."""
    rate = RATES[kind]
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", rate, 1, "PCM_16") as file:
        if kind == "birds":
            t = np.arange(int(0.1 * rate)) / rate
            song = 0.3 * np.sin(2 * np.pi * (0.1 * rate * t + 0.2 * rate * t**2)) * np.hanning(len(t))
            for _ in range(int(seconds)):
                sound = rng.normal(size=rate) * 0.003
                for at in range(0, rate - len(song), rate // 4):
                    sound[at : at + len(song)] += song
                file.write(sound)
            return
        from ecotf.audio.simulate import SimulationConfig, simulate_recording

        bats, scene_s = (12, 30.0) if kind == "bats, dense" else (1, 60.0)
        config = SimulationConfig(
            duration_s=min(scene_s, seconds), sample_rate_hz=rate, seed=5, passes=(bats, bats), empty_fraction=0,
            bush_cricket_probability=0, rain_probability=0,
        )  # fmt: skip
        for index in range(max(1, round(seconds / scene_s))):
            file.write(simulate_recording(config, index)[0])


def timed_sound(path: Path, rate: int, spent: dict[str, float]) -> Iterator[np.ndarray]:
    """Return the recording in blocks of a second; adds up what decoding takes."""
    from ecotf.audio.recording import open_recording

    began = time.process_time()
    for block in open_recording(path).blocks(rate):
        spent["decode"] += time.process_time() - began
        yield block
        began = time.process_time()
    spent["decode"] += time.process_time() - began


def timed_pieces(pieces: Iterable[Any], spent: dict[str, float]) -> Iterator[Any]:
    """Pieces of a spectrogram; adds up what the features take, without the decoding inside of them."""
    coming = iter(pieces)
    while True:
        began, decoding = time.process_time(), spent["decode"]
        piece = next(coming, None)
        spent["features"] += time.process_time() - began - (spent["decode"] - decoding)
        if piece is None:
            return
        yield piece


def plain_pieces(made: Any, sound: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Return the spectrogram of sound that comes in blocks, piece by piece."""
    stream = made.stream()
    for block in sound:
        yield stream.push(block)
    yield stream.finish()


def gated_pieces(run: Any, made: Any, margin: int, sound: Iterable[np.ndarray]) -> Iterator[Any]:
    """Return the stretches of it that the run's gate lets through."""
    from ecotf.features.gated import GatedStream

    stream = GatedStream(made, run.recipe.detection.gate, run.gate.threshold_db, margin)
    for block in sound:
        yield from stream.push(block)
    yield from stream.finish()


def bats(path: Path, run: Any, gated: bool) -> tuple[dict[str, float], float]:
    """Seconds of every stage, and patches scored; without a run the features are those of the published hybrid."""
    from ecotf.features import BandSpectrogramConfig, build_spectrogram

    spent = dict.fromkeys(STAGES, 0.0)
    config = BandSpectrogramConfig(
        window_s=0.002322, hop_s=0.0005805, low_hz=4300, high_hz=116_300, gain=1036215.0, denoise="mean"
    )
    made: Any = build_spectrogram(config if run is None else run.recipe.front_end, RATES["bats, dense"])
    sound = timed_sound(path, made.sample_rate, spent)
    if run is None:
        for _ in timed_pieces(plain_pieces(made, sound), spent):
            pass
        return spent, 0.0
    from ecotf.detection.candidates import CandidateFinder
    from ecotf.detection.scoring import Stopwatch

    finder = CandidateFinder(run.detector, run.recipe.detection, run.recipe.peaks, made)
    watch, began = Stopwatch(), time.process_time()
    pieces = timed_pieces(gated_pieces(run, made, finder.margin, sound) if gated else plain_pieces(made, sound), spent)
    finder.candidates(pieces, watch)
    spent["model"] = watch.networks_s + watch.trees_s
    spent["events"] = time.process_time() - began - spent["model"] - spent["decode"] - spent["features"]
    return spent, watch.patches


def birds(path: Path) -> dict[str, float]:
    """Seconds of decoding, of log-mel features, and of smoothing and picking peaks in a band's levels."""
    from ecotf._kernels.events import local_maxima, smooth_gaussian
    from ecotf.features import MelSpectrogramConfig, build_spectrogram

    spent = dict.fromkeys(STAGES, 0.0)
    config = MelSpectrogramConfig(window_s=0.032, hop_s=0.01, low_hz=50, high_hz=14_000, bands=64)
    sound = timed_sound(path, RATES["birds"], spent)
    for piece in timed_pieces(plain_pieces(build_spectrogram(config, RATES["birds"]), sound), spent):
        began = time.process_time()
        for track in smooth_gaussian(piece[:, ::8], 2.0).T:
            local_maxima(np.ascontiguousarray(track), 5, -60.0)
        spent["events"] += time.process_time() - began
    return spent


def peak_mib() -> float:
    """Return the most memory that this process has had; of getrusage it would be the parent's, where that was more."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(kind: str, path: Path, run_path: Path | None, gated: bool) -> dict[str, Any]:
    """Seconds, patches and memory of one file; the best of some times, the first of which compiles the graph."""
    import ecotf.audio.recording
    import ecotf.features
    import ecotf.inference.listen  # noqa: F401
    from ecotf.detection import scoring

    scoring.perf_counter = time.process_time  # type: ignore[attr-defined]
    run = None
    if run_path is not None and kind != "birds":
        import keras
        import xgboost  # noqa: F401

        from ecotf.tasks.calls.run import load_run

        keras.backend.clear_session()  # what comes with the import counts as import
        before = peak_mib()
        run = load_run(run_path)
        run.detector.run(np.zeros((1, *run.detector.networks[0].model.input_shape[1:]), np.float32))
        if gated and run.gate is None:
            return {}
    else:
        before = peak_mib()
    times = [bats(path, run, gated) if kind != "birds" else (birds(path), 0.0) for _ in range(REPEATS)]
    spent, patches = min(times, key=lambda one: sum(one[0].values()))
    return {"seconds": spent, "patches": patches, "peak_mib": peak_mib() - before}


def report(results: list[dict[str, Any]], console: Console) -> None:
    """A table of all files."""
    table = Table(title="hours of sound per minute of one core")
    for column in ("", *STAGES, "all", "patches/s", "memory, MiB"):
        table.add_column(column, justify="left" if not column else "right")
    for result in results:
        hours = [result["duration_s"] / (60 * s) if s > 0 else None for s in result["seconds"].values()]
        total = result["duration_s"] / (60 * sum(result["seconds"].values()))
        cells = ["-" if value is None else f"{value:.2f}" for value in (*hours, total)]
        patches = f"{result['patches'] / result['duration_s']:.1f}" if result["patches"] else "-"
        table.add_row(result["name"], *cells, patches, f"{result['peak_mib']:.0f}")
    console.print(table)


def main() -> None:
    """Measure every task with every format, then report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, help="a finished run with a bat model")
    parser.add_argument("--seconds", type=float, default=60, help="of bat recording; of birds ten times as many")
    parser.add_argument("--output", type=Path, help="where to write JSON")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        kind, path, gated = args.child
        print(json.dumps(measure(kind, Path(path), args.run, gated == "gate")))
        return
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in RATES:
            seconds = args.seconds * (10 if kind == "birds" else 1)
            for suffix in ("wav", "flac"):
                path = Path(folder) / f"{kind.replace(', ', '_')}.{suffix}"
                write_sound(path, kind, seconds)
                for gate in ("no gate", "gate") if args.run and kind != "birds" else ("no gate",):
                    command = [sys.executable, __file__, "--child", kind, str(path), gate]
                    command += ["--run", str(args.run)] if args.run else []
                    done = subprocess.run(
                        command, env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE, text=True, check=True
                    )
                    measured = json.loads(done.stdout.splitlines()[-1])
                    name = f"{kind}, {suffix}{', gate' if gate == 'gate' else ''}"
                    results += [{"name": name, "duration_s": seconds, **measured}] if measured else []
    report(results, Console())
    if args.output:
        args.output.write_text(json.dumps({"load": os.getloadavg(), "results": results}, indent=1))


if __name__ == "__main__":
    main()
