"""``ecotf dataset split``: a manifest dealt into train, valid and test, by groups or by species, or into folds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ecotf.commands.console import log
from ecotf.errors import ConfigError

if TYPE_CHECKING:
    from ecotf.datasets.manifest import Manifest

SPLIT_EXAMPLES = """\
examples:
  split manifest.csv --output split.csv
  split manifest.csv --output split.csv --group-by '^(site_[0-9]+)_' --valid 0.2 --test 0
  split manifest.csv --output split.csv --by species
  split manifest.csv --output folds/ --folds 5

No group is cut: recordings of one group stay on one side (without groups, each recording is its own group), and the
labels are spread over the sides as evenly as the groups allow. With --by species, all recordings of a species are on
one side, and recordings with species of two sides are named and left out (few-shot learning). With --folds, every
group is in the test of one fold.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--output", type=Path, required=True, help="a .csv or .parquet file; with --folds, a folder")
    parser.add_argument("--valid", type=float, default=0.15, metavar="SHARE", help="share for validation (0.15)")
    parser.add_argument("--test", type=float, default=0.15, metavar="SHARE", help="share for the test (0.15)")
    parser.add_argument("--folds", type=int, metavar="N", help="cross-validation: N manifests, each with its own test")
    parser.add_argument(
        "--keep-lone",
        action="store_true",
        help="with --folds: a group with a label that no other has stays in train in every fold",
    )
    parser.add_argument(
        "--by", choices=("group", "species"), default="group", help="what is dealt to the sides (group)"
    )
    parser.add_argument("--group-by", metavar="WHAT", help="as of import; else the manifest's own groups")
    parser.add_argument("--seed", type=int, default=1979, help="the same seed gives the same split (1979)")
    parser.set_defaults(run=split_dataset)


def split_dataset(options: argparse.Namespace) -> int:
    """Split a manifest, or make one of each fold."""
    from ecotf.datasets.data_config import DataConfig
    from ecotf.datasets.manifest import read_manifest, write_manifest
    from ecotf.datasets.species_splits import split_by_species
    from ecotf.datasets.splits import describe_gaps, folds_by_group, lone_labels, split_by_group

    manifest = read_manifest(options.manifest)
    if options.by == "species" and options.folds is not None:
        raise ConfigError("--by species does not go with --folds; leave out one of them")
    if options.group_by is not None:
        manifest = manifest.with_groups(options.group_by)
    if options.folds is None:
        shares = {"valid": options.valid, "test": options.test}
        shares["train"] = round(1 - sum(shares.values()), 6)
        if options.by == "species":
            split, left_out = split_by_species(manifest, shares, options.seed, DataConfig().no_species(manifest.labels))
            for name, why in left_out.items():
                log(f"left out: {name}: {why}")
            result = {options.output: split}
        else:
            result = {options.output: split_by_group(manifest, shares, options.seed)}
    else:
        if options.output.suffix:
            raise ConfigError(f"--output {str(options.output)!r}: with --folds it is the folder for fold_0.csv and on")
        result = {
            options.output / f"fold_{number}.csv": _with_validation(fold, options.valid, options.seed + number)
            for number, fold in enumerate(
                folds_by_group(manifest, options.folds, options.seed, keep_lone=options.keep_lone)
            )
        }
        for label in lone_labels(manifest) if options.keep_lone else []:
            log(f"label {label!r} stays in train in every fold: 1 group has it")
    for path, split in result.items():
        write_manifest(split, path)
        sides = ", ".join(f"{len(split.of_split(side).recordings)} {side}" for side in ("train", "valid", "test"))
        log(f"{path}: {sides}")
        if options.folds is None and options.by == "group":
            for gap in describe_gaps(split):
                log(f"  {gap}")
    return 0


def _with_validation(fold: Manifest, share: float, seed: int) -> Manifest:
    """Set part of a fold's training recordings aside for validation: the test must not choose thresholds."""

    from ecotf.datasets.splits import split_by_group

    test = fold.of_split("test").recordings
    rest = fold.subset(set(fold.recordings).difference(test))
    if share:
        rest = split_by_group(rest, {"train": 1 - share, "valid": share}, seed)
    sides = {name: side for side in ("train", "valid") for name in rest.of_split(side).recordings}
    return fold.with_splits(sides | dict.fromkeys(test, "test"))
