# Samples of LANES frames -> windowed points, one frame per lane; the first pass of the transform on the way.
#
# Frames overlap, and sample i of one frame is sample i - hop of the next. So the sound is turned once, to lines of samples
# one hop apart: any sample of LANES frames is then LANES numbers in a row, and no sample is turned twice.

ctypedef fused sample:
    float
    short

cdef struct Frames:
    float* turned
    Py_ssize_t* place          # where in it the samples of the first frame stand, as the first pass wants them
    const char* ahead          # the sound of the frames after these
    Py_ssize_t n_fetch         # how many of its cache lines to ask for at each butterfly of the first pass


cdef void turn(
    const sample* sound, Py_ssize_t n_samples, Py_ssize_t hop, Py_ssize_t lines, Py_ssize_t width, float* turned
) noexcept nogil:
    """turned[i * width + k] = sound[k * hop + i], or 0 behind the end; ``width`` is a multiple of 4."""
    cdef Py_ssize_t i, k, n, whole, step = 4 if sample is float else 8
    for k from 0 <= k < width by 4:
        whole = max(0, min(lines, n_samples - (k + 3) * hop)) & -step
        for i from 0 <= i < whole by step:
            if sample is float:
                turn_floats(sound + k * hop + i, hop, turned + i * width + k, width)
            else:
                turn_shorts(sound + k * hop + i, hop, turned + i * width + k, width)
        for i in range(whole, lines):
            for n in range(k, k + 4):
                turned[i * width + n] = sound[n * hop + i] if n * hop + i < n_samples else 0


cdef void begin(
    const Pass* outer, const Frames* frames, const float* window, bint odd, vf* re, vf* im, Py_ssize_t apart
) noexcept nogil:
    """Window the frames and do the first pass on the way, of radix 2, 3, 4, 5, 8 or 9."""
    cdef Py_ssize_t j, m = outer.m
    cdef int radix = outer.radix
    cdef const float* w = outer.twiddle
    cdef vf x[18]
    if odd and radix == 3:
        for j in range(m):
            fetch_ahead(frames, j)
            load_real(frames, window, 3 * j, 3, x)
            real_butterfly3(x, 1, re + j, im + j, m, w + 4 * j, True)
    elif odd and radix == 9:
        for j in range(m):
            fetch_ahead(frames, j)
            load_real(frames, window, 9 * j, 9, x)
            real_butterfly9(x, 1, re + j, im + j, m, w + 16 * j, True)
    elif odd:
        for j in range(m):
            fetch_ahead(frames, j)
            load_real(frames, window, 5 * j, 5, x)
            real_butterfly5(x, 1, re + j, im + j, m, w + 8 * j, True)
    elif radix == 8:
        for j in range(m):
            fetch_ahead(frames, j)
            load_complex(frames, window, 8 * j, 8, x)
            butterfly8(x, x + 8, 1, re + j, im + j, apart, w + 14 * j, True)
    elif radix == 4:
        for j in range(m):
            fetch_ahead(frames, j)
            load_complex(frames, window, 4 * j, 4, x)
            butterfly4(x, x + 4, 1, re + j, im + j, apart, w + 6 * j, True)
    elif radix == 2:
        for j in range(m):
            fetch_ahead(frames, j)
            load_complex(frames, window, 2 * j, 2, x)
            butterfly2(x, x + 2, 1, re + j, im + j, apart, w + 2 * j, True)
    elif radix == 3:
        for j in range(m):
            fetch_ahead(frames, j)
            load_complex(frames, window, 3 * j, 3, x)
            butterfly3(x, x + 3, 1, re + j, im + j, apart, w + 4 * j, True)
    elif radix == 9:
        for j in range(m):
            fetch_ahead(frames, j)
            load_complex(frames, window, 9 * j, 9, x)
            butterfly9(x, x + 9, 1, re + j, im + j, apart, w + 16 * j, True)
    else:
        for j in range(m):
            fetch_ahead(frames, j)
            load_complex(frames, window, 5 * j, 5, x)
            butterfly5(x, x + 5, 1, re + j, im + j, apart, w + 8 * j, True)


cdef inline void fetch_ahead(const Frames* frames, Py_ssize_t j) noexcept nogil:
    """A little of the sound that the next frames will need, so that nobody waits for it then."""
    cdef Py_ssize_t i
    for i in range(j * frames.n_fetch, (j + 1) * frames.n_fetch):
        fetch(frames.ahead + 64 * i)


cdef inline void load_real(const Frames* frames, const float* window, Py_ssize_t first, Py_ssize_t count, vf* x) noexcept nogil:
    """The next `count` samples in the order of the first pass."""
    cdef Py_ssize_t i
    for i in range(count):
        x[i] = window[first + i] * load_float(frames.turned + frames.place[first + i])


cdef inline void load_complex(
    const Frames* frames, const float* window, Py_ssize_t first, Py_ssize_t count, vf* x
) noexcept nogil:
    """The next `count` points: real parts, then imaginary parts."""
    cdef Py_ssize_t i
    for i in range(count):
        x[i] = window[2 * (first + i)] * load_float(frames.turned + frames.place[2 * (first + i)])
        x[count + i] = window[2 * (first + i) + 1] * load_float(frames.turned + frames.place[2 * (first + i) + 1])
