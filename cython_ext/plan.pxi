# Frames of sound -> rows of a spectrogram: window, transform, power, bands and logarithm, LANES frames side by side.

cdef enum:
    LOG1P = 0
    DECIBEL = 1
    NATURAL = 2
    POWER = 3


cdef class SpectrogramPlan:
    """All that is constant for one window length and one set of rows; safe to use from several threads.

    A window of even length goes through the transform as half as many complex points; two numbers that mirror each
    other give two powers, which stay where one of the two was. Of an odd length only one of two conjugate numbers is made.

    Parameters
    ----------
    window : float64 [n_window]
        The window times the amplitude factor: |X|^2 comes out in the wanted unit.
    first_bin, n_bins
        The bins that are wanted.
    filters : sequence of (first, weights), or None
        Row i is the sum of weights times the bins from ``first`` (counted from 0 Hz) on; without filters, rows are the bins.
    """

    cdef Pass passes[MAX_PASSES]
    cdef int n_passes
    cdef bint odd, filtered, tiled
    cdef Py_ssize_t n_window, points, n_rows, room, apart, gap
    cdef float[::1] table, window, short_window
    # the numbers k and their mirrors, in groups that are complete once two sequences of the first pass are; of an odd
    # length, the wanted numbers
    cdef int[::1] here, there, group_ends
    cdef float[::1] cosine, sine
    # row i: the powers at index[row_starts[i]:row_starts[i + 1]] times weights
    cdef int[::1] index, row_starts
    cdef float[::1] weights

    def __init__(self, window, Py_ssize_t first_bin, Py_ssize_t n_bins, filters=None):
        self.n_window = len(window)
        self.odd = self.n_window % 2 == 1
        self.points = self.n_window if self.odd else self.n_window // 2
        radices = factors(self.points)
        if self.n_window < 4 or len(radices) > MAX_PASSES:
            raise ValueError(f"a window of {self.n_window} samples is out of range")
        if first_bin < 0 or n_bins < 1 or first_bin + n_bins > self.n_window // 2 + 1:
            raise ValueError(f"a window of {self.n_window} samples has no {n_bins} bins from {first_bin} on")
        self.room = 2 * max(radices)
        self.window = np.asarray(np.asarray(window) * (1.0 if self.odd else 0.5), np.float32)
        self.short_window = np.asarray(self.window) / np.float32(32768)
        self._plan_passes(radices)
        self.tiled = self.passes[0].m >= LANES and radices[0] in (2, 3, 4, 5, 8)
        # Numbers that are used together must not stand a power of two apart: they would share the same few cache lines.
        self.apart = self.passes[0].m + (16 // LANES if self.tiled and not self.odd else 0)
        self.gap = radices[0] * self.apart + 64 // LANES
        where = self._plan_pairs(radices, first_bin, n_bins)
        self.filtered = filters is not None
        if filters is None:
            filters = [(first_bin + i, np.ones(1)) for i in range(n_bins)]
        self.n_rows = len(filters)
        bins = [first + np.arange(len(weights)) for first, weights in filters]
        self.index = np.concatenate([where[some] for some in bins]).astype(np.int32)
        self.row_starts = np.cumsum([0, *map(len, bins)]).astype(np.int32)
        self.weights = np.concatenate([np.asarray(weights, np.float32) for _, weights in filters])

    def _plan_passes(self, radices):
        cdef Py_ssize_t n = self.points, offset = 0
        cdef int i
        tables = []
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
        self.table = np.concatenate(tables)
        for i in range(self.n_passes):
            self.passes[i].twiddle = &self.table[starts[2 * i]]
            self.passes[i].root = &self.table[starts[2 * i + 1]]

    def _plan_pairs(self, radices, first_bin, n_bins):
        """Which numbers to join; where the power of every bin will stand."""
        place = positions(radices, self.apart)
        bins = np.arange(self.n_window // 2 + 1)
        if self.odd:
            where = place[real_numbers(bins, radices)]
            self.here = self.there = where[first_bin : first_bin + n_bins].astype(np.int32)
            return where
        k = np.arange(self.points // 2 + 1)
        wanted = np.isin(bins, np.arange(first_bin, first_bin + n_bins))
        k = k[wanted[k] | wanted[self.points - k]]
        group = np.minimum(k % radices[0], -k % radices[0])
        k = k[np.argsort(group, kind="stable")]
        self.group_ends = np.cumsum(np.bincount(group, minlength=radices[0] // 2 + 1)).astype(np.int32)
        self.here = place[k].astype(np.int32)
        self.there = place[-k % self.points].astype(np.int32)
        self.cosine = np.cos(2 * np.pi * k / self.n_window).astype(np.float32)
        self.sine = np.sin(2 * np.pi * k / self.n_window).astype(np.float32)
        return np.where(2 * bins <= self.points, place[bins % self.points], place[-bins % self.points] + self.gap)

    def rows(
        self, const sample[::1] sound, Py_ssize_t start, Py_ssize_t hop, Py_ssize_t n_frames, float[:, ::1] out, int scale,
        float floor,
    ):
        """Write the rows of ``n_frames`` frames, the first from sample ``start`` on, into ``out`` [>= n_frames, >= rows].

        Returns the number of the first frame that is not finite, or -1.
        """
        cdef Py_ssize_t frame, bad = -1
        cdef vf* re
        if n_frames < 1:
            return -1
        if start < 0 or hop < 1 or start + (n_frames - 1) * hop + self.n_window > sound.shape[0]:
            raise ValueError("the frames reach beyond the sound")
        if out.shape[0] < n_frames or out.shape[1] < self.n_rows:
            raise ValueError("the rows do not fit")
        re = new_lanes(2 * self.gap + max(self.room, 16 * LANES))
        if re == NULL:
            raise MemoryError
        with nogil:
            for frame from 0 <= frame < n_frames by LANES:
                self.powers(&sound[start], frame, n_frames, hop, re)
                bad = self.emit(re, frame, n_frames, &out[0, 0], out.shape[1], scale, floor)
                if bad >= 0:
                    break
        free(re)
        return bad

    cdef void powers(self, const sample* sound, Py_ssize_t first, Py_ssize_t n_frames, Py_ssize_t hop, vf* re) noexcept nogil:
        """The powers of the wanted bins of the next frames, at self.index; lanes past the last frame repeat it."""
        cdef const sample* frames[LANES]
        cdef vf* im = re + self.gap
        cdef vf* keep = re + 2 * self.gap
        cdef const Pass* outer = &self.passes[0]
        cdef const float* window = &self.window[0] if sample is float else &self.short_window[0]
        cdef Py_ssize_t group, begin = 0, i
        for i in range(LANES):
            frames[i] = sound + min(first + i, n_frames - 1) * hop
        if self.tiled:
            load_and_begin(outer, frames, window, self.odd, re, im, self.apart, keep)
        else:
            load(frames, window, self.points, self.odd, re, im)
            if self.odd:
                one_real_pass(outer, re, im, keep)
            else:
                one_pass(outer, re, im, keep, 1)
        if self.odd:
            finish_real_transform(outer, self.n_passes, re, im, keep)
            self.square(re, im)
            return
        for group in range(outer.radix // 2 + 1):
            transform(outer + 1, self.n_passes - 1, re + group * self.apart, im + group * self.apart, keep, 1)
            if 0 < group < outer.radix - group:
                i = outer.radix - group
                transform(outer + 1, self.n_passes - 1, re + i * self.apart, im + i * self.apart, keep, 1)
            self.join(re, im, begin, self.group_ends[group])
            begin = self.group_ends[group]

    cdef void join(self, vf* re, vf* im, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
        """From the numbers k and their mirrors to the powers of bins k and points - k, in place."""
        cdef Py_ssize_t pair, a, b
        cdef vf sum_re, sum_im, dif_re, dif_im, x, y
        cdef float c, s
        for pair in range(begin, end):
            a = self.here[pair]
            b = self.there[pair]
            sum_re = re[a] + re[b]
            dif_im = im[a] - im[b]
            sum_im = im[a] + im[b]
            dif_re = re[b] - re[a]
            c = self.cosine[pair]
            s = self.sine[pair]
            x = c * sum_im + s * dif_re
            y = c * dif_re - s * sum_im
            re[a] = (sum_re + x) * (sum_re + x) + (dif_im + y) * (dif_im + y)
            im[a] = (sum_re - x) * (sum_re - x) + (dif_im - y) * (dif_im - y)

    cdef void square(self, vf* re, vf* im) noexcept nogil:
        """From numbers to powers, in place."""
        cdef Py_ssize_t i, a
        for i in range(self.here.shape[0]):
            a = self.here[i]
            re[a] = re[a] * re[a] + im[a] * im[a]

    cdef Py_ssize_t emit(
        self, const vf* power, Py_ssize_t first, Py_ssize_t n_frames, float* out, Py_ssize_t stride, int scale, float floor
    ) noexcept nogil:
        """Rows and their levels, turned back to one line per frame; the first frame that is not finite, or -1."""
        cdef vf tile[LANES]
        cdef vf value, check = splat(0)
        cdef float zero = 0, tenth = 4.342944819032518
        cdef Py_ssize_t row, i, width, n = min(<Py_ssize_t>LANES, n_frames - first)
        out += first * stride
        for row from 0 <= row < self.n_rows by LANES:
            width = min(<Py_ssize_t>LANES, self.n_rows - row)
            for i in range(width):
                value = self.band(power, row + i) if self.filtered else power[self.index[row + i]]
                check = check + zero * value
                if scale == LOG1P:
                    tile[i] = log1p_lanes(value)
                elif scale == DECIBEL:
                    tile[i] = tenth * log_lanes(larger(value, splat(floor)))
                elif scale == NATURAL:
                    tile[i] = log_lanes(larger(value, splat(floor)))
                else:
                    tile[i] = value
            for i in range(width, LANES):
                tile[i] = splat(0)
            transpose(tile)
            for i in range(n):
                if width == LANES:
                    store_float(out + i * stride + row, tile[i])
                else:
                    store_some(out + i * stride + row, tile[i], width)
        for i in range(n):
            if lane(&check, <int>i) != 0:
                return first + i
        return -1

    cdef inline vf band(self, const vf* power, Py_ssize_t row) noexcept nogil:
        """One filter, as two sums so that neither waits for the other."""
        cdef Py_ssize_t i, begin = self.row_starts[row], end = self.row_starts[row + 1]
        cdef vf even = splat(0), odd = splat(0)
        for i from begin <= i < end - 1 by 2:
            even = even + self.weights[i] * power[self.index[i]]
            odd = odd + self.weights[i + 1] * power[self.index[i + 1]]
        if (end - begin) % 2:
            even = even + self.weights[end - 1] * power[self.index[end - 1]]
        return even + odd
