"""The head of a run on rows of embeddings that are there already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ecotf.errors import ConfigError
from ecotf.models.frozen import FrozenModel
from ecotf.models.heads import TableHead
from ecotf.tasks.loading import load_runs


@dataclass(frozen=True)
class RowScorer:
    """A fitted head, and the embedder whose rows it takes.

    Attributes
    ----------
    title, digest
        Of the embedder.
    """

    head: TableHead
    classes: tuple[str, ...]
    title: str
    digest: str


def open_row_scorer(run: str | Path) -> RowScorer:
    """Open the head of a run on a frozen embedder (stage ``fit_head``, or an enrolled run).

    Raises
    ------
    ConfigError
        The run has no such head, or its head hears less of a window than the rows of other folders are of.

    Examples
    --------
    >>> open_row_scorer("runs/tagging/transfer/2026-06-21_22-15-00").classes  # doctest: +SKIP
    ('Ninox boobook', 'Pitta versicolor')
    """
    model = getattr(load_runs([run]), "model", None)
    if not isinstance(model, FrozenModel):
        raise ConfigError(
            f"{run}: no head on an embedder; allowed: a run of ecotf train --recipe tagging/transfer, or of ecotf enrol"
        )
    if model.fade is not None:
        raise ConfigError(
            f"{run}: its head hears {model.listen_s:g} s in the middle of a window alone, and embeddings are of whole "
            "windows; allowed: a run without embedder.listen_s"
        )
    return RowScorer(model.head, model.classes, model.embedder.title, model.embedder.digest)
