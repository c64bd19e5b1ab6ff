"""The folds that a data set is published with, as sides of a split."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import Field, model_validator

from ecotf.config import Config
from ecotf.datasets.manifest import Manifest
from ecotf.datasets.splits import split_by_group
from ecotf.errors import DataError


class FoldsConfig(Config):
    """Which folds of the manifest are tested on, and which are validated on.

    Attributes
    ----------
    column
        The column of the manifest that names the fold of each recording; empty cells are trained on.
    test
        Folds that are tested on.
    valid
        Folds that are validated on; none: a share of the groups of the training folds, drawn
        (``data.valid / (data.train + data.valid)``).
    """

    column: str = "fold"
    test: tuple[int | str, ...] = Field(min_length=1)
    valid: tuple[int | str, ...] = ()

    @model_validator(mode="after")
    def _on_one_side(self) -> FoldsConfig:
        both = sorted(set(map(str, self.test)) & set(map(str, self.valid)))
        if both:
            raise ValueError(f"fold {both[0]} is in test and in valid; each fold is on one side")
        return self


def split_by_folds(
    manifest: Manifest,
    folds: FoldsConfig,
    shares: Mapping[str, float],
    seed: int,
    draw: Callable[[Manifest, Mapping[str, float], int], Manifest] = split_by_group,
) -> Manifest:
    """Split a manifest by its folds: test folds, validation folds (or a share of the rest), training on the others.

    Parameters
    ----------
    manifest
        Without a split of its own.
    shares
        Of ``train`` and ``valid``, where ``folds.valid`` names none.
    seed
        Of the drawn validation.
    draw
        Draws it, of the training recordings.

    Raises
    ------
    DataError
        The manifest has a split of its own, no such column or no such fold, or nothing is left to train on.
    """
    table = manifest.table
    if (table["split"] != "").any():
        raise DataError(
            "data.folds: the manifest has a split of its own; empty its column split, or leave out data.folds"
        )
    if folds.column not in table:
        raise DataError(f"data.folds: the manifest has no column {folds.column!r}; set data.folds.column")
    fold_of = {
        name: _text(fold) for name, fold in zip(table["recording"], table[folds.column], strict=True)
    }  # fmt: skip
    there = sorted(set(fold_of.values()) - {""})
    test, valid = set(map(str, folds.test)), set(map(str, folds.valid))
    for fold in (*folds.test, *folds.valid):
        if str(fold) not in there:
            raise DataError(f"data.folds: no recording is of fold {fold}; the folds are {', '.join(there)}")
    sides = {name: "test" if fold in test else "valid" if fold in valid else "train" for name, fold in fold_of.items()}
    learned = [name for name, side in sides.items() if side == "train"]
    if not learned:
        raise DataError(f"data.folds: nothing is left to train on; the folds are {', '.join(there)}")
    if not valid and shares.get("valid"):
        total = shares["train"] + shares["valid"]
        drawn = draw(
            manifest.subset(learned), {"train": shares["train"] / total, "valid": shares["valid"] / total}, seed
        )
        sides |= dict(zip(drawn.table["recording"], drawn.table["split"], strict=True))
        # What the draw left out is not used; its side is that of its group, which is never cut.
        of_group = dict(zip(drawn.table["group"], drawn.table["split"], strict=True))
        group_of = dict(zip(table["recording"], table["group"], strict=True))
        for name in set(learned).difference(drawn.recordings):
            sides[name] = of_group.get(group_of[name], "train")
    return manifest.with_splits(sides)


def _text(fold: object) -> str:
    """A fold as it is written: a number that came as 1.0 is 1; an empty cell is empty."""
    if fold is None or fold != fold:
        return ""
    return str(int(fold)) if isinstance(fold, float) and fold.is_integer() else str(fold)
