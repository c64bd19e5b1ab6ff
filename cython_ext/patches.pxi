def mean_patches(
    const float[:, ::1] values, const Py_ssize_t[::1] centres, Py_ssize_t slices, Py_ssize_t time, Py_ssize_t frequency
):
    """Cut patches from a spectrogram and average ``time`` slices by ``frequency`` rows into one number each.

    Parameters
    ----------
    values : float32 [n_slices, rows]
        Outside of it all is 0; rows at the top that do not fill a band are left out.
    centres : intp [n]
        A patch begins ``slices // 2`` before its centre.
    slices
        Length of a patch, a multiple of ``time``.

    Returns
    -------
    float32 [n, slices // time, rows // frequency]
    """
    cdef Py_ssize_t n = values.shape[0], count = centres.shape[0], k, column, t, i, band, j
    if time < 1 or frequency < 1 or slices < 1 or slices % time:
        raise ValueError(f"patches of {slices} slices, {time} by {frequency} into one: the slices must fill columns")
    cdef Py_ssize_t columns = slices // time, bands = values.shape[1] // frequency
    cdef float size = <float>(time * frequency), total
    cdef const float* row
    cdef float* line
    result = np.zeros((count, columns, bands), np.float32)
    cdef float[:, :, ::1] out = result
    if bands < 1:
        return result
    with nogil:
        for k in range(count):
            for column in range(columns):
                line = &out[k, column, 0]
                t = centres[k] - slices // 2 + column * time
                for i in range(max(<Py_ssize_t>0, t), min(n, t + time)):
                    row = &values[i, 0]
                    if frequency == 2:              # the usual number, in vectors
                        for band in range(bands):
                            line[band] += row[2 * band] + row[2 * band + 1]
                        continue
                    for band in range(bands):
                        total = row[band * frequency]
                        for j in range(1, frequency):
                            total += row[band * frequency + j]
                        line[band] += total
                for band in range(bands):
                    line[band] /= size
    return result
