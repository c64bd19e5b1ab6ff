def strongest_rows(const float[:, ::1] values):
    """The largest number of every slice: [slices, rows] -> float32 [slices]; ``rows`` is at least 1."""
    cdef Py_ssize_t n = values.shape[0], n_rows = values.shape[1], t
    if n and n_rows < 1:
        raise ValueError("slices without rows have no strongest one")
    result = np.empty(n, np.float32)
    cdef float[::1] out = result
    with nogil:
        for t in range(n):
            out[t] = maximum(&values[t, 0], n_rows)
    return result


cdef enum:
    SIDE_BY_SIDE = 16
    FEW = 4


cdef inline float maximum(const float* row, Py_ssize_t n) noexcept nogil:
    """Of at least one number. Maxima side by side, so that the compiler keeps them in vectors."""
    cdef float[SIDE_BY_SIDE] top
    cdef float result = row[0]
    cdef Py_ssize_t i = 0, k, whole = n - n % SIDE_BY_SIDE, fours = n - n % FEW
    if whole:
        for k in range(SIDE_BY_SIDE):
            top[k] = row[k]
        for i from SIDE_BY_SIDE <= i < whole by SIDE_BY_SIDE:
            for k in range(SIDE_BY_SIDE):
                top[k] = row[i + k] if row[i + k] > top[k] else top[k]
        for k in range(SIDE_BY_SIDE):
            result = top[k] if top[k] > result else result
    if fours > whole:
        for k in range(FEW):
            top[k] = row[whole + k]
        for i from whole + FEW <= i < fours by FEW:
            for k in range(FEW):
                top[k] = row[i + k] if row[i + k] > top[k] else top[k]
        for k in range(FEW):
            result = top[k] if top[k] > result else result
    for i in range(fours, n):
        result = row[i] if row[i] > result else result
    return result
