# Powers -> levels.

cdef enum:
    LOG1P = 0
    DECIBEL = 1
    NATURAL = 2
    POWER = 3


cdef inline void level(vf* tile, int scale, float floor) noexcept nogil:
    """From powers to levels, LANES rows at once, so that one need not wait for the other."""
    cdef float tenth = 4.342944819032518
    cdef int i
    if scale == LOG1P:
        for i in range(LANES):
            tile[i] = log1p_lanes(tile[i])
    elif scale == DECIBEL:
        for i in range(LANES):
            tile[i] = tenth * log_lanes(larger(tile[i], splat(floor)))
    elif scale == NATURAL:
        for i in range(LANES):
            tile[i] = log_lanes(larger(tile[i], splat(floor)))
