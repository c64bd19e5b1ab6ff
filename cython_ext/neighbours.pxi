# What a spectrogram's numbers become by their neighbours in time: weighted sums (deltas) and running medians.

def weighted_sums(const float[:, ::1] values, const float[::1] weights, float[:, ::1] out):
    """out[t] = sum over i of weights[i] * values[t - width // 2 + i], ``width`` odd.

    The frames at either end, which lack neighbours, get what the nearest frame gets that has all.
    """
    cdef Py_ssize_t n_frames = values.shape[0], n_rows = values.shape[1], width = weights.shape[0], row, t, i, some
    cdef const float* start
    cdef vf total
    if out.shape[0] != n_frames or out.shape[1] != n_rows or width % 2 == 0 or n_frames < width:
        raise ValueError("the weights do not fit")
    if n_rows < 1:
        return
    with nogil:
        for t in range(n_frames):
            start = &values[max(<Py_ssize_t>0, min(t - width // 2, n_frames - width)), 0]
            for row from 0 <= row < n_rows by LANES:
                some = min(<Py_ssize_t>LANES, n_rows - row)
                total = splat(0)
                for i in range(width):
                    if some == LANES:
                        total = total + weights[i] * load_float(start + i * n_rows + row)
                    else:
                        total = total + weights[i] * load_some(start + i * n_rows + row, some)
                store_some(&out[t, row], total, some)


def running_median(const float[:, ::1] values, Py_ssize_t width, float[:, ::1] out):
    """out[t] = the median of values[t - width // 2] to values[t + width // 2], ``width`` odd; the ends reflect (b a | a b)."""
    cdef Py_ssize_t n_frames = values.shape[0], n_rows = values.shape[1], half = width // 2, row, t, i, some
    cdef const float* start
    cdef vf carry, here, old
    cdef vf* sorted_list
    if out.shape[0] != n_frames or out.shape[1] != n_rows or width < 1 or width % 2 == 0:
        raise ValueError("the medians do not fit")
    if n_frames < 1 or n_rows < 1:
        return
    sorted_list = new_lanes(width + 1)
    if sorted_list == NULL:
        raise MemoryError
    with nogil:
        for row from 0 <= row < n_rows by LANES:
            some = min(<Py_ssize_t>LANES, n_rows - row)
            start = &values[0, row]
            for i in range(width):                      # the window of frame 0, each number put where it belongs
                carry = load_some(start + reflected(i - half, n_frames) * n_rows, some)
                for t in range(i):
                    here = sorted_list[t]
                    sorted_list[t] = smaller(here, carry)
                    carry = larger(here, carry)
                sorted_list[i] = carry
            store_some(&out[0, row], sorted_list[half], some)
            for t in range(1, n_frames):
                old = load_some(start + reflected(t - 1 - half, n_frames) * n_rows, some)
                carry = load_some(start + reflected(t + half, n_frames) * n_rows, some)
                for i in range(width - 1):
                    here = replace_sorted(sorted_list[i], sorted_list[i + 1], old)
                    sorted_list[i] = smaller(here, carry)
                    carry = larger(here, carry)
                sorted_list[width - 1] = carry
                store_some(&out[t, row], sorted_list[half], some)
    free(sorted_list)
