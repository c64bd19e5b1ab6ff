# The Fourier transform of LANES sequences at once, one per lane, of any length.
#
# Decimation in frequency, in place: a pass of radix r over n = r * m numbers leaves r sequences of m numbers behind each
# other, which are transformed in turn while they are still in the cache. X[q + r * k] ends up in sequence q, so the
# numbers come out in digit-reversed order; `positions` says where each one stands.

import numpy as np

cdef enum:
    MAX_PASSES = 40
    CACHED_POINTS = 128        # complex vectors that surely stay in the first-level cache

cdef struct Pass:
    int radix
    Py_ssize_t m               # distance between the numbers that one butterfly joins
    const float* twiddle       # [m, radix - 1, 2]: cos and -sin of 2 pi j q / (radix m)
    const float* root          # [radix, 2]: cos and -sin of 2 pi k / radix


cdef void transform(const Pass* step, int n_passes, vf* re, vf* im, vf* keep, Py_ssize_t blocks) noexcept nogil:
    """Transform `blocks` neighbouring sequences, depth first as long as they do not fit into the cache.

    `keep` is room for 2 * radix vectors of the largest odd radix.
    """
    cdef Py_ssize_t n = step.radix * step.m, block
    if n_passes == 0:
        return
    if n_passes > 1 and n * blocks > CACHED_POINTS:
        if blocks > 1:
            for block in range(blocks):
                transform(step, n_passes, re + block * n, im + block * n, keep, 1)
        else:
            one_pass(step, re, im, keep, 1)
            transform(step + 1, n_passes - 1, re, im, keep, step.radix)
        return
    for _ in range(n_passes):
        one_pass(step, re, im, keep, blocks)
        blocks *= step.radix
        step += 1


cdef void one_pass(const Pass* step, vf* re, vf* im, vf* keep, Py_ssize_t blocks) noexcept nogil:
    """The butterflies of one pass; the first of every block needs no twiddle factors."""
    cdef Py_ssize_t m = step.m, j, block
    cdef int radix = step.radix
    cdef const float* w = step.twiddle
    for block in range(blocks):
        if radix == 8:
            butterfly8(re, im, m, re, im, m, w, False)
            for j in range(1, m):
                butterfly8(re + j, im + j, m, re + j, im + j, m, w + 14 * j, True)
        elif radix == 4:
            butterfly4(re, im, m, re, im, m, w, False)
            for j in range(1, m):
                butterfly4(re + j, im + j, m, re + j, im + j, m, w + 6 * j, True)
        elif radix == 2:
            butterfly2(re, im, m, re, im, m, w, False)
            for j in range(1, m):
                butterfly2(re + j, im + j, m, re + j, im + j, m, w + 2 * j, True)
        elif radix == 3:
            butterfly3(re, im, m, re, im, m, w, False)
            for j in range(1, m):
                butterfly3(re + j, im + j, m, re + j, im + j, m, w + 4 * j, True)
        elif radix == 5:
            butterfly5(re, im, m, re, im, m, w, False)
            for j in range(1, m):
                butterfly5(re + j, im + j, m, re + j, im + j, m, w + 8 * j, True)
        elif radix == 9:
            butterfly9(re, im, m, re, im, m, w, False)
            for j in range(1, m):
                butterfly9(re + j, im + j, m, re + j, im + j, m, w + 16 * j, True)
        elif radix == 11:
            butterfly11(re, im, m, re, im, m, w, False)
            for j in range(1, m):
                butterfly11(re + j, im + j, m, re + j, im + j, m, w + 20 * j, True)
        else:
            butterfly_odd(re, im, m, w, step.root, radix, keep, False)
            for j in range(1, m):
                butterfly_odd(re + j, im + j, m, w + 2 * (radix - 1) * j, step.root, radix, keep, True)
        re += radix * m
        im += radix * m


cdef void one_real_pass(const Pass* step, vf* re, vf* im, vf* keep) noexcept nogil:
    """The butterflies of one pass over real points in `re`, of odd radix."""
    cdef Py_ssize_t m = step.m, j
    cdef int radix = step.radix
    cdef const float* w = step.twiddle
    for j in range(m):
        if radix == 3:
            real_butterfly3(re + j, m, re + j, im + j, m, w + 4 * j, True)
        elif radix == 5:
            real_butterfly5(re + j, m, re + j, im + j, m, w + 8 * j, True)
        elif radix == 9:
            real_butterfly9(re + j, m, re + j, im + j, m, w + 16 * j, True)
        else:
            real_butterfly(re + j, im + j, m, w + 2 * (radix - 1) * j, step.root, radix, keep, True)


cdef void finish_real_transform(const Pass* step, int n_passes, vf* re, vf* im, vf* keep) noexcept nogil:
    """All that follows the first pass over real points. Of each pair of conjugate numbers only one is made."""
    while True:
        n_passes -= 1
        if n_passes == 0:
            break
        transform(step + 1, n_passes, re + step.m, im + step.m, keep, (step.radix - 1) // 2)
        step += 1
        one_real_pass(step, re, im, keep)
    im[0] = splat(0)


cdef plan_passes(Pass* passes, Py_ssize_t n, radices):
    """Fill in the passes of a transform of n points; returns the tables that they point into."""
    cdef Py_ssize_t offset = 0
    cdef int i
    cdef float[::1] table
    tables = []
    starts = []
    for i, radix in enumerate(radices):
        passes[i].radix = radix
        passes[i].m = n // radix
        twiddle = np.outer(np.arange(n // radix), np.arange(1, radix)) / n
        for turns in (twiddle, np.arange(radix) / radix):
            starts.append(offset)
            tables.append(np.stack([np.cos(2 * np.pi * turns), -np.sin(2 * np.pi * turns)], -1).ravel().astype(np.float32))
            offset += tables[len(tables) - 1].size
        n //= radix
    table = np.concatenate(tables)
    for i in range(len(radices)):
        passes[i].twiddle = &table[starts[2 * i]]
        passes[i].root = &table[starts[2 * i + 1]]
    return table


def factors(Py_ssize_t n):
    """The radices that a transform of n points is made of: eights, fours and nines first, large primes last."""
    found = []
    cdef Py_ssize_t twos = 0, p = 3
    while n > 1 and n % 2 == 0:
        n //= 2
        twos += 1
    if twos == 1:
        found = [2]
    elif twos:
        fours = {0: 0, 1: 2, 2: 1}[twos % 3]
        found = [8] * ((twos - 2 * fours) // 3) + [4] * fours
    while n > 1 and n % 9 == 0:
        found.append(9)
        n //= 9
    while n > 1:
        while n % p == 0:
            found.append(p)
            n //= p
        p += 2
        if p * p > n > 1:
            found.append(n)
            break
    return found


def positions(radices, apart):
    """Where each number of a transform made of these radices ends up, the sequences of the first pass being ``apart``."""
    place = np.zeros(1, np.intp)
    for i in reversed(range(len(radices))):
        # number q + radix * k stands in sequence q, where number k stands in it
        place = (np.arange(radices[i]) * (place.size if i else apart) + place[:, None]).ravel()
    return place


def real_numbers(bins, radices):
    """The number that a transform of real points makes for each bin: itself, or the one it is the conjugate of."""
    cdef Py_ssize_t points = int(np.prod(radices))
    made = np.ones(bins.shape, bool)
    settled = np.zeros(bins.shape, bool)
    rest = bins.copy()
    for radix in radices:               # the first digit that is not 0 is in the lower half
        digit = rest % radix
        made[~settled & (digit > radix // 2)] = False
        settled |= digit > 0
        rest //= radix
    return np.where(made, bins, -bins % points)
