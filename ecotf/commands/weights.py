"""``ecotf weights``: weights that others have published, for models of ecotf."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ecotf.commands.console import log, make_parser
from ecotf.errors import ConfigError

BACKBONE = ".weights.h5"
EXAMPLES = """\
examples:
  ecotf weights convert Cnn14_mAP=0.431.pth --run runs/cnn14 --labels class_labels_indices.csv
  ecotf classify recordings/ --model runs/cnn14 --output results/
  ecotf weights convert Cnn14_mAP=0.431.pth --output cnn14.npz
  ecotf train --recipe tagging/cnn14 --data manifest.csv stages.0.weights_from=cnn14.npz stages.0.learning_rate=1e-4
  ecotf weights convert resnet18-f37072fd.pth --output resnet18.weights.h5
  ecotf train --recipe fewshot/darksound_v1 --data manifest.csv network.backbone.weights=resnet18.weights.h5

A checkpoint of PANNs, EfficientAT or torchvision (ResNet-18) is a file for PyTorch; you download it yourself, under its
own licence. Reading it needs PyTorch (pip install 'ecotf[torch]'); nothing after that does. Classes that your
recordings share with it by name keep what it has learned of them.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("action", choices=("convert",), help="convert: make a model of ours from a PyTorch checkpoint")
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="the file for PyTorch (.pth, .pt)")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="weights to begin with (.npz), or of a backbone (.weights.h5)"
    )
    parser.add_argument("--run", type=Path, metavar="FOLDER", help="write a run that can classify, embed and export")
    parser.add_argument("--model", metavar="NAME", help="which published model it is (by default it is recognised)")
    parser.add_argument(
        "--labels", type=Path, metavar="CSV", help="names of its classes (AudioSet: class_labels_indices.csv)"
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings of its recipe to change")


def main(arguments: Sequence[str]) -> int:
    """Convert a checkpoint."""
    parser = make_parser("weights", "Make a model of ecotf from a published PyTorch checkpoint.", EXAMPLES)
    add_arguments(parser)
    options = parser.parse_intermixed_args(arguments)
    if options.output is None and options.run is None:
        raise ConfigError("--output FILE.npz (to begin a training with), --run FOLDER (to use it as it is), or both")
    if options.output is not None and options.output.name.endswith(BACKBONE):
        return _convert_backbone(options)
    if options.output is not None and options.output.suffix != ".npz":
        raise ConfigError(
            f"--output {options.output}: must end in .npz, which a recipe's weights_from asks for, or for a backbone "
            f"in {BACKBONE}, which network.backbone.weights asks for"
        )
    if options.run is not None and options.run.exists():
        raise ConfigError(f"--run {options.run}: is there already; give the name of a new folder")
    from ecotf.tasks.clips.published_run import convert_checkpoint, write_run, write_weights

    converted = convert_checkpoint(options.checkpoint, options.model, options.labels, options.overrides)
    network = converted.model.network
    classes = len(converted.model.classes)
    log(f"{converted.source}: {converted.recipe.name}, {network.n_parameters:,} parameters, {classes} classes")
    if options.output is not None:
        write_weights(converted, options.output)
        log(f"weights: {options.output}; begin a training with stages.0.weights_from={options.output}")
    if options.run is not None:
        write_run(converted, options.run)
        log(f"run:     {options.run}; its thresholds are a guess, 0.5 for every class, that no recording has fitted")
        log(f"next:    ecotf classify RECORDINGS --model {options.run} --output results")
    return 0


def _convert_backbone(options: argparse.Namespace) -> int:
    """Convert a checkpoint of a backbone alone."""
    if options.run is not None or options.labels is not None or options.model is not None or options.overrides:
        raise ConfigError(
            f"--output {options.output}: a backbone has no classes and no recipe; leave out --run, --labels, --model "
            "and key=value"
        )
    from ecotf.models.published.torchvision import convert_backbone

    backbone = convert_backbone(options.checkpoint, options.output)
    log(f"{options.checkpoint.name}: a backbone of {backbone.count_params():,} parameters, its classes left out")
    log(f"weights: {options.output}; begin a training with network.backbone.weights={options.output}")
    return 0
