def local_maxima(const float[:] track, Py_ssize_t radius, float threshold):
    """Positions whose value is above ``threshold`` and the largest within ``radius`` steps on each side.

    Of equal values the first wins; positions near the ends count too. Returns intp [n], ascending.
    """
    if radius < 0:
        raise ValueError(f"radius = {radius}: must be 0 or more")
    cdef Py_ssize_t n = track.shape[0], i, found = 0
    result = np.empty(n, np.intp)
    cdef Py_ssize_t[::1] out = result
    with nogil:
        for i in range(n):
            if track[i] > threshold and is_peak(track, i, radius):
                out[found] = i
                found += 1
    return result[:found].copy()


cdef bint is_peak(const float[:] track, Py_ssize_t i, Py_ssize_t radius) noexcept nogil:
    """Look outwards on both sides at once: the nearest larger value ends the search, so that it is short on the whole."""
    cdef Py_ssize_t n = track.shape[0], step
    for step in range(1, min(radius, max(i, n - 1 - i)) + 1):
        if i >= step and track[i - step] >= track[i]:
            return False
        if i + step < n and track[i + step] > track[i]:
            return False
    return True


def refine_peaks(const float[:] track, const Py_ssize_t[:] positions):
    """How far the top of a parabola through each peak and its two neighbours lies from it, in steps.

    Returns float64 [n] in [-0.5, 0.5]; 0 at the ends and where the three points are no peak.
    """
    cdef Py_ssize_t n = track.shape[0], count = positions.shape[0], k, i
    cdef double left, right, top, curve
    result = np.zeros(count)
    cdef double[::1] out = result
    for k in range(count):
        if positions[k] < 0 or positions[k] >= n:
            raise IndexError(f"position {positions[k]} is not in a track of {n} values")
    with nogil:
        for k in range(count):
            i = positions[k]
            if i == 0 or i == n - 1:
                continue
            left = track[i - 1]
            top = track[i]
            right = track[i + 1]
            curve = left - 2 * top + right
            if curve < 0:
                out[k] = min(0.5, max(-0.5, 0.5 * (left - right) / curve))
    return result


def merge_intervals(starts, ends, double gap=0.0):
    """Join intervals that overlap or lie at most ``gap`` apart.

    Returns (starts, ends), float64, in ascending order.
    """
    starts = np.asarray(starts, np.float64)
    ends = np.asarray(ends, np.float64)
    check_intervals(starts, ends)
    order = np.argsort(starts, kind="stable")
    merged_starts = starts[order]
    merged_ends = ends[order]
    cdef double[::1] a = merged_starts, b = merged_ends
    cdef Py_ssize_t n = a.shape[0], i, last = 0
    if n == 0:
        return merged_starts, merged_ends
    with nogil:
        for i in range(1, n):
            if a[i] <= b[last] + gap:
                b[last] = max(b[last], b[i])
            else:
                last += 1
                a[last] = a[i]
                b[last] = b[i]
    return merged_starts[: last + 1].copy(), merged_ends[: last + 1].copy()


def check_intervals(starts, ends):
    """Raise ValueError unless every start is a finite number at or before its end."""
    if starts.shape != ends.shape or starts.ndim != 1:
        raise ValueError(f"{starts.shape} starts and {ends.shape} ends: expected as many of one as of the other")
    wrong = np.flatnonzero(~((starts <= ends) & np.isfinite(starts) & np.isfinite(ends)))
    if wrong.size:
        raise ValueError(f"interval {wrong[0]} starts at {starts[wrong[0]]} and ends at {ends[wrong[0]]}")
