"""What limits the training of a tagger: clips per second of reading, of the pipeline, and of CNN14's training step.

Clips of 10 s at 32 kHz are made for the purpose, kept as WAV, FLAC, OGG and, by `ecotf dataset pack`, as rows of one
HDF5 file. Each line is a process of its own: its first batches pay for starting, and are not counted.

    python benchmarks/tagging_pipeline.py --output benchmarks/tagging_pipeline.md
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
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import soundfile

RATE, SECONDS, CLASSES, BATCH = 32_000, 10.0, 527, 32
READ = [(kind, decode) for kind in ("h5", "wav", "flac", "ogg") for decode in ("soundfile", "graph")]
STEPS = [("1.0", "8"), ("0.25", "8")]
EPOCH = 60_000


def main() -> None:
    """Measure everything, or one thing in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=160, help="how many are made; each is read three times")
    parser.add_argument("--output", type=Path, help="the page with the table")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        what, *rest = options.child
        print(json.dumps(read_clips(Path(rest[0]), *rest[1:]) if what == "read" else train(*map(float, rest))))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_clips(Path(folder), options.clips)
        rows = {}
        for kind, decode in READ:
            rows[f"{kind}, {decode}"] = in_a_process("read", folder, kind, decode)
        for width, batch in STEPS:
            rows[f"CNN14, width {width}"] = in_a_process("step", width, batch)
    page = page_of(rows, options.clips)
    print(page)
    if options.output:
        options.output.write_text(page)


def in_a_process(*words: str) -> dict[str, float]:
    """Measure one thing."""
    done = subprocess.run([sys.executable, __file__, "--child", *words], stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(words, found, file=sys.stderr, flush=True)
    return found


def write_clips(folder: Path, n: int) -> None:
    """Noise with a tone in it, as WAV, FLAC and OGG, and packed."""
    from ecotf.commands.main import main as ecotf

    lines = ["recording,start_s,end_s,label,split"]
    times = np.arange(round(SECONDS * RATE)) / RATE
    for number in range(n):
        rng = np.random.default_rng(number)
        sound = rng.normal(0, 0.03, len(times)) + 0.2 * np.sin(2 * np.pi * (500 + 40 * number) * times)
        for kind in ("wav", "flac", "ogg"):
            soundfile.write(folder / f"{number}.{kind}", sound, RATE)
        lines.append(f"{number}.wav,0,{SECONDS:g},class {number % 20},train")
    (folder / "clips.csv").write_text("\n".join(lines) + "\n")
    command = ["dataset", "pack", str(folder / "clips.csv"), "--output", str(folder / "packed.h5")]
    if ecotf(command):
        sys.exit("packing failed")


def read_clips(folder: Path, kind: str, decode: str) -> dict[str, float]:
    """Read clips as training does; with the sound alone, and with CNN14's spectrograms."""
    import tensorflow as tf

    from ecotf.features.image import ImageConfig
    from ecotf.pipelines.clips import ClipsConfig, ClipTable
    from ecotf.pipelines.crop_reading import CropReader, reader_of
    from ecotf.pipelines.crops import ClipSounds, SkippedRecordings
    from ecotf.pipelines.image_batches import ClipImages, clip_batches
    from ecotf.pipelines.sources import RecordingSource
    from ecotf.tasks.recipes import load_any_recipe

    names = sorted(path.stem for path in folder.glob("*.wav"))
    paths = [folder / (f"packed.h5#{name}.wav" if kind == "h5" else f"{name}.{kind}") for name in names]
    source = RecordingSource(decode=decode)
    clips = ClipsConfig(seconds=SECONDS, pad="zeros", source=source)
    sounds = ClipSounds(paths, RATE, source=source)
    recording = np.tile(np.arange(len(paths)), 4)
    table = ClipTable(
        recording, np.full(len(recording), np.nan), np.eye(CLASSES, dtype=np.float32)[recording % CLASSES],
        np.ones(len(recording), np.float32),
    )  # fmt: skip
    skipped = SkippedRecordings()
    reader = reader_of(CropReader(table, np.arange(len(table)), sounds, clips, skipped, (0, 0)))
    read = per_second(reader.read(tf.data.Dataset.range(len(table)), 2).batch(BATCH), len(paths))
    recipe = load_any_recipe("tagging/cnn14")
    images = ClipImages(sounds, recipe.front_end, ImageConfig(), clips, BATCH, skipped)
    whole = per_second(clip_batches(table, images), len(paths))
    if skipped.clips:
        sys.exit(skipped.lines()[0])
    return {"read": read, "images": whole, "peak_mb": peak_mb()}


def per_second(batches: object, first: int) -> float:
    """Clips per second after the first ``first`` clips."""
    seen, began = 0, 0.0
    for batch in batches:  # type: ignore[attr-defined]
        seen += len(batch[0])
        if not began and seen >= first:
            counted, began = seen, time.perf_counter()
    return (seen - counted) / (time.perf_counter() - began)


def train(width: float, batch: float) -> dict[str, float]:
    """Forward, backward and update of CNN14 on images in memory: three steps, of which the last two count."""
    import keras
    import tensorflow as tf

    from ecotf.models.image_network import build_clip_network
    from ecotf.tasks.clips.fit_clips import build_optimizer
    from ecotf.tasks.recipes import load_trainable

    recipe = load_trainable("tagging/cnn14", [f"network.backbone.width={width}"])
    keras.utils.set_random_seed(1)
    model = build_clip_network(recipe.network, CLASSES, (1001, 64, 1)).model
    optimizer = build_optimizer(recipe.stages[0], "float32")
    optimizer.build(model.trainable_variables)
    images = tf.random.normal([int(batch), 1001, 64, 1])
    targets = tf.one_hot(tf.range(int(batch)), CLASSES)

    @tf.function
    def step() -> object:
        with tf.GradientTape() as tape:
            logits = model(images, training=True)["clip"]
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(targets, logits))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    step()
    began = time.perf_counter()
    for _ in range(2):
        step()
    return {"step": 2 * batch / (time.perf_counter() - began), "peak_mb": peak_mb()}


def peak_mb() -> float:
    """The most memory that this process had, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def page_of(rows: dict[str, dict[str, float]], n: int) -> str:
    """Write the results as a page."""
    load = os.getloadavg()[0]
    lines = [
        "# What limits the training of a tagger",
        "",
        f"`python benchmarks/tagging_pipeline.py`: {n} clips of 10 s at 32 kHz, read again and again on two threads.",
        f"Clips per second; the load of the machine at the end was {load:.1f}. HDF5 rows are int16.",
        "",
        "| source | decoded by | reading alone | with spectrograms | peak MiB |",
        "|---|---|---:|---:|---:|",
    ]
    for kind, decode in READ:
        name = "HDF5" if kind == "h5" else kind.upper()
        by = "tensorflow-io in the graph"
        if decode == "soundfile":
            by = "a plain read in tf.data" if kind == "h5" else "soundfile in tf.data"
        row = rows[f"{kind}, {decode}"]
        lines.append(f"| {name} | {by} | {row['read']:.0f} | {row['images']:.0f} | {row['peak_mb']:.0f} |")
    head = "training step: forward, backward, update"
    lines += [
        "",
        f"| {head} | clips per second | peak MiB | epoch of {EPOCH:,} clips, computed |",
        "|---|---:|---:|---:|",
    ]
    for width, batch in STEPS:
        row = rows[f"CNN14, width {width}"]
        name, hours = f"CNN14, width {width}, batches of {batch}", EPOCH / row["step"] / 3600
        lines.append(f"| {name} | {row['step']:.2f} | {row['peak_mb']:.0f} | {hours:.1f} h |")
    slowest = min(rows[f"{kind}, graph"]["images"] for kind in ("h5", "wav", "flac", "ogg"))
    times = slowest / rows[f"CNN14, width {STEPS[0][0]}"]["step"]
    lines += ["", f"The slowest source in the graph gives {times:.0f} times as many clips as CNN14 can learn from.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
