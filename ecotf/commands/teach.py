"""``ecotf teach``: a model and a manifest in, the model's predictions out, for the stage ``distil`` to learn from."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ecotf.commands.console import log, make_parser, progress_bar

EXAMPLES = """\
examples:
  ecotf teach RUN clips/manifest.csv --output teacher.npz
  ecotf teach birdnet_2.4 clips/manifest.csv --model-file BirdNET.tflite --what embeddings --output teacher.npz
  ecotf train --recipe birds/small --data clips/manifest.csv stages.0.name=distil stages.0.teacher=teacher.npz

A small model that learns from the predictions of a large one is often better than one that learns from labels alone.
Teach with recordings that the student will be trained on; the teacher must not have seen any that either is tested on.
A stopped command continues where it was when it is called again.
exit status: 0 written, 1 written without some recordings, 2 nothing could be done
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("model", metavar="MODEL", help="a run folder, or an embedder: a file, folder or description")
    parser.add_argument("manifest", metavar="MANIFEST", type=Path, help="the clips that the student will learn from")
    parser.add_argument("--output", metavar="FILE", type=Path, required=True, help="the .npz file to write")
    parser.add_argument(
        "--what", choices=("scores", "embeddings"), default="scores", help="what the student will learn (scores)"
    )
    parser.add_argument("--model-file", metavar="FILE", type=Path, help="the model, where MODEL is a description of it")
    parser.add_argument("--cache", metavar="FOLDER", type=Path, help="where embeddings are kept for the next time")


def main(arguments: Sequence[str]) -> int:
    """Write a teacher's predictions."""
    parser = make_parser("teach", "Write a model's predictions for clips, for a smaller model to learn from.", EXAMPLES)
    add_arguments(parser)
    options = parser.parse_args(arguments)

    from ecotf.datasets.manifest import read_manifest
    from ecotf.tasks.teach import describe, open_teacher, teach

    manifest = read_manifest(options.manifest)
    teacher = open_teacher(options.model, options.what, options.model_file, options.cache)
    with progress_bar() as bar:
        task = bar.add_task("asking the teacher", total=len(manifest.recordings))
        taught = teach(
            teacher, manifest, options.output, log, lambda done, of: bar.update(task, completed=done, total=of)
        )
    log(describe(taught))
    log(f"predictions: {options.output}")
    log(f"next:        ecotf train --recipe RECIPE --data {options.manifest} stages.0.name=distil "
        f"stages.0.teacher={options.output}")  # fmt: skip
    if taught.left_out:
        log(f"{len(taught.left_out)} recordings could not be used")
    return 1 if taught.left_out else 0
