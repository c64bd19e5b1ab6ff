"""A search: what is asked, and the hits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecotf.embeddings.store import Embeddings, open_embeddings
from ecotf.errors import ConfigError, DataError
from ecotf.searching.examples import Example, embed_examples, embedder_of
from ecotf.searching.hits import first_hits, hit_table
from ecotf.searching.nearest import Distance, Ranked, best_by, joined, nearest
from ecotf.tasks.row_scores import RowScorer, open_row_scorer

if TYPE_CHECKING:
    import pandas as pd

    from ecotf.models.embedders import Embedder


@dataclass(frozen=True)
class Wanted:
    """Which hits are wanted.

    Attributes
    ----------
    top
        So many.
    distance
        To examples: ``cosine``, ``euclidean`` or ``dot``.
    merge
        Windows of one recording that overlap or touch are one hit.
    without
        Recordings that are passed over, by the names in the table or by their paths.
    threads
        Processor cores; all by default.
    """

    top: int = 20
    distance: Distance = "cosine"
    merge: bool = False
    without: tuple[str, ...] = ()
    threads: int | None = None


@dataclass(frozen=True)
class Asked:
    """What is searched for: examples, or a class of a run; see `search`."""

    like: tuple[str | Path, ...] = ()
    start_s: float = 0.0
    end_s: float = float("nan")
    model: str | Path | None = None
    class_name: str | None = None
    embedder: Embedder | str | Path | None = None
    model_file: str | Path | None = None


@dataclass(frozen=True)
class Found:
    """The answer to a search.

    Attributes
    ----------
    hits
        See `ecotf.searching.hits.hit_table`.
    examples, queries
        The examples, and their embeddings, float32 ``[examples, numbers]``; none where a class was searched for.
    without
        How many rows have no score, and can be no hit: those with NaN, and of ``cosine`` those of zeros.
    """

    hits: pd.DataFrame
    examples: tuple[Example, ...]
    queries: np.ndarray
    without: int = 0


def find(embeddings: Embeddings, asked: Asked, wanted: Wanted) -> Found:
    """Search; raises as `search` does."""
    if bool(asked.like) == (asked.model is not None) or (asked.model is None) != (asked.class_name is None):
        raise ConfigError("say what is searched for: examples (like), or a run and its class (model and class_name)")
    allowed = rows_of(embeddings, wanted)
    if asked.model is not None and asked.class_name is not None:
        hits, without = of_class(embeddings, open_row_scorer(asked.model), asked.class_name, wanted)
        return Found(hits, (), np.empty((0, embeddings.numbers), np.float32), without)
    examples = examples_of(asked.like, asked.start_s, asked.end_s)
    opened = asked.embedder
    if opened is None or isinstance(opened, str | Path):
        opened = embedder_of(embeddings, opened, asked.model_file)
    embeddings.require(opened)
    queries = embed_examples(embeddings, opened, examples)
    hits, without = like_rows(embeddings, queries, wanted, allowed)
    return Found(hits, tuple(examples), queries, without)


def like_rows(
    embeddings: Embeddings, queries: np.ndarray, wanted: Wanted, allowed: np.ndarray | None = None
) -> tuple[pd.DataFrame, int]:
    """Find what is near to embeddings ``[q, numbers]``, and how many rows have no score.

    ``allowed`` is bool ``[rows]``.
    """

    def find(k: int) -> Ranked:
        return joined(nearest(embeddings, queries, k, wanted.distance, allowed, wanted.threads), k)

    hits, without = first_hits(embeddings, find, wanted.top, wanted.merge)
    return hit_table(embeddings, hits), without


def of_class(embeddings: Embeddings, scorer: RowScorer, name: str, wanted: Wanted) -> tuple[pd.DataFrame, int]:
    """Find what the head of a run takes for a class (the score is its probability), and how many rows have no score.

    Raises
    ------
    ConfigError
        The head has no such class, or was fitted on embeddings of another embedder.
    """
    if name not in scorer.classes:
        raise ConfigError(f"class {name!r} is none of the run's; allowed: {', '.join(scorer.classes)}")
    if scorer.digest != embeddings.about.digest:
        raise ConfigError(
            f"{embeddings.folder}: embeddings of {embeddings.about.embedder} (digest {embeddings.about.digest[:8]}); "
            f"the run's head takes those of {scorer.title} (digest {scorer.digest[:8]})"
        )
    column, allowed = scorer.classes.index(name), rows_of(embeddings, wanted)

    def find(k: int) -> Ranked:
        return by_head(embeddings, scorer.head, column, k, allowed, wanted.threads)

    hits, without = first_hits(embeddings, find, wanted.top, wanted.merge)
    return hit_table(embeddings, hits), without


def by_head(
    embeddings: Embeddings, head: object, column: int, k: int, allowed: np.ndarray | None, threads: int | None
) -> Ranked:
    """Find the rows that are likeliest of a class by a head; scores are probabilities.

    What is one dense layer goes through the kernel, and is ranked by its logits; another head computes blocks.
    """
    layer = getattr(head, "linear", None)
    if layer is None:
        return best_by(embeddings, lambda rows: head.predict(rows)[:, column], k, allowed)  # type: ignore[attr-defined]
    from scipy.special import expit

    found = nearest(embeddings, layer.kernels[0][:, column], k, "dot", allowed, threads)[0]
    logits = found.scores.astype(np.float64) + layer.biases[0][column]
    return found._replace(scores=np.asarray(expit(logits), np.float32))


def rows_of(embeddings: Embeddings, wanted: Wanted) -> np.ndarray | None:
    """Return which rows may be found, bool ``[rows]``; None for all.

    Raises
    ------
    ConfigError
        A number that is not allowed, or a recording to pass over that is not in the table.
    """
    if wanted.top < 1:
        raise ConfigError(f"the first {wanted.top} hits; allowed: 1 or more")
    if not wanted.without:
        return None
    names = embeddings.table["recording"]
    known, by_path = set(names.unique()), {str(path): name for name, path in embeddings.paths.items()}
    left_out = set()
    for asked in wanted.without:
        name = asked if asked in known else by_path.get(os.path.realpath(asked))
        if name is None:
            raise ConfigError(f"{asked}: is no recording of {embeddings.folder}, so it cannot be passed over")
        left_out.add(name)
    allowed = ~names.isin(left_out).to_numpy()
    if not allowed.any():
        raise DataError(f"{embeddings.folder}: nothing is left to search when those recordings are passed over")
    return allowed


def search(
    embeddings: Embeddings | str | Path,
    like: str | Path | Sequence[str | Path] | None = None,
    *,
    start_s: float = 0.0,
    end_s: float = float("nan"),
    model: str | Path | None = None,
    class_name: str | None = None,
    top: int = 20,
    distance: Distance = "cosine",
    merge: bool = False,
    without: Sequence[str] = (),
    embedder: Embedder | str | Path | None = None,
    model_file: str | Path | None = None,
    threads: int | None = None,
) -> pd.DataFrame:
    """Find clips like examples, or of a class of a run, among embeddings; as the command ``ecotf search``.

    Parameters
    ----------
    embeddings
        A folder that ``ecotf embed`` has written.
    like
        One clip or several. A row's score is that of the nearest.
    start_s, end_s
        The part of the clip, where it is one, in real seconds.
    model, class_name
        In place of ``like``: a run with a head on the same embedder, and a class of it.
    top
        How many hits.
    distance
        ``cosine``, ``euclidean`` or ``dot``. Scores are the higher the better; of ``euclidean`` minus the distance.
    merge
        Windows of one recording that overlap or touch are one hit.
    without
        Recordings that are passed over: names as in the table, or paths.
    embedder, model_file
        Where the embedder is now, as for `ecotf.open_embedder`; by default where it was.
    threads
        Processor cores; all by default.

    Returns
    -------
    ``rank, recording, start_s, end_s, score, time, row``, and ``label`` if the embeddings have one. ``row`` is that of
    the table of the embeddings.

    Raises
    ------
    ConfigError, DataError
        The folder, the embedder, an example or the run cannot be used.

    Examples
    --------
    >>> ecotf.search("embeddings/", "owl.wav", merge=True)[["recording", "start_s", "score"]]  # doctest: +SKIP
    """
    asked = Asked(
        () if like is None else (like,) if isinstance(like, str | Path) else tuple(like), start_s, end_s, model,
        class_name, embedder, model_file,
    )  # fmt: skip
    folder = embeddings if isinstance(embeddings, Embeddings) else open_embeddings(embeddings)
    return find(folder, asked, Wanted(top, distance, merge, tuple(without), threads)).hits


def examples_of(paths: Sequence[str | Path], start_s: float = 0.0, end_s: float = float("nan")) -> list[Example]:
    """Return examples; raises `ConfigError` for none, or where a part is given of several."""
    if not paths:
        raise ConfigError("no example to search for")
    if len(paths) > 1 and (start_s != 0 or end_s == end_s):
        raise ConfigError("a start and an end are of one example; several are taken whole")
    return [Example(Path(path), start_s, end_s) for path in paths]
