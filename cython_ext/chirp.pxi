# The transform of a length with a large prime factor, as a convolution with a chirp (Bluestein), because
# i k = (i^2 + k^2 - (k - i)^2) / 2.

cdef class Chirp:
    """The complex transform of any number of points, LANES sequences at once; safe to use from several threads."""

    cdef Pass passes[MAX_PASSES]
    cdef int n_passes
    cdef Py_ssize_t points, size, room     # room: vectors that `transform` needs beside its points
    cdef float[::1] table
    cdef float[:, ::1] chirp, answer       # complex: [points], and the transform of its conjugate in natural order [size]
    cdef int[::1] place

    def __init__(self, Py_ssize_t points):
        self.points = points
        # the least size of few and small factors that holds the chirp on both sides of 0
        self.size = min(odd << max(3, int(np.ceil(np.log2((2 * points - 1) / odd)))) for odd in (1, 3, 5, 9, 15))
        self.room = 4 * self.size
        radices = factors(self.size)
        self.n_passes = len(radices)
        self.table = plan_passes(self.passes, self.size, radices)
        self.place = positions(radices, self.size // radices[0]).astype(np.int32)
        i = np.arange(points)
        chirp = np.exp(-1j * np.pi * (i * i % (2 * points)) / points)      # the remainder keeps large squares exact
        around = np.zeros(self.size, complex)
        around[:points] = chirp.conj()
        around[self.size - points + 1 :] = chirp[:0:-1].conj()
        answer = np.fft.fft(around) / self.size
        self.chirp = np.stack([chirp.real, chirp.imag], -1).astype(np.float32)
        self.answer = np.stack([answer.real, answer.imag], -1).astype(np.float32)

    cdef void transform(self, vf* re, vf* im, vf* keep) noexcept nogil:
        """In place, in natural order; ``keep`` is room for `room` vectors.

        The second transform should be an inverse one: what goes in and what comes out is conjugate instead.
        """
        cdef Py_ssize_t i, at
        cdef vf* ar = keep
        cdef vf* ai = keep + self.size
        cdef vf* br = keep + 2 * self.size
        cdef vf* bi = keep + 3 * self.size
        cdef float c, s
        memset(ar, 0, 2 * self.size * sizeof(vf))
        for i in range(self.points):
            c = self.chirp[i, 0]
            s = self.chirp[i, 1]
            ar[i] = re[i] * c - im[i] * s
            ai[i] = re[i] * s + im[i] * c
        transform(self.passes, self.n_passes, ar, ai, NULL, 1)
        for i in range(self.size):
            at = self.place[i]
            c = self.answer[i, 0]
            s = self.answer[i, 1]
            br[i] = ar[at] * c - ai[at] * s
            bi[i] = -ar[at] * s - ai[at] * c
        transform(self.passes, self.n_passes, br, bi, NULL, 1)
        for i in range(self.points):
            at = self.place[i]
            c = self.chirp[i, 0]
            s = self.chirp[i, 1]
            re[i] = br[at] * c + bi[at] * s
            im[i] = br[at] * s - bi[at] * c
