"""``ecotf search export``: the decided hits of a session as a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ecotf.commands.console import log, make_parser

EXAMPLES = """\
examples:
  ecotf search export owls/ --output calls/owls.csv

Each decided hit is cut out as a clip of its own, beside the manifest: accepted ones with the label, rejected ones as
recordings without an annotation. Then a head is trained, exported and put on recorders as with any manifest.
"""


def main(arguments: Sequence[str]) -> int:
    """Export a session."""
    parser = make_parser("search export", "Write the decided hits of a session as a manifest for training.", EXAMPLES)
    parser.add_argument("session", metavar="SESSION", type=Path, help="a folder that ecotf search --output has made")
    parser.add_argument("--output", metavar="FILE", type=Path, required=True, help="a .csv or .parquet")
    parser.add_argument("--overwrite", action="store_true", help="replace it if it is there")
    options = parser.parse_args(arguments)

    from ecotf.searching.export import export_manifest, training_command
    from ecotf.searching.session import open_session

    session = open_session(options.session)
    made = export_manifest(session, options.output, options.overwrite)
    for line in made.lines:
        log(line)
    log(f"{made.accepted} clips of {session.facts.label}, {made.rejected} without it: {made.clips}")
    log(f"manifest: {options.output}")
    log(f"next:     {training_command(session, options.output)}")
    return 0
