# Butterflies of 9 and 11 points, written out: the window that bats were published with has 9 * 9 * 11 samples.

cdef float[16] NINTHS              # cos and -sin of 2 pi a q / 9, for a = 1, 2 and q = 1, 2
cdef int _a, _q
for _a in range(1, 3):
    for _q in range(1, 3):
        NINTHS[4 * _a + 2 * (_q - 1)] = np.cos(2 * np.pi * _a * _q / 9)
        NINTHS[4 * _a + 2 * (_q - 1) + 1] = -np.sin(2 * np.pi * _a * _q / 9)


cdef inline void butterfly9(
    const vf* fr, const vf* fi, Py_ssize_t d, vf* re, vf* im, Py_ssize_t m, const float* w, bint turned
) noexcept nogil:
    cdef vf tr[9]
    cdef vf ti[9]
    cdef vf ur[9]
    cdef vf ui[9]
    cdef int k
    butterfly3(fr, fi, 3 * d, tr, ti, 3, NINTHS, False)
    butterfly3(fr + d, fi + d, 3 * d, tr + 1, ti + 1, 3, NINTHS + 4, True)
    butterfly3(fr + 2 * d, fi + 2 * d, 3 * d, tr + 2, ti + 2, 3, NINTHS + 8, True)
    butterfly3(tr, ti, 1, ur, ui, 3, NINTHS, False)
    butterfly3(tr + 3, ti + 3, 1, ur + 1, ui + 1, 3, NINTHS, False)
    butterfly3(tr + 6, ti + 6, 1, ur + 2, ui + 2, 3, NINTHS, False)
    re[0] = ur[0]
    im[0] = ui[0]
    for k in range(1, 9):
        put(re + k * m, im + k * m, ur[k], ui[k], w + 2 * (k - 1), turned)


cdef inline void real_butterfly9(
    const vf* f, Py_ssize_t d, vf* re, vf* im, Py_ssize_t m, const float* w, bint turned
) noexcept nogil:
    """Of real points: numbers 0 (real) to 4; number 2 is the conjugate of number 7, which comes out here."""
    cdef vf tr[6]
    cdef vf ti[6]
    cdef vf ur[5]
    cdef vf ui[5]
    real_butterfly3(f, 3 * d, tr, ti, 3, NINTHS, False)
    real_butterfly3(f + d, 3 * d, tr + 1, ti + 1, 3, NINTHS + 4, True)
    real_butterfly3(f + 2 * d, 3 * d, tr + 2, ti + 2, 3, NINTHS + 8, True)
    real_butterfly3(tr, 1, ur, ui, 1, NINTHS, False)
    butterfly3(tr + 3, ti + 3, 1, ur + 2, ui + 2, 1, NINTHS, False)
    re[0] = ur[0]
    put(re + m, im + m, ur[2], ui[2], w, turned)
    put(re + 2 * m, im + 2 * m, ur[4], -ui[4], w + 2, turned)
    put(re + 3 * m, im + 3 * m, ur[1], ui[1], w + 4, turned)
    put(re + 4 * m, im + 4 * m, ur[3], ui[3], w + 6, turned)


cdef inline vf cosines(vf x, const vf* s, int k) noexcept nogil:
    """x + the sum of cos(2 pi k a / 11) * s[a - 1]."""
    cdef float a = 0.8412535328311812, b = 0.41541501300188644, c = -0.142314838273285, d = -0.654860733945285
    cdef float e = -0.9594929736144974
    if k == 1:
        return x + a * s[0] + b * s[1] + (c * s[2] + d * s[3] + e * s[4])
    if k == 2:
        return x + b * s[0] + d * s[1] + (e * s[2] + c * s[3] + a * s[4])
    if k == 3:
        return x + c * s[0] + e * s[1] + (b * s[2] + a * s[3] + d * s[4])
    if k == 4:
        return x + d * s[0] + c * s[1] + (a * s[2] + e * s[3] + b * s[4])
    return x + e * s[0] + a * s[1] + (d * s[2] + b * s[3] + c * s[4])


cdef inline vf sines(const vf* s, int k) noexcept nogil:
    """The sum of sin(2 pi k a / 11) * s[a - 1]."""
    cdef float a = 0.5406408174555976, b = 0.9096319953545184, c = 0.9898214418809327, d = 0.7557495743542583
    cdef float e = 0.28173255684142967
    if k == 1:
        return a * s[0] + b * s[1] + (c * s[2] + d * s[3] + e * s[4])
    if k == 2:
        return b * s[0] + d * s[1] - (e * s[2] + c * s[3] + a * s[4])
    if k == 3:
        return c * s[0] - e * s[1] - (b * s[2] - a * s[3] - d * s[4])
    if k == 4:
        return d * s[0] - c * s[1] + (a * s[2] + e * s[3] - b * s[4])
    return e * s[0] - a * s[1] + (d * s[2] - b * s[3] + c * s[4])


cdef inline void two_of_eleven(
    vf x, vf y, const vf* sr, const vf* si, const vf* dr, const vf* di, int k, vf* re, vf* im, Py_ssize_t m, const float* w,
    bint turned,
) noexcept nogil:
    """Numbers k and 11 - k."""
    cdef vf er = cosines(x, sr, k), ei = cosines(y, si, k), odd_r = sines(dr, k), odd_i = sines(di, k)
    put(re + k * m, im + k * m, er + odd_i, ei - odd_r, w + 2 * (k - 1), turned)
    put(re + (11 - k) * m, im + (11 - k) * m, er - odd_i, ei + odd_r, w + 2 * (10 - k), turned)


cdef inline void butterfly11(
    const vf* fr, const vf* fi, Py_ssize_t d, vf* re, vf* im, Py_ssize_t m, const float* w, bint turned
) noexcept nogil:
    cdef vf sr[5]
    cdef vf si[5]
    cdef vf dr[5]
    cdef vf di[5]
    cdef vf x = fr[0], y = fi[0]
    cdef int a
    for a in range(5):
        sr[a] = fr[(a + 1) * d] + fr[(10 - a) * d]
        si[a] = fi[(a + 1) * d] + fi[(10 - a) * d]
        dr[a] = fr[(a + 1) * d] - fr[(10 - a) * d]
        di[a] = fi[(a + 1) * d] - fi[(10 - a) * d]
    re[0] = x + sr[0] + sr[1] + (sr[2] + sr[3] + sr[4])
    im[0] = y + si[0] + si[1] + (si[2] + si[3] + si[4])
    two_of_eleven(x, y, sr, si, dr, di, 1, re, im, m, w, turned)
    two_of_eleven(x, y, sr, si, dr, di, 2, re, im, m, w, turned)
    two_of_eleven(x, y, sr, si, dr, di, 3, re, im, m, w, turned)
    two_of_eleven(x, y, sr, si, dr, di, 4, re, im, m, w, turned)
    two_of_eleven(x, y, sr, si, dr, di, 5, re, im, m, w, turned)
