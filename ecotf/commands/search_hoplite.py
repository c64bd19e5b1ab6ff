"""``ecotf search export-hoplite``: embeddings as a database of perch-hoplite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ecotf.commands.console import log, make_parser

EXAMPLES = """\
examples:
  ecotf search export-hoplite embeddings/ --output hoplite/
  ecotf search export-hoplite embeddings/ --session owls/ --output hoplite/

OUTPUT holds hoplite.sqlite and usearch.index, as perch-hoplite 1.0 opens them. It needs the package usearch.
"""


def main(arguments: Sequence[str]) -> int:
    """Export embeddings."""
    parser = make_parser("search export-hoplite", "Write embeddings as a database of perch-hoplite.", EXAMPLES)
    parser.add_argument("embeddings", metavar="EMBEDDINGS", type=Path, help="a folder that ecotf embed has written")
    parser.add_argument("--output", metavar="FOLDER", type=Path, required=True, help="where the database is written")
    parser.add_argument("--session", metavar="SESSION", type=Path, help="its decisions become annotations")
    parser.add_argument("--overwrite", action="store_true", help="replace it if it is there")
    options = parser.parse_args(arguments)

    from ecotf.embeddings.store import open_embeddings
    from ecotf.searching.hoplite import export_hoplite
    from ecotf.searching.session import open_session

    session = None if options.session is None else open_session(options.session)
    made = export_hoplite(open_embeddings(options.embeddings), options.output, session, options.overwrite)
    log(f"{made.windows} windows of {made.recordings} recordings, {made.annotations} annotations: {options.output}")
    return 0
