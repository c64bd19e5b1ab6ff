# Samples of LANES frames -> windowed points, one frame per lane; the first pass of the transform on the way.

ctypedef fused sample:
    float
    short


cdef void load_and_begin(
    const Pass* outer, const sample** frames, const float* window, bint odd, vf* re, vf* im, Py_ssize_t apart, vf* close
) noexcept nogil:
    """Window the frames and do the first pass on the way; ``close`` is room for 2 * 8 * LANES vectors."""
    cdef Py_ssize_t j = 0, leg, i
    cdef const float* w
    cdef vf tile[2 * LANES]
    cdef vf* close_re
    cdef vf* close_im
    while True:
        for leg in range(outer.radix):
            i = leg * outer.m + j
            close_re = close + leg * LANES
            close_im = close_re + outer.radix * LANES
            if odd:
                w = window + i
                if sample is float:
                    tile_of_floats(frames, i, tile)
                else:
                    tile_of_shorts(frames, i, tile)
                for i in range(LANES):
                    close_re[i] = tile[i] * w[i]
                continue
            w = window + 2 * i
            if sample is float:
                tile_of_floats(frames, 2 * i, tile)
                tile_of_floats(frames, 2 * i + LANES, tile + LANES)
                for i in range(LANES):
                    close_re[i] = tile[2 * i] * w[2 * i]
                    close_im[i] = tile[2 * i + 1] * w[2 * i + 1]
            else:
                tile_of_pairs(frames, 2 * i, tile, tile + LANES)
                for i in range(LANES):
                    close_re[i] = tile[i] * w[2 * i]
                    close_im[i] = tile[LANES + i] * w[2 * i + 1]
        if odd:
            outer_real_butterfly(outer, close, re, im, j, LANES)
        else:
            outer_butterfly(outer, close, close + outer.radix * LANES, re, im, apart, j, LANES)
        if j + LANES >= outer.m:
            break
        j = min(j + LANES, outer.m - LANES)      # the last tile may overlap the one before it


cdef void load(
    const sample** frames, const float* window, Py_ssize_t points, bint odd, vf* re, vf* im
) noexcept nogil:
    """Window the frames one number at a time: for windows that do not split into tiles."""
    cdef Py_ssize_t i
    cdef int l
    for i in range(points):
        for l in range(LANES):
            if odd:
                set_lane(re + i, l, frames[l][i] * window[i])
            else:
                set_lane(re + i, l, frames[l][2 * i] * window[2 * i])
                set_lane(im + i, l, frames[l][2 * i + 1] * window[2 * i + 1])
