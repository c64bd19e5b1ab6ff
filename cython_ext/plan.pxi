# Frames of sound -> rows of a spectrogram: window, transform, power, bands and logarithm, LANES frames side by side.

cdef enum:                     # prime factors above these are faster by a chirp
    LARGE_PRIME = 120
    LARGE_PRIME_OF_REAL = 340


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
    cdef bint odd, filtered, joined
    cdef Py_ssize_t n_window, points, n_bins, n_rows, room, apart, gap
    cdef float[::1] table
    cdef Chirp chirp                       # which replaces all passes, or None
    cdef int[::1] order                    # the samples of a frame, as the first pass wants them; their windows
    cdef float[::1] window, short_window
    # [n, 4]: where the numbers k and their mirrors stand, where the powers of bins k and points - k go; in groups that are
    # complete once two sequences of the first pass are. Of an odd length [n, 2]: a number, its power.
    cdef int[:, ::1] pairs
    cdef int[::1] group_ends
    cdef float[::1] turns
    # Rows are summed four at a time, over as many bins as the widest of them has: row i from bin row_bins[i] on; the four
    # weights of every bin stand together, those of rows 4 i on in weights[four_starts[i]:four_starts[i + 1]].
    cdef int[::1] row_bins, four_starts
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
        if max(radices) > (LARGE_PRIME_OF_REAL if self.odd else LARGE_PRIME):
            self.chirp = Chirp(self.points)
            self.room = self.chirp.room
            radices = [self.points]
        self.n_passes = len(radices)
        self.table = plan_passes(self.passes, self.points, radices)
        self.joined = radices[0] in (2, 3, 4, 5, 8, 9)
        self.order = self._sample_order(radices[0])
        window = np.asarray(np.asarray(window) * (1.0 if self.odd else 0.5), np.float32)
        self.window = window[np.asarray(self.order)]
        self.short_window = np.asarray(self.window) / np.float32(32768)
        # Numbers that are used together must not stand a power of two apart: they would share the same few cache lines.
        self.apart = self.passes[0].m + (16 // LANES if self.joined and not self.odd else 0)
        self.gap = radices[0] * self.apart + 64 // LANES
        self.n_bins = n_bins
        self._plan_pairs(radices, first_bin)
        self.filtered = filters is not None
        if not self.filtered:
            filters = [(first_bin + i, np.ones(1)) for i in range(n_bins)]
        if any(first < first_bin or first + len(weights) > first_bin + n_bins for first, weights in filters):
            raise ValueError(f"a filter reaches beyond the {n_bins} bins from {first_bin} on")
        self.n_rows = len(filters)
        if self.filtered:
            self._plan_rows([first - first_bin for first, _ in filters], [weights for _, weights in filters])

    def _plan_rows(self, firsts, filters):
        """Weights in the order in which they are used; bins that the widest of four rows has beyond another weigh nothing."""
        parts = []
        self.row_bins = np.zeros((len(filters) + 3) // 4 * 4, np.int32)
        for row in range(0, len(filters), 4):
            four = filters[row : row + 4]
            width = (max(map(len, four)) + 1) // 2 * 2
            part = np.zeros((width, 4), np.float32)
            for i, weights in enumerate(four):
                # a row at the upper end begins below its first bin, so that nothing behind the last bin is read
                first = max(0, min(firsts[row + i], self.n_bins - width))
                part[firsts[row + i] - first :][: len(weights), i] = weights
                self.row_bins[row + i] = first
            parts.append(part.ravel())
        self.four_starts = np.cumsum([0, *map(len, parts)]).astype(np.int32)
        self.weights = np.concatenate(parts)

    def _sample_order(self, Py_ssize_t radix):
        """The samples of a frame in the order in which the first pass wants them."""
        points = np.arange(self.points).reshape(radix, -1).T.ravel() if self.joined else np.arange(self.points)
        if not self.odd:
            points = (2 * points[:, None] + [0, 1]).ravel()
        return points.astype(np.int32)

    def _plan_pairs(self, radices, first_bin):
        """Which numbers to join, and where their powers go; those of bins that nobody wants, behind all that is read."""
        place = positions(radices, self.apart)
        if self.odd:
            bins = np.arange(self.n_bins)
            self.pairs = np.stack([place[real_numbers(first_bin + bins, radices)], bins], -1).astype(np.int32)
            return
        k = np.arange(self.points // 2 + 1)
        low, high = k - first_bin, self.points - k - first_bin
        low[(low < 0) | (low >= self.n_bins)] = self.n_bins + 3
        high[(high < 0) | (high >= self.n_bins)] = self.n_bins + 3
        group = np.minimum(k % radices[0], -k % radices[0])
        order = np.argsort(group, kind="stable")
        order = order[(low < self.n_bins)[order] | (high < self.n_bins)[order]]
        self.group_ends = np.cumsum(np.bincount(group[order], minlength=radices[0] // 2 + 1)).astype(np.int32)
        pairs = np.stack([place[k], place[-k % self.points], low, high], -1)
        self.pairs = np.ascontiguousarray(pairs[order], np.int32)
        angle = 2 * np.pi * k[order] / self.n_window
        self.turns = np.stack([np.cos(angle), np.sin(angle)], -1).ravel().astype(np.float32)

    def rows(
        self, const sample[::1] sound, Py_ssize_t start, Py_ssize_t hop, Py_ssize_t n_frames, float[:, ::1] out, int scale,
        float floor,
    ):
        """Write the rows of ``n_frames`` frames, the first from sample ``start`` on, into ``out`` [>= n_frames, >= rows].

        Returns the number of the first frame that is not finite, or -1.
        """
        cdef Py_ssize_t i, frame, bad = -1, lines = min(hop, self.n_window), width, n_fetch
        cdef vf* power
        cdef Frames frames
        if n_frames < 1:
            return -1
        if start < 0 or hop < 1 or start + (n_frames - 1) * hop + self.n_window > sound.shape[0]:
            raise ValueError("the frames reach beyond the sound")
        if out.shape[0] < n_frames or out.shape[1] < self.n_rows:
            raise ValueError("the rows do not fit")
        hop = min(hop, sound.shape[0])
        width = (LANES + (self.n_window - 1) // hop + 3) // 4 * 4
        n_fetch = LANES * hop * <Py_ssize_t>sizeof(sample) // 64 if hop <= self.n_window else 0
        power = new_lanes(
            self.n_bins + 4 + self.room + 2 * self.gap + (2 * self.n_window + lines * width) // LANES + 2
        )
        if power == NULL:
            raise MemoryError
        memset(power + self.n_bins, 0, 4 * sizeof(vf))
        frames.place = <Py_ssize_t*>(power + self.n_bins + 4 + self.room + 2 * self.gap)
        frames.turned = <float*>(frames.place + self.n_window)
        frames.n_fetch = (n_fetch + self.passes[0].m - 1) // self.passes[0].m
        with nogil:
            for i in range(self.n_window):
                frames.place[i] = self.order[i] % hop * width + self.order[i] // hop
            for frame from 0 <= frame < n_frames by LANES:
                frames.ahead = <const char*>(&sound[start] + (frame + width) * hop)
                turn(&sound[start + frame * hop], sound.shape[0] - start - frame * hop, hop, lines, width, frames.turned)
                self.powers(&frames, &self.window[0] if sample is float else &self.short_window[0], power)
                bad = self.emit(power, frame, n_frames, &out[0, 0], out.shape[1], scale, floor)
                if bad >= 0:
                    break
        free(power)
        return bad

    cdef void powers(self, const Frames* frames, const float* window, vf* power) noexcept nogil:
        """The powers of the wanted bins of the next LANES frames."""
        cdef vf* keep = power + self.n_bins + 4
        cdef vf* re = keep + self.room
        cdef vf* im = re + self.gap
        cdef const Pass* outer = &self.passes[0]
        cdef Py_ssize_t group, first = 0, i
        if self.joined:
            begin(outer, frames, window, self.odd, re, im, self.apart)
        elif self.odd:
            load_real(frames, window, 0, self.points, re)
            if self.chirp is None:
                one_real_pass(outer, re, im, keep)
            else:
                memset(im, 0, self.points * sizeof(vf))
                self.chirp.transform(re, im, keep)
        else:
            for i in range(self.points):
                load_complex(frames, window, i, 1, keep)
                re[i] = keep[0]
                im[i] = keep[1]
            if self.chirp is None:
                one_pass(outer, re, im, keep, 1)
            else:
                self.chirp.transform(re, im, keep)
                self.join(re, im, power, 0, self.pairs.shape[0])
                return
        if self.odd:
            finish_real_transform(outer, self.n_passes, re, im, keep)
            self.square(re, im, power)
            return
        for group in range(outer.radix // 2 + 1):
            transform(outer + 1, self.n_passes - 1, re + group * self.apart, im + group * self.apart, keep, 1)
            if 0 < group < outer.radix - group:
                i = outer.radix - group
                transform(outer + 1, self.n_passes - 1, re + i * self.apart, im + i * self.apart, keep, 1)
            self.join(re, im, power, first, self.group_ends[group])
            first = self.group_ends[group]

    cdef void join(self, const vf* re, const vf* im, vf* power, Py_ssize_t begin, Py_ssize_t end) noexcept nogil:
        """From the numbers k and their mirrors to the powers of bins k and points - k."""
        cdef const int* pair
        cdef const float* turn
        cdef Py_ssize_t i
        cdef vf sum_re, sum_im, dif_re, dif_im, x, y
        for i in range(begin, end):
            pair = &self.pairs[i, 0]
            turn = &self.turns[2 * i]
            sum_re = re[pair[0]] + re[pair[1]]
            dif_im = im[pair[0]] - im[pair[1]]
            sum_im = im[pair[0]] + im[pair[1]]
            dif_re = re[pair[1]] - re[pair[0]]
            x = turn[0] * sum_im + turn[1] * dif_re
            y = turn[0] * dif_re - turn[1] * sum_im
            power[pair[2]] = (sum_re + x) * (sum_re + x) + (dif_im + y) * (dif_im + y)
            power[pair[3]] = (sum_re - x) * (sum_re - x) + (dif_im - y) * (dif_im - y)

    cdef void square(self, const vf* re, const vf* im, vf* power) noexcept nogil:
        """From numbers to powers."""
        cdef const int* pair
        cdef Py_ssize_t i
        for i in range(self.n_bins):
            pair = &self.pairs[i, 0]
            power[pair[1]] = re[pair[0]] * re[pair[0]] + im[pair[0]] * im[pair[0]]

    cdef Py_ssize_t emit(
        self, const vf* power, Py_ssize_t first, Py_ssize_t n_frames, float* out, Py_ssize_t stride, int scale, float floor
    ) noexcept nogil:
        """Rows and their levels, turned back to one line per frame; the first frame that is not finite, or -1."""
        cdef vf tile[LANES]
        cdef vf check = splat(0)
        cdef float zero = 0
        cdef Py_ssize_t row, i, width, n = min(<Py_ssize_t>LANES, n_frames - first)
        out += first * stride
        for row from 0 <= row < self.n_rows by LANES:
            width = min(<Py_ssize_t>LANES, self.n_rows - row)
            for i in range(width, LANES):
                tile[i] = splat(0)
            if self.filtered:
                for i from 0 <= i < width by 4:
                    self.four_bands(power, row + i, tile + i)
            else:
                for i in range(width):
                    tile[i] = power[row + i]
            for i in range(width):
                check = check + zero * tile[i]
            level(tile, scale, floor)
            transpose(tile)
            if n == LANES and width == LANES:
                for i in range(LANES):
                    store_float(out + i * stride + row, tile[i])
                continue
            for i in range(n):
                store_some(out + i * stride + row, tile[i], width)
        for i in range(n):
            if lane(&check, <int>i) != 0:
                return first + i
        return -1

    cdef inline void four_bands(self, const vf* power, Py_ssize_t row, vf* to) noexcept nogil:
        """Four filters, each as two sums, so that none waits for the others."""
        cdef const float* w = &self.weights[0]
        cdef const int* bins = &self.row_bins[row]
        cdef const vf* p = power + bins[0]
        cdef const vf* q = power + bins[1]
        cdef const vf* r = power + bins[2]
        cdef const vf* s = power + bins[3]
        cdef Py_ssize_t i
        cdef vf a = splat(0), b = splat(0), c = splat(0), d = splat(0)
        cdef vf e = splat(0), f = splat(0), g = splat(0), h = splat(0)
        for i from self.four_starts[row // 4] <= i < self.four_starts[row // 4 + 1] by 8:
            a = a + w[i] * p[0]
            b = b + w[i + 1] * q[0]
            c = c + w[i + 2] * r[0]
            d = d + w[i + 3] * s[0]
            e = e + w[i + 4] * p[1]
            f = f + w[i + 5] * q[1]
            g = g + w[i + 6] * r[1]
            h = h + w[i + 7] * s[1]
            p += 2
            q += 2
            r += 2
            s += 2
        to[0] = a + e
        to[1] = b + f
        to[2] = c + g
        to[3] = d + h
