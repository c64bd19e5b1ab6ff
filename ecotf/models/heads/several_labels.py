"""Several labels at once: how classifiers of one answer make a head of many classes, and how they answer together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import numpy as np

Strategy = Literal["one_vs_rest", "chain", "powerset"]
Answer = Callable[[np.ndarray], np.ndarray]
"""From rows ``[n, f]`` to probabilities: of yes ``[n]``, or of each of several codes ``[n, codes]``."""


class Classifier(Protocol):
    """A classifier in the shape that scikit-multilearn asks for."""

    def fit(self, features: np.ndarray, targets: np.ndarray) -> Any:
        """Fit it on rows ``[n, f]`` and codes ``[n]``; return the fitted classifier."""


def fit_several(
    strategy: Strategy,
    make: Callable[[], Classifier],
    features: np.ndarray,
    targets: np.ndarray,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Any], np.ndarray | None]:
    """Fit classifiers for all classes.

    Parameters
    ----------
    strategy
        ``one_vs_rest``: a classifier for each class. ``chain``: each also sees the classes before it (Read et al.
        2011). ``powerset``: one, for which every combination of classes that occurs is a class of its own.
    make
        Makes a classifier that is not fitted.
    targets
        bool ``[n, k]``.
    progress
        Called with the number of classifiers done and the number there are, where they are fitted one by one.

    Returns
    -------
    The fitted classifiers, and of ``powerset`` the combinations, float32 ``[combinations, k]``.
    """
    if strategy == "powerset":
        from ecotf.multilabel import fit_label_powerset

        fitted, combinations = fit_label_powerset(make(), features, targets)
        return [fitted], combinations.astype(np.float32)
    if strategy == "chain":
        from ecotf.multilabel import fit_classifier_chain

        return fit_classifier_chain(make(), features, targets), None
    fits = []
    for index in range(targets.shape[1]):
        fits.append(make().fit(features, targets[:, index]))
        if progress is not None:
            progress(index + 1, targets.shape[1])
    return fits, None


def answer_together(
    strategy: Strategy, answers: Sequence[Answer], combinations: np.ndarray | None, features: np.ndarray
) -> np.ndarray:
    """Compute the probabilities of all classes, float32 ``[n, k]``, of rows ``[n, f]``; the others as `fit_several`."""
    if combinations is not None and len(combinations) == 1:
        return np.repeat(combinations, len(features), axis=0)
    if combinations is not None:
        scores = answers[0](features)
        if scores.ndim == 1:
            scores = np.stack([1 - scores, scores], axis=1)
        return np.asarray(scores @ combinations, np.float32)
    columns: list[np.ndarray] = []
    for answer in answers:
        seen = features
        if strategy == "chain" and columns:
            # The chain was fitted on answers of yes and no, so it is shown answers of yes and no.
            seen = np.hstack([features, (np.stack(columns, axis=1) > 0.5).astype(np.float32)])
        columns.append(answer(seen))
    return np.stack(columns, axis=1)
