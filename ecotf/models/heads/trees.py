"""Gradient-boosted trees (XGBoost) that name calls from a network's embedding."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ecotf.models.heads.base import HEADS, TableHeadConfig
from ecotf.models.heads.several_labels import Answer, Strategy, answer_together, fit_several
from ecotf.models.heads.split_points import with_splits_halfway
from ecotf.pipelines.class_weights import balanced_class_weights

# A batch is a few hundred rows: waking a second thread costs more than it gives, most of all on a busy machine.
_PREDICT = {"nthread": 1}


class TreesConfig(TableHeadConfig):
    """XGBoost settings; the defaults are the published ones for the bat embedding.

    Attributes
    ----------
    strategy
        How several labels at once are handled: ``one_vs_rest`` fits a classifier for each class (as published);
        ``chain`` lets each class see the answers for the classes before it (Read et al. 2011); ``powerset`` treats
        every combination of classes that occurs as a class of its own.
    measures
        The trees see, besides the embedding, the network's own scores and the measures of the peak
        (`ecotf.features.peaks.MEASURES`). For detection at peaks only.
    balanced
        Weight samples so that, for every class, calls and the rest count the same.
    """

    class_layers: ClassVar[tuple[str, ...]] = ()

    name: Literal["trees"] = "trees"
    strategy: Strategy = "one_vs_rest"
    n_estimators: int = Field(2000, ge=1)
    max_depth: int = Field(15, ge=1)
    eta: float = Field(0.19684057798124177, gt=0, le=1)
    gamma: float = Field(0.001, ge=0)
    subsample: float = Field(0.9, gt=0, le=1)
    colsample_bytree: float = Field(1.0, gt=0, le=1)
    scale_pos_weight: float = Field(1.5, gt=0)
    min_child_weight: float = Field(1.0, ge=0)
    measures: bool = False
    balanced: bool = True

    def load(self, folder: Path) -> Trees:
        """Read fitted trees."""
        return load_trees(folder)


class Trees:
    """Fitted trees: embedding ``[n, e]`` in, probabilities ``[n, k]`` out."""

    def __init__(
        self,
        config: TreesConfig,
        boosters: list[Any],
        constants: Sequence[float] = (),
        combinations: np.ndarray | None = None,
    ) -> None:
        self.config = config
        self.boosters = boosters
        self.constants = list(constants) or [0.0] * len(boosters)
        self.combinations = combinations

    @property
    def n_trees(self) -> int:
        """Number of trees in all."""
        return sum(_n_trees(booster) for booster in self.boosters if booster is not None)

    @property
    def n_parameters(self) -> int:
        """Nodes of all trees."""
        return sum(booster.trees_to_dataframe().shape[0] for booster in self.boosters if booster is not None)

    def predict(self, embedding: np.ndarray) -> np.ndarray:
        """Probabilities, float32 ``[n, k]``."""
        features = np.ascontiguousarray(embedding, np.float32)
        answers = [_answer(*pair) for pair in zip(self.boosters, self.constants, strict=True)]
        return answer_together(self.config.strategy, answers, self.combinations, features)

    def save(self, folder: Path) -> None:
        """Write one ``.ubj`` for each booster and ``trees.json``, which says how they go together."""
        for index, booster in enumerate(self.boosters):
            if booster is not None:
                booster.save_model(folder / f"trees_{index}.ubj")
        facts = {
            "config": self.config.model_dump(),
            "present": [booster is not None for booster in self.boosters],
            "constants": self.constants,
            "combinations": None if self.combinations is None else self.combinations.tolist(),
        }
        (folder / "trees.json").write_text(json.dumps(facts, indent=1))


def load_trees(folder: Path) -> Trees:
    """Read what `Trees.save` wrote."""
    import xgboost

    facts = json.loads((folder / "trees.json").read_text())
    boosters = [
        xgboost.Booster(_PREDICT, model_file=str(folder / f"trees_{index}.ubj")) if present else None
        for index, present in enumerate(facts["present"])
    ]
    combinations = facts["combinations"]
    return Trees(
        TreesConfig(**facts["config"]),
        boosters,
        facts["constants"],
        None if combinations is None else np.array(combinations, np.float32),
    )


@HEADS.register(TreesConfig)
def fit_trees(
    config: TreesConfig,
    embedding: np.ndarray,
    targets: np.ndarray,
    seed: int,
    threads: int,
    progress: Callable[[int, int], None] | None = None,
    groups: np.ndarray | None = None,
) -> Trees:
    """Fit trees.

    Parameters
    ----------
    embedding
        float32 ``[n, e]``.
    targets
        0 or 1, ``[n, k]``. A class that never or always occurs gets that answer and no trees.
    progress
        Called with the number of classifiers done and the number there are.
    groups
        Of no use to trees: they hold nothing back.
    """
    features = np.ascontiguousarray(embedding, np.float32)
    targets = np.asarray(targets) > 0.5
    fits, combinations = fit_several(
        config.strategy, lambda: _BoostedTrees(config, seed, threads), features, targets, progress
    )
    return Trees(config, [fit.booster for fit in fits], [fit.constant for fit in fits], combinations)


def _answer(booster: Any, constant: float) -> Answer:
    """Make the answers of a booster, or those of a class that never varied."""
    if booster is None:
        return lambda features: np.full(len(features), constant, np.float32)
    return lambda features: np.asarray(booster.inplace_predict(features))


class _BoostedTrees:
    """One classifier in the shape that scikit-multilearn asks for; a class that never varies becomes a constant."""

    def __init__(self, config: TreesConfig, seed: int, threads: int) -> None:
        self.config, self.seed, self.threads = config, seed, threads
        self.booster: Any = None
        self.constant = 0.0

    def fit(self, features: np.ndarray, targets: np.ndarray) -> _BoostedTrees:
        import xgboost

        codes = np.asarray(targets).ravel().astype(int)
        counts = np.bincount(codes)
        if np.count_nonzero(counts) < 2:
            self.booster, self.constant = None, float(codes[0])
            return self
        n_classes = len(counts)
        binary = n_classes == 2
        weights = None
        if self.config.balanced:
            weights = balanced_class_weights(counts, len(codes))[codes]
        parameters = {
            "objective": "binary:logistic" if binary else "multi:softprob",
            "tree_method": "hist",
            "max_depth": self.config.max_depth,
            "eta": self.config.eta,
            "gamma": self.config.gamma,
            "subsample": self.config.subsample,
            "colsample_bytree": self.config.colsample_bytree,
            "min_child_weight": self.config.min_child_weight,
            "seed": self.seed,
            "nthread": self.threads,
            # Positives count for more only where there are two classes; XGBoost warns of it elsewhere.
            **({"scale_pos_weight": self.config.scale_pos_weight} if binary else {"num_class": n_classes}),
        }
        features = np.ascontiguousarray(features, np.float32)
        data = xgboost.DMatrix(features, codes, weight=weights)
        fitted = xgboost.train(parameters, data, num_boost_round=self.config.n_estimators)
        self.booster = with_splits_halfway(fitted, features)
        self.booster.set_param(_PREDICT)
        return self


def _n_trees(booster: Any) -> int:
    return len(booster.get_dump(dump_format="text"))
