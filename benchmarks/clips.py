"""Whether clips come faster than a model can learn from them: clips per second of the pipeline and of a training step.

Recordings are made for the purpose: 30 s of noise with sweeps in it, OGG at 32 kHz, as BirdCLEF has them. The step is
forward, backward and update of ecotf's small network (or another) on images that lie in memory. The last row trains
from the pipeline: where it is as fast as the step alone, decoding keeps ahead.

    python benchmarks/clips.py --recordings 64 --batch 32 --output clips.json
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

RATE = 32_000
CLASSES = 50
PUBLISHED = {
    "noise_injection": {"probability": 0.5, "amplitude": [0, 0.04]},
    "gaussian_noise": {"probability": 0.5, "snr_db": [5, 20]},
    "pink_noise": {"probability": 0.5, "snr_db": [5, 20]},
    "gain": {"probability": 0.5, "db": [-15, 15]},
    "gain_ramp": {"probability": 0.5, "db": [-15, 15]},
    "one_of": [
        {"names": ["noise_injection", "gaussian_noise", "pink_noise"], "probability": 0.3},
        {"names": ["gain", "gain_ramp"], "probability": 0.8},
    ],
    "backgrounds": [{"probability": 0.6, "snr_db": [0, 3]}],
    "sum_mixup": {"probability": 0.7, "double": 0.5},
    "time_shift": {"probability": 0.4},
}
PUBLISHED_IMAGE = {
    "mixup": {"probability": 0.15},
    "time_mask": {"probability": 0.5, "width": 60},
    "frequency_mask": {"probability": 0.25, "width": 24},
    "attenuation": {"probability": 0.5},
}


def write_recordings(folder: Path, n: int, seconds: float) -> list[Path]:
    """Noise with a falling sweep every second."""
    paths = []
    for i in range(n):
        rng = np.random.default_rng(i)
        sound = rng.normal(0, 0.02, round(seconds * RATE))
        t = np.arange(RATE // 5) / RATE
        call = 0.2 * np.sin(2 * np.pi * (3000 + 100 * i) * t - 2 * np.pi * 4000 * t**2) * np.hanning(len(t))
        for second in range(int(seconds) - 1):
            at = second * RATE + int(rng.integers(0, RATE // 2))
            sound[at : at + len(call)] += call
        paths.append(folder / f"XC{i}.ogg")
        soundfile.write(paths[-1], sound, RATE, format="OGG")
    return paths


class Measured:
    """Clips, seconds by the clock and seconds of processor time of each thing that was done."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, float]] = {}

    def run(self, name: str, work: Callable[[], int]) -> None:
        """Do the work, which says how many clips it was."""
        began, used = time.perf_counter(), time.process_time()
        clips = work()
        self.rows[name] = {
            "clips": clips,
            "clock_s": time.perf_counter() - began,
            "processor_s": time.process_time() - used,
        }

    def table(self) -> Table:
        """Return all rows."""
        table = Table(title="clips")
        for column in ("", "clips", "per second", "per processor second"):
            table.add_column(column, justify="left" if not column else "right")
        for name, row in self.rows.items():
            rates = (row["clips"] / row["clock_s"], row["clips"] / row["processor_s"])
            table.add_row(name, f"{row['clips']:.0f}", *(f"{rate:.1f}" for rate in rates))
        return table


def begun(batches: Any) -> Iterator[Any]:
    """Return the batches from the third on; the ones before it pay for building the graph."""
    iterator = iter(batches)
    next(iterator)
    next(iterator)
    return iterator


def main() -> None:
    """Measure, then print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=30, help="length of a recording")
    parser.add_argument("--clip", type=float, default=5, help="length of a clip in seconds")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=8, help="clips of each recording in every measurement")
    parser.add_argument("--backbone", default="small")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, help="where to write JSON")
    args = parser.parse_args()

    import keras
    import tensorflow as tf

    from ecotf.config import validate
    from ecotf.features import MelSpectrogramConfig, build_spectrogram
    from ecotf.features.image import ImageConfig
    from ecotf.models.image_network import ClipNetworkConfig, build_clip_network
    from ecotf.pipelines.augment_image import AugmentImageConfig
    from ecotf.pipelines.augment_sound import AugmentSoundConfig
    from ecotf.pipelines.clips import ClipsConfig, ClipTable
    from ecotf.pipelines.crops import ClipSounds
    from ecotf.pipelines.image_batches import ClipImages, EpochDraws, clip_batches
    from ecotf.pipelines.samplers import SamplerConfig
    from ecotf.pipelines.sources import RecordingSource

    front_end = MelSpectrogramConfig(
        window_s=2048 / RATE, hop_s=512 / RATE, low_hz=50, high_hz=14_000, bands=128, centred=True, power="plain"
    )
    image, clips = ImageConfig(), ClipsConfig(seconds=args.clip)
    rng = np.random.default_rng(0)
    recording = np.tile(np.arange(args.recordings), args.epochs)
    targets = np.eye(CLASSES, dtype=np.float32)[recording % CLASSES]
    table = ClipTable(recording, np.full(len(recording), np.nan), targets, np.ones(len(recording), np.float32))
    sound = AugmentSoundConfig.model_validate(PUBLISHED)
    with_pitch = AugmentSoundConfig.model_validate({**PUBLISHED, "pitch_shift": {"probability": 0.4}})
    masks = AugmentImageConfig.model_validate(PUBLISHED_IMAGE)
    shape = (build_spectrogram(front_end, RATE).n_frames(round(args.clip * RATE)), front_end.bands, image.channels)
    keras.utils.set_random_seed(0)
    network = validate(ClipNetworkConfig, {"backbone": {"name": args.backbone}, "head": {"name": "sed"}}, "benchmark")
    model = build_clip_network(network, CLASSES, shape).model
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(images: Any, wanted: Any, weight: Any) -> Any:
        with tf.GradientTape() as tape:
            losses = tf.nn.sigmoid_cross_entropy_with_logits(wanted, model(images, training=True)["clip"])
            loss = tf.reduce_mean(tf.reduce_sum(losses, 1) * weight)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    measured = Measured()
    with tempfile.TemporaryDirectory() as folder:
        paths = write_recordings(Path(folder), args.recordings, args.seconds)
        rain = ClipSounds(paths[:4], RATE, Path(folder) / "rain")

        def epoch(cache: bool, number: int, clips: ClipsConfig = clips, **augmentation: Any) -> Any:
            sounds = ClipSounds(paths, RATE, Path(folder) / "cache" if cache else None)
            images = ClipImages(sounds, front_end, image, clips, args.batch, threads=args.threads, drop_last=True)
            backgrounds = [rain] if "sound" in augmentation else []
            draws = EpochDraws(0, number, SamplerConfig(), backgrounds=backgrounds, **augmentation)
            return clip_batches(table, images, draws)

        def drained(name: str, batches: Any) -> None:
            iterator = begun(batches)
            measured.run(name, lambda: sum(len(weight) for _, _, weight in iterator))

        def trained(name: str, batches: Any) -> None:
            iterator = begun(batches)
            measured.run(name, lambda: sum(len(w) for x, y, w in iterator if step(x, y, w) is not None))

        x = tf.constant(rng.uniform(0, 1, (args.batch, *shape)).astype(np.float32))
        y, w = tf.constant(targets[: args.batch]), tf.ones(args.batch)
        step(x, y, w)  # compiles

        def steps_alone() -> int:
            for _ in range(5):
                step(x, y, w)
            return 5 * args.batch

        published = {"sound": sound, "image": masks}
        drained("pipeline, every crop decoded anew", epoch(False, 0))
        in_graph = clips.model_copy(update={"source": RecordingSource(decode="graph")})
        drained("pipeline, every file decoded in the graph", epoch(False, 0, in_graph))
        drained("pipeline, first epoch (decodes, keeps)", epoch(True, 0))
        drained("pipeline, later epochs", epoch(True, 1))
        drained("pipeline, later, augmented", epoch(True, 2, **published))
        drained(
            "pipeline, later, augmented, pitch shift too",
            epoch(True, 3, sound=with_pitch, image=masks),
        )
        measured.run(f"training step alone, {args.backbone}", steps_alone)
        trained("trained from the pipeline, augmented", epoch(True, 4, **published))
    Console(width=110).print(measured.table())
    if args.output:
        args.output.write_text(json.dumps({"load": os.getloadavg(), "rows": measured.rows}, indent=1))


if __name__ == "__main__":
    main()
