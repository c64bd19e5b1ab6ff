"""Ridge regression: errors of groups that were left out are those of fits without them."""

from __future__ import annotations

import numpy as np
import pytest

from ecotf.models.heads.ridge import RidgeConfig, _left_out, fit_ridge


@pytest.mark.parametrize("size", [1, 3])
def test_errors_without_a_group_are_those_of_a_fit_without_it(size):
    rng = np.random.default_rng(0)
    rows, wanted, groups, penalty = rng.normal(size=(20, 6)), rng.normal(size=(20, 2)), np.arange(20) // size, 3.0
    left, length, _ = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    places = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    found = _left_out(left, length, wanted - wanted.mean(axis=0), penalty, places)
    for own in places:
        rest = np.setdiff1d(np.arange(20), own)
        mean, usual = rows[rest].mean(axis=0), wanted[rest].mean(axis=0)
        inside = rows[rest] - mean
        kernel = np.linalg.solve(inside.T @ inside + penalty * np.eye(6), inside.T @ (wanted[rest] - usual))
        np.testing.assert_allclose(found[own], wanted[own] - (rows[own] - mean) @ kernel - usual, atol=1e-6)


def test_few_examples_of_many_numbers():
    rng = np.random.default_rng(1)
    places = rng.normal(size=(4, 300))
    code, truth = np.repeat(np.arange(4), 5), np.repeat(np.arange(4), 30)
    rows, unseen = (places[labels] + 2 * rng.normal(size=(len(labels), 300)) for labels in (code, truth))
    scores = fit_ridge(RidgeConfig(), rows, np.eye(4)[code], 1, 1).predict(unseen)
    assert (scores.argmax(axis=1) == truth).mean() > 0.95
    assert ((scores > 0.5) == np.eye(4, dtype=bool)[truth]).mean() > 0.85
    one = fit_ridge(RidgeConfig(), rows[::5], np.eye(4), 1, 1).predict(unseen)
    assert (one.argmax(axis=1) == truth).mean() > 0.7
