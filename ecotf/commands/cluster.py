"""``ecotf cluster``: the clips of an unlabelled archive in clusters, and names for them."""

from __future__ import annotations

from collections.abc import Sequence

from ecotf.commands.console import make_parser
from ecotf.commands.name_clusters import export, show

EXAMPLES = """\
examples:
  ecotf cluster show clusters/
  ecotf cluster export clusters/ --output manifest.csv
  ecotf cluster COMMAND --help
"""
PARTS = {"show": show, "export": export}
"""What the first argument may be, other than an archive (one with such a name is ./show)."""


def main(arguments: Sequence[str]) -> int:
    """Show or export clusters."""
    if arguments and arguments[0] in PARTS:
        return PARTS[arguments[0]](arguments[1:])
    parser = make_parser("cluster", "Name the clusters of an archive.", EXAMPLES)
    parser.add_argument("command", metavar="COMMAND", choices=tuple(PARTS), help="show or export")
    parser.parse_args(arguments)
    return 0
