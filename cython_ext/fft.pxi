# The Fourier transform of LANES sequences at once, one per lane, of any length.
#
# Decimation in frequency, in place: a pass of radix r over n = r * m numbers leaves r sequences of m numbers behind each
# other, which are transformed in turn while they are still in the cache. X[q + r * k] ends up in sequence q, so the
# numbers come out in digit-reversed order; `position` says where each one stands.

cdef extern from "lanes.h" nogil:
    enum: LANES
    ctypedef float vf
    vf* new_lanes(size_t count)
    vf splat(float value)
    vf load_float(const float* values)
    vf load_short(const short* values)
    void store_float(float* to, vf value)
    float lane(const vf* value, int index)
    void set_lane(vf* value, int index, float number)
    vf larger(vf a, vf b)
    void transpose(vf* tile)
    vf log_lanes(vf x)
    vf log1p_lanes(vf x)
    vf select_rank(const float* values, size_t count, size_t stride, int rank)

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
    cdef const float* w
    for block in range(blocks):
        w = step.twiddle
        if radix == 8:
            butterfly8(re, im, m, w, False)
            for j in range(1, m):
                butterfly8(re + j, im + j, m, w + 14 * j, True)
        elif radix == 4:
            butterfly4(re, im, m, w, False)
            for j in range(1, m):
                butterfly4(re + j, im + j, m, w + 6 * j, True)
        elif radix == 2:
            for j in range(m):
                butterfly2(re + j, im + j, m, w + 2 * j)
        elif radix == 3:
            for j in range(m):
                butterfly3(re + j, im + j, m, w + 4 * j)
        elif radix == 5:
            for j in range(m):
                butterfly5(re + j, im + j, m, w + 8 * j)
        else:
            for j in range(m):
                butterfly_odd(re + j, im + j, m, w + 2 * (radix - 1) * j, step.root, radix, keep)
        re += radix * m
        im += radix * m


cdef void real_transform(const Pass* step, int n_passes, vf* re, vf* im, vf* keep) noexcept nogil:
    """Transform one real sequence of odd length, in half the work: of each pair of conjugate numbers only one is made."""
    cdef Py_ssize_t j
    while n_passes > 0:
        for j in range(step.m):
            real_butterfly(
                re + j, im + j, step.m, step.twiddle + 2 * (step.radix - 1) * j, step.root, step.radix, keep
            )
        n_passes -= 1
        if n_passes > 0:
            transform(step + 1, n_passes, re + step.m, im + step.m, keep, (step.radix - 1) // 2)
        step += 1
    im[0] = splat(0)
