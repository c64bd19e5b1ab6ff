# Per-channel energy normalisation (Wang et al., ICASSP 2017): every band against its own slow average.

def pcen(
    float[:, ::1] energy, Py_ssize_t n_frames, float[::1] average, float pace, float gain, float bias, float power, float eps
):
    """Replace the first ``n_frames`` rows E of ``energy`` [>= n_frames, >= n_rows] by (E / (eps + M)^gain + bias)^power - bias^power.

    M, ``average`` [n_rows], moves by ``pace`` of the way to E in every frame, and is left as it is after the last.
    """
    cdef Py_ssize_t n_rows = average.shape[0], stride = energy.shape[1], row, frame, width
    cdef float* at
    cdef vf mean, now, level, offset = exp_lanes(power * log_lanes(splat(bias))) if bias > 0 else splat(0)
    if energy.shape[0] < n_frames or stride < n_rows:
        raise ValueError("the averages do not fit")
    if n_frames < 1 or n_rows < 1:
        return
    with nogil:
        for row from 0 <= row < n_rows by LANES:
            width = min(<Py_ssize_t>LANES, n_rows - row)
            mean = load_some(&average[row], width)
            at = &energy[0, row]
            for frame in range(n_frames):
                now = load_float(at) if width == LANES else load_some(at, width)
                mean = mean + pace * (now - mean)
                level = now * exp_lanes(-gain * log_lanes(mean + eps)) + bias
                level = exp_lanes(power * log_lanes(larger(level, splat(1e-37)))) - offset
                if width == LANES:
                    store_float(at, level)
                else:
                    store_some(at, level, width)
                at += stride
            store_some(&average[row], mean, width)
