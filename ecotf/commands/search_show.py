"""``ecotf search show``: the page on which the hits of a session are accepted and rejected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ecotf.commands.console import complaints, log, make_parser, plain

EXAMPLES = """\
examples:
  ecotf search show owls/
  ecotf search show owls/ --port 8017 --no-browser

Keys: a accepts a hit, r rejects it, u undoes, n learns from the decisions and shows the next picks, ? shows all keys.
Every decision is on the disk before the next one is taken.
"""


def main(arguments: Sequence[str]) -> int:
    """Show the page until Ctrl-C."""
    parser = make_parser("search show", "Accept and reject the hits of a session on a page of this machine.", EXAMPLES)
    parser.add_argument("session", metavar="SESSION", type=Path, help="a folder that ecotf search --output has made")
    parser.add_argument("--port", metavar="N", type=int, default=0, help="of the page (any free one)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    options = parser.parse_args(arguments)

    from ecotf.review.server import serve
    from ecotf.searching.reviewed import ReviewedHits
    from ecotf.searching.session import open_session

    reviewed = ReviewedHits(open_session(options.session))
    if reviewed.note:
        complaints.print(plain(reviewed.note))
    serve(reviewed, options.port, not options.no_browser, log)
    return 0
