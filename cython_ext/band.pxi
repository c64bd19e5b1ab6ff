# Frames of sound -> levels of the bins of one band: window, transform, power and logarithm, LANES frames at a time.

import numpy as np

cdef enum:
    LOG1P = 0
    DECIBEL = 1

ctypedef fused sample:
    float
    short


def factors(Py_ssize_t n):
    """The radices that a transform of n points is made of: eights and fours first, large primes last."""
    found = []
    cdef Py_ssize_t twos = 0, p = 3
    while n > 1 and n % 2 == 0:
        n //= 2
        twos += 1
    if twos == 1:
        found = [2]
    elif twos:
        fours = {0: 0, 1: 2, 2: 1}[twos % 3]
        found = [8] * ((twos - 2 * fours) // 3) + [4] * fours
    while n > 1:
        while n % p == 0:
            found.append(p)
            n //= p
        p += 2
        if p * p > n > 1:
            found.append(n)
            break
    return found


cdef class BandPlan:
    """All that is constant for one window length and one band; safe to use from several threads.

    Parameters
    ----------
    window : float64 [n_window]
        The window times the amplitude factor: |X|^2 comes out in the wanted unit.
    first_bin, n_bins
        The band.
    """

    cdef Pass passes[MAX_PASSES]
    cdef int n_passes
    cdef Py_ssize_t n_window, points, n_bins, stride, room
    cdef float[::1] table, window
    cdef Py_ssize_t[::1] here, there       # where bin k, and the bin that mirrors it, stand after the transform
    cdef float[::1] cosine, sine

    def __init__(self, window, Py_ssize_t first_bin, Py_ssize_t n_bins):
        self.n_window = len(window)
        self.n_bins = n_bins
        self.stride = (n_bins + LANES - 1) // LANES * LANES
        odd = self.n_window % 2 == 1
        # an even number of samples goes through the transform as half as many complex points
        self.points = self.n_window if odd else self.n_window // 2
        radices = factors(self.points)
        if len(radices) > MAX_PASSES:
            raise ValueError(f"a window of {self.n_window} samples is too long")
        self.room = 2 * max(radices, default=1)
        self.window = np.asarray(np.asarray(window) * (1.0 if odd else 0.5), np.float32)
        self._plan_passes(radices)
        bins = np.minimum(np.arange(first_bin, first_bin + self.stride), first_bin + n_bins - 1)
        place = _positions(radices)
        if odd:
            made = _is_made(bins, radices)
            self.here = place[np.where(made, bins, (self.points - bins) % self.points)]
        else:
            self.here = place[bins % self.points]
        self.there = place[(self.points - bins) % self.points]
        self.cosine = np.cos(2 * np.pi * bins / self.n_window).astype(np.float32)
        self.sine = np.sin(2 * np.pi * bins / self.n_window).astype(np.float32)

    def _plan_passes(self, radices):
        cdef Py_ssize_t n = self.points, offset = 0
        cdef int i
        tables = [np.zeros(0, np.float32)]
        starts = []
        self.n_passes = len(radices)
        for i, radix in enumerate(radices):
            self.passes[i].radix = radix
            self.passes[i].m = n // radix
            twiddle = np.outer(np.arange(n // radix), np.arange(1, radix)) / n
            for turns in (twiddle, np.arange(radix) / radix):
                starts.append(offset)
                tables.append(np.stack([np.cos(2 * np.pi * turns), -np.sin(2 * np.pi * turns)], -1).ravel().astype(np.float32))
                offset += tables[len(tables) - 1].size
            n //= radix
        self.table = np.concatenate(tables + [np.zeros(1, np.float32)])
        for i in range(self.n_passes):
            self.passes[i].twiddle = &self.table[starts[2 * i]]
            self.passes[i].root = &self.table[starts[2 * i + 1]]

    @property
    def row_stride(self):
        """Floats from one frame's levels to the next: the bins, rounded up to whole vectors."""
        return self.stride

    def levels(
        self, const sample[::1] sound, Py_ssize_t start, Py_ssize_t hop, Py_ssize_t n_frames, float[:, ::1] out, int scale,
        float floor,
    ):
        """Write the levels of ``n_frames`` frames, the first from sample ``start`` on, into ``out`` [>= n_frames, row_stride].

        Returns the number of the first frame that is not finite, or -1.
        """
        cdef Py_ssize_t frame, bad = -1
        cdef vf* re
        if n_frames < 1:
            return -1
        if start < 0 or hop < 1 or start + (n_frames - 1) * hop + self.n_window > sound.shape[0]:
            raise ValueError("the frames reach beyond the sound")
        if out.shape[0] < n_frames or out.shape[1] != self.stride:
            raise ValueError("the levels do not fit")
        re = new_lanes(2 * self.points + self.room + LANES)
        if re == NULL:
            raise MemoryError
        with nogil:
            for frame from 0 <= frame < n_frames by LANES:
                self.load(&sound[start], frame, n_frames, hop, re)
                if self.n_window % 2:
                    real_transform(self.passes, self.n_passes, re, re + self.points, re + 2 * self.points)
                else:
                    transform(self.passes, self.n_passes, re, re + self.points, re + 2 * self.points, 1)
                bad = self.store(re, frame, n_frames, &out[0, 0], scale, floor)
                if bad >= 0:
                    break
        free(re)
        return bad

    cdef void load(self, const sample* sound, Py_ssize_t first, Py_ssize_t n_frames, Py_ssize_t hop, vf* re) noexcept nogil:
        """Window LANES frames into lanes; lanes past the last frame repeat it."""
        cdef const sample* frames[LANES]
        cdef vf* tile = re + 2 * self.points + self.room
        cdef Py_ssize_t i, at, odd = self.n_window % 2
        cdef vf* im = re + self.points
        cdef float weight
        for i in range(LANES):
            frames[i] = sound + min(first + i, n_frames - 1) * hop
        for at from 0 <= at < self.n_window by LANES:
            if at + LANES <= self.n_window:
                for i in range(LANES):
                    if sample is float:
                        tile[i] = load_float(frames[i] + at)
                    else:
                        tile[i] = load_short(frames[i] + at)
                transpose(tile)
            else:
                gather(frames, at, self.n_window, tile)
            for i in range(min(<Py_ssize_t>LANES, self.n_window - at)):
                weight = self.window[at + i]
                if sample is short:
                    weight = weight * <float>(1.0 / 32768)
                if odd:
                    re[at + i] = tile[i] * weight
                    im[at + i] = splat(0)
                elif i % 2 == 0:
                    re[(at + i) // 2] = tile[i] * weight
                else:
                    im[(at + i) // 2] = tile[i] * weight

    cdef Py_ssize_t store(
        self, vf* re, Py_ssize_t first, Py_ssize_t n_frames, float* out, int scale, float floor
    ) noexcept nogil:
        """Power and level of every bin of the band, turned back to one row per frame; the first frame not finite, or -1."""
        cdef vf* im = re + self.points
        cdef vf* tile = re + 2 * self.points + self.room
        cdef Py_ssize_t row, i, k, here, there, n = min(<Py_ssize_t>LANES, n_frames - first)
        cdef vf er, ei, odd_re, odd_im, x, y, power, check = splat(0)
        cdef float c, s, zero = 0, tenth = 4.342944819032518
        out += first * self.stride
        for row from 0 <= row < self.stride by LANES:
            for i in range(LANES):
                k = row + i
                here = self.here[k]
                if self.n_window % 2:
                    power = re[here] * re[here] + im[here] * im[here]
                else:
                    there = self.there[k]
                    er = re[here] + re[there]
                    ei = im[here] - im[there]
                    odd_re = im[here] + im[there]
                    odd_im = re[there] - re[here]
                    c = self.cosine[k]
                    s = self.sine[k]
                    x = er + c * odd_re + s * odd_im
                    y = ei + c * odd_im - s * odd_re
                    power = x * x + y * y
                check = check + zero * power
                if scale == LOG1P:
                    tile[i] = log1p_lanes(power)
                else:
                    tile[i] = tenth * log_lanes(larger(power, splat(floor)))
            transpose(tile)
            for i in range(n):
                store_float(out + i * self.stride + row, tile[i])
        for i in range(n):
            if lane(&check, <int>i) != 0:
                return first + i
        return -1


cdef void gather(const sample** frames, Py_ssize_t at, Py_ssize_t end, vf* tile) noexcept nogil:
    """The last samples of the window, fewer than LANES."""
    cdef Py_ssize_t i
    cdef int l
    for i in range(end - at):
        for l in range(LANES):
            set_lane(tile + i, l, <float>frames[l][at + i])


def _positions(radices):
    """Where each number of a transform made of these radices ends up."""
    place = np.zeros(1, np.intp)
    for radix in reversed(radices):
        # number q + radix * k stands in sequence q, where number k stands in it
        place = (np.arange(radix) * place.size + place[:, None]).ravel()
    return place


def _is_made(bins, radices):
    """Which numbers the real transform of odd length makes: the first digit that is not 0 is in the lower half."""
    made = np.ones(bins.shape, bool)
    settled = np.zeros(bins.shape, bool)
    rest = bins.copy()
    for radix in radices:
        digit = rest % radix
        made[~settled & (digit > radix // 2)] = False
        settled |= digit > 0
        rest //= radix
    return made
