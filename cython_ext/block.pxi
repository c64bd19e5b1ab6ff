# One block of levels [frames, rows]: take the usual level of every row away, then smooth along frames and rows.

cdef enum:
    MEAN = 1
    MEDIAN = 2
    PUBLISHED = 3


def finish_block(
    float[:, ::1] levels, Py_ssize_t n_frames, Py_ssize_t n_rows, int denoise, float mask_level, const float[::1] taps,
    float[:, ::1] out,
):
    """Denoise and smooth the first ``n_frames`` rows of ``levels`` [>= n_frames, row_stride] into ``out`` [n_frames, n_rows].

    ``levels`` is changed. ``taps`` is the right half of the smoothing kernel, its middle first; one tap leaves all as it is.
    """
    cdef Py_ssize_t stride = levels.shape[1], radius = taps.shape[0] - 1
    if n_frames < 1:
        return
    if levels.shape[0] < n_frames or out.shape[0] != n_frames or out.shape[1] != n_rows or n_rows > stride or stride % LANES:
        raise ValueError("the block does not fit")
    cdef float* room = <float*>new_lanes((2 * stride + 2 * radius) // LANES + 3 + n_frames)
    if room == NULL:
        raise MemoryError
    with nogil:
        if denoise == PUBLISHED:
            subtract_masked_means(&levels[0, 0], n_frames, n_rows, stride, mask_level, room)
        elif denoise == MEAN:
            subtract_means(&levels[0, 0], n_frames, stride, room)
        elif denoise == MEDIAN:
            subtract_medians(&levels[0, 0], n_frames, stride, room)
        smooth(&levels[0, 0], n_frames, n_rows, stride, &taps[0], radius, room, &out[0, 0])
    free(room)


cdef void subtract_masked_means(
    float* levels, Py_ssize_t n_frames, Py_ssize_t n_rows, Py_ssize_t stride, float mask_level, float* mean
) noexcept nogil:
    """Loud frames (mean level above mask_level) and quiet ones each lose their own mean per row; nothing goes below 0."""
    cdef float* loud = mean + 2 * stride          # 1 for a loud frame, else 0
    cdef Py_ssize_t frame, group
    cdef Py_ssize_t[2] counts
    memset(mean, 0, 2 * stride * sizeof(float))
    counts[0] = 0
    counts[1] = 0
    for frame in range(n_frames):
        group = row_sum(levels + frame * stride, n_rows) > mask_level * n_rows
        loud[frame] = <float>group
        counts[group] += 1
        add_row(mean + group * stride, levels + frame * stride, stride)
    for group in range(2):
        scale_row(mean + group * stride, 1.0 / max(counts[group], 1), stride)
    for frame in range(n_frames):
        take_away(levels + frame * stride, mean + <Py_ssize_t>loud[frame] * stride, stride)


cdef void subtract_means(float* levels, Py_ssize_t n_frames, Py_ssize_t stride, float* mean) noexcept nogil:
    """Every row loses its mean; nothing goes below 0."""
    cdef Py_ssize_t frame
    memset(mean, 0, stride * sizeof(float))
    for frame in range(n_frames):
        add_row(mean, levels + frame * stride, stride)
    scale_row(mean, 1.0 / n_frames, stride)
    for frame in range(n_frames):
        take_away(levels + frame * stride, mean, stride)


cdef void subtract_medians(float* levels, Py_ssize_t n_frames, Py_ssize_t stride, float* close) noexcept nogil:
    """Every row loses its median (of an even number of frames: the mean of the middle two); nothing goes below 0."""
    cdef Py_ssize_t row, frame
    cdef vf median
    for row from 0 <= row < stride by LANES:
        for frame in range(n_frames):                   # close together, because it is read many times
            store_float(close + frame * LANES, load_float(levels + frame * stride + row))
        median = median_lanes(close, n_frames, LANES)
        for frame in range(n_frames):
            store_float(
                levels + frame * stride + row, larger(load_float(close + frame * LANES) - median, splat(0))
            )


cdef void smooth(
    const float* levels, Py_ssize_t n_frames, Py_ssize_t n_rows, Py_ssize_t stride, const float* taps, Py_ssize_t radius,
    float* room, float* out,
) noexcept nogil:
    """The kernel along frames, then along rows; both reflect at their ends (d c b a | a b c d | d c b a)."""
    cdef Py_ssize_t frame, row, i, width
    cdef float* line = room + radius
    cdef const float* before
    cdef const float* after
    cdef vf total
    if radius == 0:
        for frame in range(n_frames):
            memcpy(out + frame * n_rows, levels + frame * stride, n_rows * sizeof(float))
        return
    for frame in range(n_frames):
        for row from 0 <= row < stride by LANES:
            store_float(line + row, taps[0] * load_float(levels + frame * stride + row))
        for i in range(1, radius + 1):
            before = levels + reflected(frame - i, n_frames) * stride
            after = levels + reflected(frame + i, n_frames) * stride
            for row from 0 <= row < stride by LANES:
                total = load_float(before + row) + load_float(after + row)
                store_float(line + row, load_float(line + row) + taps[i] * total)
        for i in range(1, radius + 1):
            line[-i] = line[reflected(-i, n_rows)]
            line[n_rows - 1 + i] = line[reflected(n_rows - 1 + i, n_rows)]
        for row from 0 <= row < n_rows by LANES:
            total = taps[0] * load_float(line + row)
            for i in range(1, radius + 1):
                total = total + taps[i] * (load_float(line + row - i) + load_float(line + row + i))
            width = min(<Py_ssize_t>LANES, n_rows - row)
            if width == LANES:
                store_float(out + row, total)
            else:
                store_some(out + row, total, width)
        out += n_rows


cdef inline Py_ssize_t reflected(Py_ssize_t i, Py_ssize_t n) noexcept nogil:
    while i < 0 or i >= n:
        i = -1 - i if i < 0 else 2 * n - 1 - i
    return i


cdef inline float row_sum(const float* row, Py_ssize_t n) noexcept nogil:
    cdef vf total = splat(0)
    cdef float result = 0
    cdef Py_ssize_t i
    for i from 0 <= i < n - n % LANES by LANES:
        total = total + load_float(row + i)
    for i in range(n - n % LANES, n):
        result += row[i]
    for i in range(LANES):
        result += lane(&total, <int>i)
    return result


cdef inline void add_row(float* to, const float* row, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i from 0 <= i < n by LANES:
        store_float(to + i, load_float(to + i) + load_float(row + i))


cdef inline void scale_row(float* row, float factor, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        row[i] *= factor


cdef inline void take_away(float* row, const float* mean, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i from 0 <= i < n by LANES:
        store_float(row + i, larger(load_float(row + i) - load_float(mean + i), splat(0)))
