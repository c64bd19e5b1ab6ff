"""``ecotf search next``: learn from a session's decisions, say whether they are enough, and pick what is next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ecotf.commands.console import log, make_parser
from ecotf.errors import ConfigError

if TYPE_CHECKING:
    from ecotf.searching.learning import Curve

EXAMPLES = """\
examples:
  ecotf search next owls/
  ecotf search next owls/ --curve

Picks are the likeliest rows, doubtful ones, ones unlike all others, and some by chance, in the session's shares.
"""


def main(arguments: Sequence[str]) -> int:
    """Make the next picks, and print them and the learning curve."""
    parser = make_parser(
        "search next", "Learn from the decisions of a session, and pick what to look at next.", EXAMPLES
    )
    parser.add_argument("session", metavar="SESSION", type=Path, help="a folder that ecotf search --output has made")
    parser.add_argument("--picks", metavar="N", type=int, help="how many (as the session says)")
    parser.add_argument("--curve", action="store_true", help="only print the learning curve")
    options = parser.parse_args(arguments)
    if options.picks is not None and options.picks < 1:
        raise ConfigError(f"--picks {options.picks}: allowed: 1 or more")

    from ecotf.commands.search import show
    from ecotf.searching.learning import learning_curve, next_round
    from ecotf.searching.session import held_session

    with held_session(options.session) as session:
        _tell(learning_curve(session))
        if options.curve:
            return 0
        made = next_round(session, options.picks)
        table = session.embeddings.table.iloc[[pick.row for pick in made.picks]][["recording", "start_s", "end_s"]]
        shown = table.assign(score=[pick.score for pick in made.picks], why=[pick.why for pick in made.picks])
        show(shown.reset_index(drop=True), None)
        log(f"round {made.number}: ecotf search show {session.folder}")
    return 0


def _tell(curve: Curve) -> None:
    for point in curve.points:
        between = "" if point.low is None else f" [{point.low:.3f}, {point.high:.3f}]"
        log(
            f"{point.decisions} decisions: average precision {point.ap:.3f}{between}, of recordings that were held back"
        )
    log(curve.advice)
