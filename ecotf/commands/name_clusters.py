"""``ecotf cluster show`` and ``ecotf cluster export``: name clusters on a page, and take the names to a training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ecotf.commands.console import complaints, log, make_parser, plain
from ecotf.errors import ConfigError

SHOW_EXAMPLES = """\
examples:
  ecotf cluster show clusters/
  ecotf cluster show clusters/ --port 8000 --no-browser

The page is for this computer alone: nobody on the network can open it, and it loads nothing from the internet. To see
it from another computer, use ssh: ssh -L 8000:127.0.0.1:8000 THIS_COMPUTER, then open the printed address there.
Every decision is in clusters/decisions.jsonl at once, so the page can be closed at any time. Ctrl-C ends it.
"""

EXPORT_EXAMPLES = """\
examples:
  ecotf cluster export clusters/ --output manifest.csv
  ecotf cluster export clusters/ --output manifest.csv --noise leave --unnamed leave
  ecotf train --recipe tagging/transfer --data manifest.csv embedder.model=BirdNET.tflite

A row of the manifest is a clip with the name of its cluster; a group is a recording. Clips of clusters that were called
noise have the label noise: training hears them as sound without an event. Clips without a name have the label unknown:
training neither learns from them nor takes them for sound without an event.
"""


def show(arguments: Sequence[str]) -> int:
    """Open the page of a folder of clusters until Ctrl-C."""
    parser = make_parser("cluster show", "Hear, see and name clusters in the browser.", SHOW_EXAMPLES)
    parser.add_argument("clusters", metavar="FOLDER", type=Path, help="a folder that ecotf cluster has written")
    parser.add_argument("--port", type=int, default=0, help="of the page's address (any free one)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    options = parser.parse_args(arguments)
    if not 0 <= options.port <= 65535:
        raise ConfigError(f"--port {options.port}: allowed are 1 to 65535, or 0 for any free one")
    from ecotf.discovery.folder import open_clusters
    from ecotf.review.clusters import ReviewedClusters
    from ecotf.review.server import serve

    reviewed = ReviewedClusters(open_clusters(options.clusters))
    if reviewed.note:
        complaints.print(plain(reviewed.note))
    serve(reviewed, options.port, not options.no_browser, log)
    log("the page is closed; every decision is kept")
    return 0


def export(arguments: Sequence[str]) -> int:
    """Write a manifest of the clips of named clusters."""
    parser = make_parser("cluster export", "Write the clips of named clusters as a manifest.", EXPORT_EXAMPLES)
    parser.add_argument("clusters", metavar="FOLDER", type=Path, help="a folder that ecotf cluster has written")
    parser.add_argument("--output", metavar="FILE", type=Path, required=True, help="a .csv or .parquet file")
    parser.add_argument(
        "--noise", choices=("label", "leave"), default="label",
        help="clips of clusters called noise get the label noise (label), or are left out",
    )  # fmt: skip
    parser.add_argument(
        "--unnamed", choices=("unknown", "leave"), default="unknown",
        help="clips without a name get the label unknown (unknown), or are left out",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    options = parser.parse_args(arguments)
    from ecotf.discovery.folder import open_clusters
    from ecotf.review.export import export_manifest

    made = export_manifest(
        open_clusters(options.clusters), options.output, options.noise, options.unnamed, options.overwrite
    )
    for line in made.lines:
        log(line)
    for label, count in made.labels.items():
        log(f"  {count:6} {label}")
    log(f"manifest: {options.output} ({sum(made.labels.values())} clips of {made.recordings} recordings)")
    return 0
