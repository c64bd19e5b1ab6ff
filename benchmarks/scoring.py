"""Measure the cost of scoring a recording: patches on peaks against the published way, a window on every slice.

    taskset -c 0 python benchmarks/scoring.py --data ../shared/data --trained runs/real --models field cnn8

For each model of `bats_real.py` (fold 0): patches and multiply-adds for a second of sound, real-time factor on one core
and peak memory. The sound is real: the annotated bat recordings one after the other, 60 s of it. The published way is
measured on `--exact-seconds` of it. `bats_real.py --exact` gives the AP of both.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from ecotf.commands.console import console
from ecotf.quiet import quieten_libraries

quieten_libraries()


def multiply_adds(detector) -> float:
    """Multiply-adds of the networks for one window, counted by TensorFlow's profiler (trees only compare)."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    total = 0.0
    for network in detector.networks:
        function = tf.function(lambda x, model=network.model: model(x, training=False))
        concrete = function.get_concrete_function(tf.TensorSpec([1, *network.model.input_shape[1:]], tf.float32))
        graph = convert_variables_to_constants_v2(concrete).graph
        options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
        options["output"] = "none"
        total += tf.compat.v1.profiler.profile(graph, options=options).total_float_ops / 2
    return total


def measure(options: argparse.Namespace) -> dict:
    """One model, one way; run in a process of its own, so that its peak memory is its own."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from bats_real import real_folds

    from ecotf.audio.recording import open_recording
    from ecotf.detection.candidates import CandidateFinder, DetectionConfig
    from ecotf.detection.scoring import EXACT, Stopwatch
    from ecotf.features.spectrogram import BandSpectrogram
    from ecotf.models.saved import load_weights
    from ecotf.pipelines.spectrogram_store import SpectrogramStore
    from ecotf.tasks.calls.data import prepare_data
    from ecotf.tasks.calls.train import fresh_detector
    from ecotf.tasks.recipes import load_recipe

    (model,) = options.models
    recipe = load_recipe(f"bats/{model}", options.set)
    manifest = real_folds(options.data)[0]
    data = prepare_data(
        manifest, recipe.data, SpectrogramStore(None, recipe.front_end), recipe.seed, lambda line: None, 1
    )
    detector = load_weights(
        fresh_detector(recipe, data.species), options.trained / model / "fold_0" / "model", recipe.trees is not None
    )
    detection, seconds = recipe.detection, 60.0
    if options.exact:
        detection = DetectionConfig(**{**dict(detection), "scoring": EXACT})
        detector, seconds = detector.with_trees(None), options.exact_seconds
    paths = [data.manifest.path_of(name) for name in data.manifest.recordings]
    detector.run(np.zeros((1, *detector.networks[0].model.input_shape[1:]), np.float32))  # compiles
    watch, spent, done = Stopwatch(), 0.0, 0.0
    for path in paths:
        if done >= seconds:
            break
        recording = open_recording(path)
        sound = recording.read(0, min(recording.duration_s, seconds - done))
        began = perf_counter()
        spectrogram = BandSpectrogram(recipe.front_end, recording.sample_rate)
        CandidateFinder(detector, detection, recipe.peaks, spectrogram).candidates([spectrogram(sound)], watch)
        spent += perf_counter() - began
        done += len(sound) / recording.sample_rate
    per_window = multiply_adds(detector)
    return {
        "model": model,
        "way": "every slice" if options.exact else "peaks",
        "seconds_of_sound": done,
        "patches_per_s": watch.patches / done,
        "mmac_per_patch": per_window / 1e6,
        "gmac_per_s": per_window * watch.patches / done / 1e9,
        "real_time_factor": spent / done,
        "trees_share": watch.trees_s / spent,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Measure every model in both ways and print a table."""
    from rich.table import Table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--trained", type=Path, default=Path("runs/real"), help="output folder of bats_real.py")
    parser.add_argument("--models", nargs="+", default=["field", "cnn8"])
    parser.add_argument("--exact-seconds", type=float, default=10.0)
    parser.add_argument("--exact", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, default=None, help="write the figures here")
    parser.add_argument("--set", nargs="*", default=[], metavar="key=value")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options)))
        return
    rows = []
    for model in options.models:
        for exact in ([], ["--exact"]):
            command = [sys.executable, __file__, "--one", *exact, "--data", str(options.data), "--models", model]
            command += ["--trained", str(options.trained), "--exact-seconds", str(options.exact_seconds)]
            command += ["--set", *options.set]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rows.append(json.loads(done.stdout.strip().splitlines()[-1]))
    table = Table("model", "way", "patches/s", "GMAC/s", "real-time factor", "of it trees", "peak MB")
    for row in rows:
        table.add_row(
            row["model"],
            row["way"],
            f"{row['patches_per_s']:.0f}",
            f"{row['gmac_per_s']:.3f}",
            f"{row['real_time_factor']:.3f}",
            f"{row['trees_share']:.0%}",
            f"{row['peak_memory_mb']:.0f}",
        )
    console.print(table)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
