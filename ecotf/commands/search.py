"""``ecotf search``: an example and a folder of embeddings in, the clips that sound like it out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ecotf.commands.console import complaints, console, log, make_parser, plain
from ecotf.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from ecotf.searching.find import Asked, Found, Wanted

WORDS = {
    "show": ("ecotf.commands.search_show", "the page on which hits are accepted and rejected by key"),
    "next": (
        "ecotf.commands.search_next",
        "learn from the decisions, say whether they are enough, and pick what is next",
    ),
    "export": ("ecotf.commands.search_export", "the decided hits as a manifest for ecotf train"),
    "export-hoplite": ("ecotf.commands.search_hoplite", "embeddings as a database of perch-hoplite"),
}
EXAMPLES = """\
examples:
  ecotf search embeddings/ --like owl.wav
  ecotf search embeddings/ --like night.wav --start-s 61.5 --end-s 63 --top 50 --csv hits.csv
  ecotf search embeddings/ --like owl_1.wav --like owl_2.wav --merge --without night.wav
  ecotf search embeddings/ --model runs/owls --class "Ninox boobook"
  ecotf search embeddings/ --like owl.wav --output owls/ --label "Ninox boobook"

EMBEDDINGS is a folder that ecotf embed has written. An example goes through the same embedder, which must still be
where it was, or is given with --embedder and --model-file. Every row is compared: nothing that is nearer is missed.
With several examples, a row's score is that of the nearest. Scores are the higher the better; with --distance
euclidean minus the distance.

With --output, the search is kept as a session, whose hits are accepted or rejected, and teach what is meant:
{words}
(A folder of one of these names is given as ./show.)
"""


def main(arguments: Sequence[str]) -> int:
    """Search embeddings, or do something with a session."""
    if arguments and arguments[0] in WORDS:
        status: int = import_module(WORDS[arguments[0]][0]).main(arguments[1:])
        return status
    words = "\n".join(f"  ecotf search {word:15} {what}" for word, (_, what) in WORDS.items())
    parser = make_parser("search", "Find the clips that sound like an example.", EXAMPLES.format(words=words))
    parser.add_argument("embeddings", metavar="EMBEDDINGS", type=Path, help="a folder that ecotf embed has written")
    parser.add_argument("--like", metavar="CLIP", type=Path, action="append", default=[], help="an example; repeatable")
    parser.add_argument("--start-s", metavar="SECONDS", type=float, default=0.0, help="where the example begins (0)")
    parser.add_argument(
        "--end-s", metavar="SECONDS", type=float, default=float("nan"), help="where it ends (the end of the recording)"
    )
    parser.add_argument("--model", metavar="RUN", type=Path, help="a run with a head on the same embedder")
    parser.add_argument(
        "--class", dest="class_name", metavar="NAME", help="of that run's classes, what is searched for"
    )
    parser.add_argument("--top", metavar="N", type=int, default=20, help="how many hits (20)")
    parser.add_argument("--distance", choices=("cosine", "euclidean", "dot"), help="(cosine)")
    parser.add_argument("--merge", action="store_true", help="windows that overlap or touch are one hit")
    parser.add_argument(
        "--without", metavar="RECORDING", action="append", default=[], help="pass over a recording; repeatable"
    )
    parser.add_argument("--embedder", metavar="MODEL", help="where the embedder is now, as for ecotf embed")
    parser.add_argument("--model-file", metavar="PATH", type=Path, help="its own file, where it is described")
    parser.add_argument("--csv", metavar="FILE", type=Path, help="write the hits there, too")
    parser.add_argument("--threads", metavar="N", type=int, help="processor cores to use (all)")
    parser.add_argument("--output", metavar="SESSION", type=Path, help="keep the search as a session in this folder")
    parser.add_argument("--label", metavar="NAME", help="of accepted hits (the class, or the example's name)")
    parser.add_argument(
        "--set", dest="settings", metavar="KEY=VALUE", action="append", default=[],
        help="of the session: head={name: logistic}, picks=20, shares.margin=0.5, seed=1",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    _check(options)

    # Here and not above: help and a typing mistake need none of these.
    from ecotf.embeddings.store import open_embeddings
    from ecotf.searching.find import Asked, Wanted, find

    asked = Asked(
        tuple(options.like), options.start_s, options.end_s, options.model, options.class_name, options.embedder,
        options.model_file,
    )  # fmt: skip
    wanted = Wanted(options.top, options.distance, options.merge, tuple(options.without), options.threads)
    if options.output is not None:
        _keep(options, asked, wanted)
    else:
        _tell(find(open_embeddings(options.embeddings), asked, wanted), options.csv)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Raise `ConfigError` for options that cannot go together."""
    if bool(options.like) == (options.model is not None):
        raise ConfigError("say what is searched for: --like CLIP, or --model RUN with --class NAME")
    if (options.model is None) != (options.class_name is None):
        raise ConfigError("--model RUN and --class NAME go together")
    if options.model is not None and (options.embedder or options.model_file):
        raise ConfigError("--embedder and --model-file are for examples; a run brings its own")
    part = options.start_s != 0 or options.end_s == options.end_s
    if options.model is not None and (part or options.distance is not None):
        raise ConfigError("--start-s, --end-s and --distance are for examples; a run gives probabilities")
    options.distance = options.distance or "cosine"
    if options.output is None and (options.label or options.settings):
        raise ConfigError("--label and --set are of a session; say where with --output SESSION")


def _keep(options: argparse.Namespace, asked: Asked, wanted: Wanted) -> None:
    """Search, show the hits and keep them as a session."""
    from ecotf.config import apply_overrides
    from ecotf.searching.begin import begin_session
    from ecotf.searching.session import Teaching

    teaching = apply_overrides(Teaching().model_dump(mode="json"), options.settings)
    session, found = begin_session(options.embeddings, options.output, asked, wanted, options.label, teaching)
    _tell(found, options.csv)
    log(f"session: {session.folder} ({session.facts.label})")
    log(f"next:    ecotf search show {session.folder}")


def _tell(found: Found, csv: Path | None) -> None:
    """Show the hits, and say how many rows could be none."""
    show(found.hits, csv)
    if found.without:
        complaints.print(
            f"without a score, so they can be no hits: {found.without} of the rows "
            "(they hold numbers that are none (NaN), or zeros alone)",
            markup=False,
        )


def show(hits: pd.DataFrame, csv: Path | None) -> None:
    """Print hits as a table, and write them."""
    from rich.table import Table

    from ecotf.append_only import csv_rows
    from ecotf.files import atomic_file

    names = [name for name in hits.columns if name != "row"]
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, justify="left" if hits[name].dtype == object else "right", overflow="fold")
    shown = {"start_s": "{:.2f}", "end_s": "{:.2f}", "score": "{:.4f}"}
    for row in hits[names].itertuples(index=False):
        cells = (shown.get(name, "{}").format(value) for name, value in zip(names, row, strict=True))
        table.add_row(*map(plain, cells))
    console.print(table)
    if csv is not None:
        with atomic_file(csv) as partial:
            partial.write_bytes(csv_rows([list(hits.columns), *hits.itertuples(index=False)]))
        log(f"hits: {csv}")
