# Detections to annotations, one to one. Annotations stand in the order of their middles; two trees over them hold the
# least start and the greatest end of those still free, so the nearest that fits is found in O(log n), however many overlap.

def match_intervals(
    const double[:] centre, const double[:] score, const double[:] start, const double[:] end, double tolerance
):
    """Give each detection, the highest score first, the free annotation that it hits and whose middle is nearest.

    Parameters
    ----------
    centre, score : float64 [n]
        Detections; equal scores go in the order given.
    start, end : float64 [m]
        Annotations. A detection hits when start - tolerance <= centre <= end + tolerance.
        At equal distance the earlier middle wins, then the one given first.

    Returns
    -------
    intp [n]
        The annotation of each detection, or -1.
    """
    if centre.shape[0] != score.shape[0]:
        raise ValueError(f"{centre.shape[0]} centres and {score.shape[0]} scores: expected as many of one as of the other")
    if not tolerance >= 0:
        raise ValueError(f"tolerance = {tolerance}: must be 0 or more")
    starts, ends = np.asarray(start), np.asarray(end)
    check_intervals(starts, ends)
    middles = 0.5 * (starts + ends)
    by_middle = np.argsort(middles, kind="stable")
    cdef const Py_ssize_t[::1] annotation = by_middle
    cdef const double[::1] middle = middles[by_middle]
    cdef const Py_ssize_t[::1] order = np.argsort(-np.asarray(score), kind="stable")
    cdef Py_ssize_t n = centre.shape[0], m = starts.shape[0], size = 1, i, k, left, right
    result = np.full(n, -1, np.intp)
    cdef Py_ssize_t[::1] out = result
    while size < m:
        size *= 2
    # both trees hold "first" values, the lower the better: starts, and ends with their sign turned
    cdef double[::1] opens = tree(starts[by_middle] - tolerance, size)
    cdef double[::1] closes = tree(-(ends[by_middle] + tolerance), size)
    cdef double c
    if m == 0:
        return result
    with nogil:
        for k in range(n):
            i = order[k]
            c = centre[i]
            if not isfinite(c):
                continue
            right = first_at_least(middle, c)
            left = find_left(closes, size, right, -c)
            right = find_right(opens, size, right, c)
            if left >= 0:
                left = find_right(closes, size, first_at_least(middle, middle[left]), -c)
            if left < 0 and right < 0:
                continue
            if left < 0 or (right >= 0 and middle[right] - c < c - middle[left]):
                left = right
            out[i] = annotation[left]
            remove(opens, size, left)
            remove(closes, size, left)
    return result


def tree(values, Py_ssize_t size):
    """A heap-ordered tree of minima over ``values``, its leaves from ``size`` on."""
    nodes = np.full(2 * size, np.inf)
    nodes[size:size + len(values)] = values
    while size > 1:
        size //= 2
        nodes[size:2 * size] = nodes[2 * size:4 * size].reshape(-1, 2).min(axis=1)
    return nodes


cdef inline Py_ssize_t first_at_least(const double[::1] values, double limit) noexcept nogil:
    cdef Py_ssize_t low = 0, high = values.shape[0], half
    while low < high:
        half = (low + high) // 2
        if values[half] < limit:
            low = half + 1
        else:
            high = half
    return low


cdef inline Py_ssize_t find_right(double[::1] nodes, Py_ssize_t size, Py_ssize_t begin, double limit) noexcept nogil:
    """The first leaf from `begin` on with a value at most `limit`, or -1."""
    if begin >= size:
        return -1
    cdef Py_ssize_t node = size + begin
    while not nodes[node] <= limit:
        while node & 1:                      # a right child: its parent ends where it ends
            node >>= 1
        if node == 0:
            return -1
        node += 1
    while node < size:
        node *= 2
        if not nodes[node] <= limit:
            node += 1
    return node - size


cdef inline Py_ssize_t find_left(double[::1] nodes, Py_ssize_t size, Py_ssize_t stop, double limit) noexcept nogil:
    """The last leaf before `stop` with a value at most `limit`, or -1."""
    if stop < 1:
        return -1
    cdef Py_ssize_t node = size + min(stop, size) - 1
    while not nodes[node] <= limit:
        while node & 1 == 0:                 # a left child: its parent begins where it begins
            node >>= 1
        if node == 1:
            return -1
        node -= 1
    while node < size:
        node = 2 * node + 1
        if not nodes[node] <= limit:
            node -= 1
    return node - size


cdef inline void remove(double[::1] nodes, Py_ssize_t size, Py_ssize_t leaf) noexcept nogil:
    cdef Py_ssize_t node = size + leaf
    nodes[node] = INFINITY
    while node > 1:
        node >>= 1
        nodes[node] = min(nodes[2 * node], nodes[2 * node + 1])
