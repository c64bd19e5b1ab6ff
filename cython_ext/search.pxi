# The rows that are nearest to queries: every score is computed, and only the best of each query are kept.
#
# The score of a row does not depend on the instruction set, on blocks or on threads: a sum has one order, and a product is
# rounded before it is added (setup.py forbids fused ones). Of equal scores the lower row is the better.

import numpy as np

from libc.math cimport isnan, sqrtf
from libc.stdint cimport int64_t, uint8_t, uint16_t

include "lanes.pxi"

cdef extern from "halves.h" nogil:
    enum: SUMS
    enum: VECTORS
    vf load_halves(const uint16_t* values)

SUMS_OF_A_ROW = SUMS
DOT, COSINE, EUCLIDEAN = 0, 1, 2

cdef enum:
    MOST = 16  # vectors that the sums take, at least


cdef inline float total(const vf* sums) noexcept nogil:
    """All sums together, halves onto halves."""
    cdef float[SUMS] each
    cdef int i, half = SUMS // 2
    for i in range(VECTORS):
        store_float(each + i * LANES, sums[i])
    while half:
        for i in range(half):
            each[i] = each[i] + each[i + half]
        half = half // 2
    return each[0]


cdef inline float product(const float* row, const float* query, Py_ssize_t n) noexcept nogil:
    """Sum of products of ``n`` numbers, a multiple of SUMS."""
    cdef vf[MOST] sums
    cdef Py_ssize_t j
    cdef int i
    for i in range(VECTORS):
        sums[i] = splat(0)
    for j from 0 <= j < n by SUMS:
        for i in range(VECTORS):
            sums[i] = sums[i] + load_float(row + j + i * LANES) * load_float(query + j + i * LANES)
    return total(sums)


cdef inline float squared_distance(const float* row, const float* query, Py_ssize_t n) noexcept nogil:
    """Sum of squared differences of ``n`` numbers, a multiple of SUMS."""
    cdef vf[MOST] sums
    cdef vf away
    cdef Py_ssize_t j
    cdef int i
    for i in range(VECTORS):
        sums[i] = splat(0)
    for j from 0 <= j < n by SUMS:
        for i in range(VECTORS):
            away = load_float(row + j + i * LANES) - load_float(query + j + i * LANES)
            sums[i] = sums[i] + away * away
    return total(sums)


cdef inline void widen(const uint16_t* row, Py_ssize_t n, float* to) noexcept nogil:
    """A row of ``n`` halves as floats."""
    cdef uint16_t[16] rest
    cdef Py_ssize_t j, whole = n - n % LANES
    for j from 0 <= j < whole by LANES:
        store_float(to + j, load_halves(row + j))
    if whole < n:
        memset(rest, 0, sizeof(rest))
        memcpy(rest, row + whole, (n - whole) * sizeof(uint16_t))
        store_some(to + whole, load_halves(rest), n - whole)


cdef inline bint worse(float a, int64_t row_a, float b, int64_t row_b) noexcept nogil:
    return a < b or (a == b and row_a > row_b)


cdef inline int64_t keep(float* scores, int64_t* rows, Py_ssize_t k, int64_t filled, float score, int64_t row) noexcept nogil:
    """Put a row into a heap whose first is the worst of the ``k`` best; returns how many it holds."""
    cdef Py_ssize_t at, next
    if filled < k:
        at = filled
        filled += 1
        while at > 0:
            next = (at - 1) // 2
            if not worse(score, row, scores[next], rows[next]):
                break
            scores[at], rows[at] = scores[next], rows[next]
            at = next
    elif worse(score, row, scores[0], rows[0]):
        return filled
    else:
        at = 0
        while 2 * at + 1 < k:
            next = 2 * at + 1
            if next + 1 < k and worse(scores[next + 1], rows[next + 1], scores[next], rows[next]):
                next += 1
            if not worse(scores[next], rows[next], score, row):
                break
            scores[at], rows[at] = scores[next], rows[next]
            at = next
    scores[at], rows[at] = score, row
    return filled


cdef check_heaps(Py_ssize_t n_queries, float[:, ::1] scores, int64_t[:, ::1] rows, int64_t[::1] filled):
    if (
        scores.shape[0] != n_queries or rows.shape[0] != n_queries or filled.shape[0] != n_queries
        or rows.shape[1] != scores.shape[1] or scores.shape[1] < 1
    ):
        raise ValueError("scores, rows and filled do not fit the queries")
    if np.any(np.less(filled, 0)) or np.any(np.greater(filled, scores.shape[1])):
        raise ValueError("filled: more rows than there is room for")


def keep_nearest(
    const uint16_t[:, ::1] halves, Py_ssize_t first, Py_ssize_t last, int64_t start, const float[:, ::1] queries, int measure,
    const uint8_t[::1] wanted, float[:, ::1] scores, int64_t[:, ::1] rows, int64_t[::1] filled,
):
    """Compare rows of a block with queries, and keep the best of each query.

    Parameters
    ----------
    halves
        ``[n, numbers]``: the bits of half-precision numbers.
    first, last
        The rows of the block to look at; row 0 has the number ``start``.
    queries
        ``[q, m]``: ``numbers`` rounded up to a multiple of ``SUMS_OF_A_ROW``, zeros behind the numbers.
    measure
        DOT, COSINE (the dot product over the length of the row; queries have length 1) or EUCLIDEAN (minus the squared
        distance).
    wanted
        ``[n]``, or empty for all: 0 leaves a row out.
    scores, rows, filled
        ``[q, k]``, ``[q, k]``, ``[q]``: a heap for each query, as the last call left it; ``filled`` is 0 at first.

    Returns
    -------
    How many rows have no score: NaN, or without a direction. They are not kept.
    """
    cdef Py_ssize_t n = halves.shape[0], d = halves.shape[1], m = queries.shape[1], n_queries = queries.shape[0], i, q
    cdef Py_ssize_t k = scores.shape[1]
    cdef int64_t without = 0
    cdef float score, length = 1
    cdef float* row
    cdef bint bad
    if m % SUMS or not m - SUMS < d <= m or d < 1:
        raise ValueError(f"queries of {m} numbers for rows of {d}: they do not fit")
    if not 0 <= first <= last <= n or (wanted.shape[0] != 0 and wanted.shape[0] != n) or not 0 <= measure <= 2:
        raise ValueError(f"rows {first} to {last} of {n}, {wanted.shape[0]} wanted, measure {measure}: they do not fit")
    check_heaps(n_queries, scores, rows, filled)
    cdef vf* memory = new_lanes(m // LANES)
    if memory == NULL:
        raise MemoryError
    with nogil:
        row = <float*> memory
        memset(row, 0, m * sizeof(float))
        for i in range(first, last):
            if wanted.shape[0] and not wanted[i]:
                continue
            widen(&halves[i, 0], d, row)
            if measure == 1:
                length = sqrtf(product(row, row, m))
            bad = False
            for q in range(n_queries):
                if measure == 2:
                    score = -squared_distance(row, &queries[q, 0], m)
                else:
                    score = product(row, &queries[q, 0], m)
                    if measure == 1:
                        score = score / length
                if isnan(score):
                    bad = True
                elif filled[q] < k or score >= scores[q, 0]:
                    filled[q] = keep(&scores[q, 0], &rows[q, 0], k, filled[q], score, start + i)
            without += bad
    free(memory)
    return without


def keep_best(
    const float[:, ::1] values, int64_t start, const uint8_t[::1] wanted, float[:, ::1] scores, int64_t[:, ::1] rows,
    int64_t[::1] filled,
):
    """Keep the best of scores that were computed elsewhere, ``[n, q]``; the rest is as for `keep_nearest`."""
    cdef Py_ssize_t n = values.shape[0], n_queries = values.shape[1], k = scores.shape[1], i, q
    cdef int64_t without = 0
    cdef bint bad
    if wanted.shape[0] != 0 and wanted.shape[0] != n:
        raise ValueError(f"{n} rows and {wanted.shape[0]} wanted: they do not fit")
    check_heaps(n_queries, scores, rows, filled)
    with nogil:
        for i in range(n):
            if wanted.shape[0] and not wanted[i]:
                continue
            bad = False
            for q in range(n_queries):
                if isnan(values[i, q]):
                    bad = True
                elif filled[q] < k or values[i, q] >= scores[q, 0]:
                    filled[q] = keep(&scores[q, 0], &rows[q, 0], k, filled[q], values[i, q], start + i)
            without += bad
    return without
