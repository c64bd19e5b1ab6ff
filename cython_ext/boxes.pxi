def measure_boxes(
    const float[:, ::1] values, const float[::1] strength, const Py_ssize_t[::1] centres,
    Py_ssize_t search, Py_ssize_t reach, double edge, bint separate,
):
    """The box around each peak: first and last slice, lowest and highest row, all inside of it.

    Parameters
    ----------
    values : float32 [slices, rows]
    strength : float32 [slices]
        The strongest row of each slice.
    centres : intp [n]
        Slice of each peak, ascending.
    search
        A box is measured around the strongest slice within ``search`` of its peak; of several the first.
    reach
        It ends at the latest so many slices from there.
    edge
        It ends before the first slice that is not above ``edge`` times its strongest one.
    separate
        Do not search, and end a box at the latest in the weakest slice (of several the first) before the next peak.

    Returns
    -------
    intp [n, 4]
        Where no row is above the level of the edge, all rows.
    """
    cdef Py_ssize_t n = values.shape[0], n_rows = values.shape[1], count = centres.shape[0]
    cdef Py_ssize_t k, t, row, peak, begin, end, first, last, low, high
    cdef float level
    if strength.shape[0] != n or (count and n_rows < 1) or search < 0 or reach < 0:
        raise ValueError("the boxes do not fit")
    for k in range(count):
        if centres[k] < 0 or centres[k] >= n:
            raise IndexError(f"peak {centres[k]} is not in a spectrogram of {n} slices")
    result = np.empty((count, 4), np.intp)
    cdef Py_ssize_t[:, ::1] out = result
    cdef float[::1] top = np.empty(n_rows, np.float32)
    with nogil:
        for k in range(count):
            peak = centres[k]
            if not separate:
                begin = max(<Py_ssize_t>0, peak - search)
                peak = begin + strongest_of(strength, begin, min(n, peak + search + 1))
            begin = max(<Py_ssize_t>0, peak - reach)
            end = min(n, peak + 1 + reach)
            if separate and k:
                begin = max(begin, weakest_of(strength, centres[k - 1], peak))
            if separate and k + 1 < count:
                end = min(end, weakest_of(strength, peak, centres[k + 1]) + 1)
            level = <float>(edge * strength[peak])
            first = last = peak
            while first > begin and not strength[first - 1] <= level:
                first -= 1
            while last + 1 < end and not strength[last + 1] <= level:
                last += 1
            for row in range(n_rows):
                top[row] = values[first, row]
            for t in range(first + 1, last + 1):
                for row in range(n_rows):
                    top[row] = values[t, row] if values[t, row] > top[row] else top[row]
            low, high = 0, n_rows - 1
            while low < n_rows and not top[low] > level:
                low += 1
            while high > low and not top[high] > level:
                high -= 1
            if low == n_rows:
                low, high = 0, n_rows - 1
            out[k, 0], out[k, 1], out[k, 2], out[k, 3] = first, last, low, high
    return result


cdef inline Py_ssize_t strongest_of(const float[::1] strength, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
    """How far after ``begin`` the greatest value before ``end`` is."""
    cdef Py_ssize_t best = begin, t
    for t in range(begin + 1, end):
        if strength[t] > strength[best]:
            best = t
    return best - begin


cdef inline Py_ssize_t weakest_of(const float[::1] strength, Py_ssize_t begin, Py_ssize_t last) noexcept nogil:
    """Where the least value from ``begin`` to ``last`` is."""
    cdef Py_ssize_t best = begin, t
    for t in range(begin + 1, last + 1):
        if strength[t] < strength[best]:
            best = t
    return best
