"""``ecotf dataset fetch``: a published data set, downloaded, checked and unpacked."""

from __future__ import annotations

import argparse
from pathlib import Path

from ecotf.commands.console import as_called, log, progress_bar
from ecotf.datasets.fetching.published import PUBLISHED

FETCH_EXAMPLES = """\
examples:
  fetch darksound-v2 --output darksound/
  fetch darksound-v1 --output darksound/
  fetch darksound-v1 --output darksound/ --archive ADDRESS --md5 CHECKSUM --archive ... (train, val, test)
  fetch darksound-v2 --output darksound/ --archive downloads/train.zip --archive downloads/test.zip

A download that was stopped goes on where it stopped. A file appears only when its checksum is right.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "data_set", metavar="NAME", help="; ".join(f"{name}: {one.about}" for name, one in PUBLISHED.items())
    )
    parser.add_argument("--output", metavar="FOLDER", type=Path, required=True, help="for archives and recordings")
    parser.add_argument(
        "--archive",
        action="append",
        default=[],
        metavar="PLACE",
        help="address or path of an archive, in the order of the data set; by default the published ones",
    )
    parser.add_argument(
        "--md5", action="append", default=[], metavar="CHECKSUM", help="of each archive that has an address"
    )
    parser.set_defaults(run=fetch_dataset)


def fetch_dataset(options: argparse.Namespace) -> int:
    """Fetch a data set and say how it is read."""
    from ecotf.datasets.fetching.published import archives_of, fetch

    archives = archives_of(options.data_set, options.archive, options.md5)
    with progress_bar() as bar:
        task = bar.add_task("bytes", total=None)
        fetch(archives, options.output, log, lambda done, of: bar.update(task, completed=done, total=of))
    importer = PUBLISHED[options.data_set].importer
    log(as_called(f"next: ecotf dataset import --format {importer} {options.output} --output manifest.csv"))
    return 0
