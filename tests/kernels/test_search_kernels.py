"""The search kernels against numpy, bit for bit: what is kept, and in which order."""

import importlib
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecotf._kernels import cpu
from ecotf._kernels import search as kernels

EVERY = np.empty(0, np.uint8)
MEASURES = (kernels.DOT, kernels.COSINE, kernels.EUCLIDEAN)


def sum_in_order(values):
    """float32 sums ``[n]`` of ``[n, m]``, in the order that every build has."""
    values = values.reshape(len(values), values.shape[1] // kernels.SUMS_OF_A_ROW, kernels.SUMS_OF_A_ROW)
    sums = np.zeros((len(values), kernels.SUMS_OF_A_ROW), np.float32)
    for j in range(values.shape[1]):
        sums += values[:, j]
    while sums.shape[1] > 1:
        half = sums.shape[1] // 2
        sums = sums[:, :half] + sums[:, half:]
    return sums[:, 0]


def in_numpy(rows, query, measure):
    """The score of every row, float32 ``[n]``; of cosine the query is taken as it is."""
    size = -(-rows.shape[1] // kernels.SUMS_OF_A_ROW) * kernels.SUMS_OF_A_ROW
    wide = np.pad(rows.astype(np.float32), ((0, 0), (0, size - rows.shape[1])))
    query = np.pad(query, (0, size - len(query)))
    with np.errstate(all="ignore"):
        if measure == kernels.EUCLIDEAN:
            return -sum_in_order((wide - query) ** 2)
        scores = sum_in_order(wide * query)
        return scores / np.sqrt(sum_in_order(wide * wide)) if measure == kernels.COSINE else scores


def ranked(scores, k, wanted=None):
    rows = np.flatnonzero(~np.isnan(scores) if wanted is None else ~np.isnan(scores) & (wanted > 0))
    order = np.lexsort((rows, -scores[rows]))[:k]
    return rows[order], scores[rows][order]


def by_kernel(rows, queries, k, measure, wanted=EVERY, cuts=(), build=kernels):
    size = -(-rows.shape[1] // kernels.SUMS_OF_A_ROW) * kernels.SUMS_OF_A_ROW
    padded = np.pad(queries, ((0, 0), (0, size - queries.shape[1])))
    scores, kept = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
    filled, without = np.zeros(len(queries), np.int64), 0
    edges = [0, *sorted(cuts), len(rows)]
    for first, last in itertools.pairwise(edges):
        halves = rows[first:last].view(np.uint16)
        here = wanted[first:last] if len(wanted) else wanted
        middle = (last - first) // 2  # as two threads would, the second half first
        for begin, end in ((middle, last - first), (0, middle)):
            without += build.keep_nearest(halves, begin, end, first, padded, measure, here, scores, kept, filled)
    found = []
    for query in range(len(queries)):
        n = filled[query]
        order = np.lexsort((kept[query, :n], -scores[query, :n]))
        found.append((kept[query, :n][order], scores[query, :n][order]))
    return found, without


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_the_best_rows_are_those_of_numpy_to_the_bit(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    n, d, k = data.draw(st.integers(0, 80)), data.draw(st.integers(1, 130)), data.draw(st.integers(1, 90))
    coarse = data.draw(st.booleans())  # small whole numbers: many rows are equally near
    rows = (rng.integers(-1, 2, (n, d)) if coarse else rng.normal(size=(n, d))).astype(np.float16)
    if n and data.draw(st.booleans()):
        rows[rng.integers(n)] = data.draw(st.sampled_from([0.0, np.nan, np.inf, 6e-8, 65504.0]))
    queries = rng.integers(-1, 2, (2, d)) if coarse else rng.normal(size=(2, d))
    queries = queries.astype(np.float32)
    wanted = rng.integers(0, 2, n).astype(np.uint8) if data.draw(st.booleans()) else EVERY
    cuts = data.draw(st.lists(st.integers(0, n), max_size=4))
    measure = data.draw(st.sampled_from(MEASURES))
    found, without = by_kernel(rows, queries, k, measure, wanted, cuts)
    every = [in_numpy(rows, query, measure) for query in queries]
    for (got, scores), expected in zip(found, every, strict=True):
        best, best_scores = ranked(expected, k, wanted if len(wanted) else None)
        np.testing.assert_array_equal(got, best)
        np.testing.assert_array_equal(scores, best_scores)
    bad = np.isnan(every).any(axis=0)
    assert without == (bad & (wanted > 0) if len(wanted) else bad).sum()


def test_every_half_is_the_number_that_it_stands_for():
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    rows = halves[~np.isnan(halves)][:, None]
    found, _ = by_kernel(rows, np.ones((1, 1), np.float32), len(rows), kernels.DOT)
    got = np.empty(len(rows), np.float32)
    got[found[0][0]] = found[0][1]
    np.testing.assert_array_equal(got, rows[:, 0].astype(np.float32))


def test_scores_are_near_to_those_of_many_digits():
    rng = np.random.default_rng(0)
    rows, query = rng.normal(size=(500, 1000)).astype(np.float16), rng.normal(size=1000).astype(np.float32)
    found, _ = by_kernel(rows, query[None], 500, kernels.DOT)
    exact = rows.astype(np.float64) @ query.astype(np.float64)
    np.testing.assert_allclose(found[0][1], exact[found[0][0]], atol=2e-5)


def test_scores_that_were_computed_elsewhere():
    scores = np.random.default_rng(1).integers(0, 5, (60, 1)).astype(np.float32)
    scores[7] = np.nan
    kept, rows, filled = np.empty((1, 9), np.float32), np.empty((1, 9), np.int64), np.zeros(1, np.int64)
    without = sum(kernels.keep_best(scores[at : at + 25], at, EVERY, kept, rows, filled) for at in (50, 0, 25))
    assert without == 1
    assert sorted(rows[0]) == sorted(ranked(scores[:, 0], 9)[0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"queries": np.zeros((1, 32), np.float32)}, "queries of 32 numbers for rows of 40: they do not fit"),
        ({"last": 6}, "rows 0 to 6 of 5"),
        ({"wanted": np.ones(4, np.uint8)}, "rows 0 to 5 of 5, 4 wanted"),
        ({"filled": np.full(1, 4)}, "filled: more rows than there is room for"),
        ({"scores": np.zeros((2, 3), np.float32)}, "do not fit the queries"),
    ],
)
def test_what_does_not_fit_is_refused(change, said):
    given_ = {
        "halves": np.zeros((5, 40), np.uint16), "first": 0, "last": 5, "start": 0,
        "queries": np.zeros((1, 64), np.float32), "measure": 0, "wanted": EVERY,
        "scores": np.zeros((1, 3), np.float32), "rows": np.zeros((1, 3), np.int64), "filled": np.zeros(1, np.int64),
    }  # fmt: skip
    with pytest.raises(ValueError, match=said):
        kernels.keep_nearest(**(given_ | change))


@pytest.mark.parametrize("level", cpu.levels())
def test_all_builds_give_the_same_bits(level):
    build = importlib.import_module(f"ecotf._kernels.search_{level}")
    rng = np.random.default_rng(5)
    rows, queries = rng.normal(size=(300, 77)).astype(np.float16), rng.normal(size=(3, 77)).astype(np.float32)
    rows[:, :40] *= np.float16(1e-6)  # below the normal numbers
    for measure in MEASURES:
        for (got, scores), query in zip(by_kernel(rows, queries, 300, measure, build=build)[0], queries, strict=True):
            best, best_scores = ranked(in_numpy(rows, query, measure), 300)
            np.testing.assert_array_equal(got, best)
            np.testing.assert_array_equal(scores, best_scores)
