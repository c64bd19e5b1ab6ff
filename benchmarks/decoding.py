"""Which decoder serves what: soundfile in blocks, soundfile whole, and tensorflow-io in the graph.

Measures seconds of sound decoded per second and the peak of memory above the imports, each in a process of its own, for
many short clips and for long recordings, WAV and FLAC at 384 kHz. Prints a table and writes JSON.

    python benchmarks/decoding.py --output decoding.json
"""

from __future__ import annotations

import argparse
import json
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from ecotf.audio.recording import open_recording

RATE = 384_000
BLOCK = 1 << 16
IN_BLOCKS = ("soundfile int16 blocks", "soundfile float32 blocks", "Recording.blocks")
WHOLE = ("soundfile in tf.data", "tensorflow-io in tf.data")


def read_int16_blocks(paths: list[str]) -> None:
    """Soundfile, int16, into one buffer."""
    buffer = np.empty((BLOCK, 1), np.int16)
    for path in paths:
        with soundfile.SoundFile(path) as sound:
            while len(sound.read(out=buffer)) > 0:
                pass


def read_float32_blocks(paths: list[str]) -> None:
    """Soundfile, float32, into one buffer."""
    buffer = np.empty((BLOCK, 1), np.float32)
    for path in paths:
        with soundfile.SoundFile(path) as sound:
            while len(sound.read(out=buffer)) > 0:
                pass


def read_recording_blocks(paths: list[str]) -> None:
    """Read a recording as ecotf streams it: header and metadata checked, every sample checked to be a number."""
    for path in paths:
        for _ in open_recording(path).blocks(BLOCK):
            pass


def read_in_tf_data_with_soundfile(paths: list[str]) -> None:
    """``tf.data`` calling soundfile through ``numpy_function``, in parallel."""
    import tensorflow as tf

    def decode(path: tf.Tensor) -> tf.Tensor:
        return tf.numpy_function(lambda name: soundfile.read(name.decode(), dtype="float32")[0], [path], tf.float32)

    for _ in tf.data.Dataset.from_tensor_slices(paths).map(decode, num_parallel_calls=tf.data.AUTOTUNE):
        pass


def read_in_graph(paths: list[str]) -> None:
    """``tf.data`` decoding in the graph with tensorflow-io, in parallel."""
    import tensorflow as tf

    from ecotf.audio.graph_decoding import decode_clip

    for _ in tf.data.Dataset.from_tensor_slices(paths).map(decode_clip, num_parallel_calls=tf.data.AUTOTUNE):
        pass


READERS: dict[str, Callable[[list[str]], None]] = dict(
    zip(
        (*IN_BLOCKS, *WHOLE),
        (
            read_int16_blocks,
            read_float32_blocks,
            read_recording_blocks,
            read_in_tf_data_with_soundfile,
            read_in_graph,
        ),
        strict=True,
    )
)


def make_sounds(folder: Path) -> dict[str, tuple[list[str], float]]:
    """Write what is to be decoded: workload name to files and their seconds of sound."""
    minute = (np.random.default_rng(0).standard_normal(60 * RATE) * 300).astype(np.int16)
    workloads: dict[str, tuple[list[str], float]] = {}
    for kind in ("wav", "flac"):
        clips = [folder / f"clip_{number:03d}.{kind}" for number in range(240)]
        for number, clip in enumerate(clips):
            soundfile.write(clip, minute[number * BLOCK : number * BLOCK + RATE // 2], RATE)
        workloads[f"240 clips of 0.5 s, {kind}"] = (list(map(str, clips)), 120.0)
        for minutes in (1, 5):
            path = folder / f"minutes_{minutes}.{kind}"
            with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as sound:
                for _ in range(minutes):
                    sound.write(minute)
            workloads[f"{minutes} min, {kind}"] = ([str(path)], 60.0 * minutes)
    hour = folder / "hour.wav"
    size = 3600 * RATE * 2
    with hour.open("wb") as file:  # silence takes no room on the disk, and as long to decode as sound
        header = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, RATE * 2, 2, 16)
        file.write(struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + header + struct.pack("<4sI", b"data", size))
        file.truncate(44 + size)
    workloads["60 min, wav"] = ([str(hour)], 3600.0)
    return workloads


def memory_kib(field: str) -> int:
    """``VmRSS`` (memory now) or ``VmHWM`` (its peak) of this process, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(field)))


def measure(reader: str, paths: list[str]) -> dict[str, float]:
    """Decode everything twice in this process; the faster time, and the peak of memory above the imports."""
    if reader in WHOLE:
        import tensorflow as tf
        import tensorflow_io  # noqa: F401 - so that its memory counts as an import, not as decoding

        tf.constant(0)
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before, seconds = memory_kib("VmRSS"), []
    for _ in range(2):
        start = time.perf_counter()
        READERS[reader](paths)
        seconds.append(time.perf_counter() - start)
    return {"seconds": min(seconds), "peak_mib": (memory_kib("VmHWM") - before) / 1024}


def results(folder: Path) -> Iterator[dict[str, str | float]]:
    """Measure every reader on every workload that it can hold in memory, each in a new process."""
    for workload, (paths, sound_s) in make_sounds(folder).items():
        for reader in READERS:
            if reader in WHOLE and sound_s > 600:
                continue
            command = [sys.executable, __file__, "--measure", reader, *paths]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                raise SystemExit(f"{reader} on {workload}: {done.stderr.strip().splitlines()[-1]}")
            measured = json.loads(done.stdout.splitlines()[-1])
            speed = sound_s / measured["seconds"]
            yield {"workload": workload, "reader": reader, "times_real_time": speed, "peak_mib": measured["peak_mib"]}


def main() -> None:
    """Run the benchmark, or, with ``--measure``, one measurement of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("decoding.json"), help="where the figures go, as JSON")
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure[0], arguments.measure[1:])))
        return
    table = Table("workload", "reader", "x real time", "peak MiB above imports")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for row in results(Path(folder)):
            rows.append(row)
            table.add_row(
                str(row["workload"]),
                str(row["reader"]),
                f"{row['times_real_time']:,.0f}",
                f"{row['peak_mib']:.1f}",
            )
    Console(width=110).print(table)
    arguments.output.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
