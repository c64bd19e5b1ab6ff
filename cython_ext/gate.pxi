# What the gate knows of a spectrogram: how far the loudest band stands over its own running floor.

def band_maxima(const float[:, ::1] levels, const Py_ssize_t[::1] edges):
    """The strongest row of every band: [frames, rows] -> float32 [frames, bands]; band b is rows edges[b] to edges[b + 1]."""
    cdef Py_ssize_t n = levels.shape[0], n_rows = levels.shape[1], n_bands = edges.shape[0] - 1, t, band
    if n_bands < 1 or edges[0] < 0 or edges[n_bands] > n_rows or np.any(np.diff(edges) < 1):
        raise ValueError(f"the bands' edges must rise from 0 to {n_rows} at most")
    result = np.empty((n, n_bands), np.float32)
    cdef float[:, ::1] out = result
    with nogil:
        for t in range(n):
            for band in range(n_bands):
                out[t, band] = maximum(&levels[t, edges[band]], edges[band + 1] - edges[band])
    return result


def over_running_floor(const float[:, ::1] levels, float[::1] floor, float rise, float fall):
    """How far the band that stands out most is over its floor: [frames, bands] -> float32 [frames].

    After each frame the floor of every band takes a step towards it: up by ``rise`` where the band is above its floor,
    down by ``fall`` where it is not. So a floor comes to rest where a share ``rise / (rise + fall)`` of the frames is
    under it. ``floor`` [bands] is changed.
    """
    cdef Py_ssize_t n = levels.shape[0], n_bands = levels.shape[1], t, band
    cdef const float* level
    cdef float* under
    if floor.shape[0] != n_bands or n_bands < 1 or not rise >= 0 or not fall >= 0:
        raise ValueError(f"{floor.shape[0]} floors, {n_bands} bands, steps of {rise} and {fall}: they do not fit")
    result = np.empty(n, np.float32)
    cdef float[::1] out = result
    cdef float[::1] over = np.empty(n_bands, np.float32)
    cdef float* line = &over[0]
    with nogil:
        under = &floor[0]
        for t in range(n):
            level = &levels[t, 0]
            for band in range(n_bands):
                line[band] = level[band] - under[band]
            for band in range(n_bands):
                under[band] = under[band] + (rise if line[band] > 0 else -fall)
            out[t] = maximum(line, n_bands)
    return result
