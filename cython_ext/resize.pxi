# A spectrogram, or a part of it, as a picture of another size.

def resize(
    const float[:, ::1] values, const int[::1] frame_first, const float[:, ::1] frame_weights, const int[::1] row_first,
    const float[:, ::1] row_weights, float[:, ::1] out,
):
    """out[t, r] = weighted sums of frames frame_first[t] on and of rows row_first[r] on.

    Frames are joined first, whole rows at a time; then LANES pictures' lines at once, one per lane, along the rows.
    """
    cdef Py_ssize_t n_out = out.shape[0], n_rows = values.shape[1], out_rows = out.shape[1]
    cdef Py_ssize_t taps = frame_weights.shape[1], row_taps = row_weights.shape[1], t, i, l, r, n, some, stride, width
    cdef vf* line
    cdef vf tile[LANES]
    cdef vf total
    cdef const float* weight
    if n_out < 1 or out_rows < 1:
        return
    if frame_first.shape[0] != n_out or frame_weights.shape[0] != n_out or row_first.shape[0] != out_rows:
        raise ValueError("the picture does not fit")
    if row_weights.shape[0] != out_rows or n_rows < row_taps or values.shape[0] < taps:
        raise ValueError("the picture does not fit")
    for t in range(n_out):
        if frame_first[t] < 0 or frame_first[t] + taps > values.shape[0]:
            raise ValueError("the frames do not fit")
    for r in range(out_rows):
        if row_first[r] < 0 or row_first[r] + row_taps > n_rows:
            raise ValueError("the rows do not fit")
    stride = (n_rows + LANES - 1) // LANES * LANES
    line = new_lanes(stride)
    if line == NULL:
        raise MemoryError
    with nogil:
        for t from 0 <= t < n_out by LANES:
            n = min(<Py_ssize_t>LANES, n_out - t)
            for i from 0 <= i < n_rows by LANES:
                width = min(<Py_ssize_t>LANES, n_rows - i)
                for l in range(LANES):
                    total = splat(0)
                    if l < n:
                        weight = &frame_weights[t + l, 0]
                        for r in range(taps):
                            if width == LANES:
                                total = total + weight[r] * load_float(&values[frame_first[t + l] + r, i])
                            else:
                                total = total + weight[r] * load_some(&values[frame_first[t + l] + r, i], width)
                    tile[l] = total
                transpose(tile)
                for l in range(LANES):
                    line[i + l] = tile[l]
            for r from 0 <= r < out_rows by LANES:
                some = min(<Py_ssize_t>LANES, out_rows - r)
                for l in range(LANES):
                    total = splat(0)
                    if l < some:
                        weight = &row_weights[r + l, 0]
                        for i in range(row_taps):
                            total = total + weight[i] * line[row_first[r + l] + i]
                    tile[l] = total
                transpose(tile)
                for l in range(n):
                    store_some(&out[t + l, r], tile[l], some)
    free(line)
