"""Multi-label methods: stratified splits, classifier chains, label powersets. The one door to scikit-multilearn.

scikit-multilearn 0.2.0 is its last version; whoever replaces it changes this file. Its iterative stratification
(Sechidis, Tsoumakas & Vlahavas 2011, On the stratification of multi-label data) needs four things from us. It draws
from numpy's global random state whatever ``random_state`` says (and scikit-learn forbids that argument without
shuffling). It takes labels in the order in which it meets them, where the paper takes the rarest first. It breaks ties
between parts by chance, where the paper looks at their sizes, so that small data sets come out uneven: of several deals
the most even is kept. And it may leave a part empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from skmultilearn.model_selection import IterativeStratification
from skmultilearn.problem_transform import ClassifierChain, LabelPowerset

_DEALS = 20
_EXAMPLES_IN_ALL_DEALS = 20_000  # with thousands of examples one deal is as even as twenty


class _RarestFirst(IterativeStratification):
    """Hands out the examples of the rarest label first, while there still is a choice."""

    def _prepare_stratification(self, y: np.ndarray) -> Any:
        rows, used, combinations, per_row, with_combination, folds = super()._prepare_stratification(y)
        by_rarity = dict(sorted(with_combination.items(), key=lambda item: (len(item[1]), item[0])))
        return rows, used, combinations, per_row, by_rarity, folds


def stratified_parts(labels: np.ndarray, shares: Sequence[float] | np.ndarray, seed: int) -> np.ndarray:
    """Deal examples into parts so that every label is spread over the parts by their shares.

    Parameters
    ----------
    labels
        Shape (n_examples, n_labels), nonzero where the example has the label.
    shares
        The wanted share of every part, each above 0, summing to 1; at most ``n_examples`` of them.
    seed
        The same seed gives the same parts; numpy's global random state is left as it was.

    Returns
    -------
    numpy.ndarray
        Shape (n_examples,), the index of the part of each; no part is empty.
    """
    wanted = np.asarray(shares, dtype=np.float64)
    presence = (np.asarray(labels) != 0).astype(np.int64)
    if len(wanted) == 1:
        return np.zeros(len(presence), dtype=np.int64)
    presence = np.column_stack([presence, np.ones(len(presence), dtype=np.int64)])  # the sizes, as a label of all
    n_deals = int(np.clip(_EXAMPLES_IN_ALL_DEALS // len(presence), 1, _DEALS))
    deals = [_deal(presence, wanted, generator) for generator in np.random.default_rng(seed).spawn(n_deals)]
    return min(deals, key=lambda parts: _unevenness(parts, presence, wanted))


def _deal(presence: np.ndarray, wanted: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    n_examples = len(presence)
    order = generator.permutation(n_examples)
    stratifier = _RarestFirst(n_splits=len(wanted), order=1, sample_distribution_per_fold=wanted.tolist())
    parts = np.empty(n_examples, dtype=np.int64)
    with _global_seed(int(generator.integers(2**32))):
        for part, (_, members) in enumerate(stratifier.split(np.zeros((n_examples, 1)), presence[order])):
            parts[order[members]] = part
    return _without_empty(parts, len(wanted))


def _without_empty(parts: np.ndarray, n_parts: int) -> np.ndarray:
    """Give every empty part one example of the fullest."""
    for part in range(n_parts):
        sizes = np.bincount(parts, minlength=n_parts)
        if sizes[part] == 0:
            parts[np.flatnonzero(parts == sizes.argmax())[-1]] = part
    return parts


def _unevenness(parts: np.ndarray, presence: np.ndarray, wanted: np.ndarray) -> float:
    """Squared distance of the shares that the labels got from those wanted; the sizes count as much as all labels."""
    got = np.stack([presence[parts == part].sum(axis=0) for part in range(len(wanted))])
    distance = ((got / np.maximum(presence.sum(axis=0), 1) - wanted[:, None]) ** 2).sum(axis=0)
    *of_labels, of_sizes = distance
    return float(of_sizes + (np.mean(of_labels) if of_labels else 0.0))


@contextmanager
def _global_seed(seed: int) -> Iterator[None]:
    """Seed numpy's global random state for a while, for a library that knows no other."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def fit_classifier_chain(classifier: Any, features: np.ndarray, targets: np.ndarray) -> list[Any]:
    """Fit one copy of ``classifier`` for each class, each also seeing the classes before it (Read et al. 2011).

    Parameters
    ----------
    features
        float ``[n, e]``.
    targets
        0 or 1, ``[n, k]``.

    Returns
    -------
    k fitted classifiers, in the order of the classes.
    """
    chain = ClassifierChain(classifier, require_dense=[True, True])
    chain.fit(features, np.asarray(targets, int))
    return list(chain.classifiers_)


def fit_label_powerset(classifier: Any, features: np.ndarray, targets: np.ndarray) -> tuple[Any, np.ndarray]:
    """Fit ``classifier`` on the combinations of classes that occur (Tsoumakas and Katakis 2007).

    Returns
    -------
    The fitted classifier, and the combinations it distinguishes: 0 or 1, ``[combinations, k]``.
    """
    powerset = LabelPowerset(classifier, require_dense=[True, True])
    powerset.fit(features, np.asarray(targets, int))
    combinations = np.zeros((len(powerset.reverse_combinations_), targets.shape[1]), int)
    for row, labels in enumerate(powerset.reverse_combinations_):
        combinations[row, list(labels)] = 1
    return powerset.classifier, combinations
