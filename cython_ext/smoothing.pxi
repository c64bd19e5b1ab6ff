def smooth_gaussian(const float[:, :] scores, double sigma):
    """Smooth scores [T, C] along time with a Gaussian of ``sigma`` steps.

    The kernel ends at 4 sigma and the ends reflect, as in scipy.ndimage.gaussian_filter1d. Returns float32 [T, C].
    """
    if not sigma >= 0 or sigma == INFINITY:
        raise ValueError(f"sigma = {sigma}: must be 0 or more")
    cdef Py_ssize_t n = scores.shape[0], n_classes = scores.shape[1], radius = <Py_ssize_t>(4 * sigma + 0.5)
    cdef Py_ssize_t t, i, c, before, after
    if radius == 0 or n == 0 or n_classes == 0:
        return np.array(scores, np.float32)
    weights = np.exp(-0.5 * (np.arange(radius + 1) / sigma) ** 2)
    cdef double[::1] taps = weights / (2 * weights.sum() - 1)
    result = np.empty((n, n_classes), np.float32)
    cdef float[:, ::1] out = result
    cdef double[::1] line = np.empty(n_classes)
    with nogil:
        for t in range(n):
            for c in range(n_classes):
                line[c] = taps[0] * scores[t, c]
            for i in range(1, radius + 1):
                before = reflected(t - i, n)
                after = reflected(t + i, n)
                for c in range(n_classes):
                    line[c] += taps[i] * (<double>scores[before, c] + scores[after, c])
            for c in range(n_classes):
                out[t, c] = <float>line[c]
    return result


cdef inline Py_ssize_t reflected(Py_ssize_t i, Py_ssize_t n) noexcept nogil:
    while i < 0 or i >= n:
        i = -1 - i if i < 0 else 2 * n - 1 - i
    return i
