# The butterflies: discrete Fourier transforms of 2, 3, 4, 5, 8 or any odd number of points, times their twiddles.
#
# The points stand d apart in (fr, fi) and go to (re, im), m apart; both may be the same place.

cdef inline void put(vf* re, vf* im, vf x, vf y, const float* w, bint turned) noexcept nogil:
    if turned:
        re[0] = x * w[0] - y * w[1]
        im[0] = x * w[1] + y * w[0]
    else:
        re[0] = x
        im[0] = y


cdef inline void butterfly2(
    const vf* fr, const vf* fi, Py_ssize_t d, vf* re, vf* im, Py_ssize_t m, const float* w, bint turned
) noexcept nogil:
    cdef vf ar = fr[0], ai = fi[0], br = fr[d], bi = fi[d]
    re[0] = ar + br
    im[0] = ai + bi
    put(re + m, im + m, ar - br, ai - bi, w, turned)


cdef inline void butterfly3(
    const vf* fr, const vf* fi, Py_ssize_t d, vf* re, vf* im, Py_ssize_t m, const float* w, bint turned
) noexcept nogil:
    cdef float half = 0.5, s = 0.8660254037844386
    cdef vf sr = fr[d] + fr[2 * d], si = fi[d] + fi[2 * d]
    cdef vf dr = s * (fr[d] - fr[2 * d]), di = s * (fi[d] - fi[2 * d])
    cdef vf ar = fr[0], ai = fi[0]
    cdef vf cr = ar - half * sr, ci = ai - half * si
    re[0] = ar + sr
    im[0] = ai + si
    put(re + m, im + m, cr + di, ci - dr, w, turned)
    put(re + 2 * m, im + 2 * m, cr - di, ci + dr, w + 2, turned)


cdef inline void butterfly4(
    const vf* fr, const vf* fi, Py_ssize_t d, vf* re, vf* im, Py_ssize_t m, const float* w, bint turned
) noexcept nogil:
    cdef vf ar = fr[0] + fr[2 * d], ai = fi[0] + fi[2 * d]
    cdef vf br = fr[0] - fr[2 * d], bi = fi[0] - fi[2 * d]
    cdef vf cr = fr[d] + fr[3 * d], ci = fi[d] + fi[3 * d]
    cdef vf dr = fr[d] - fr[3 * d], di = fi[d] - fi[3 * d]
    re[0] = ar + cr
    im[0] = ai + ci
    put(re + m, im + m, br + di, bi - dr, w, turned)
    put(re + 2 * m, im + 2 * m, ar - cr, ai - ci, w + 2, turned)
    put(re + 3 * m, im + 3 * m, br - di, bi + dr, w + 4, turned)


cdef inline void butterfly5(
    const vf* fr, const vf* fi, Py_ssize_t d, vf* re, vf* im, Py_ssize_t m, const float* w, bint turned
) noexcept nogil:
    cdef float c1 = 0.30901699437494745, c2 = -0.8090169943749475, s1 = 0.9510565162951535, s2 = 0.5877852522924731
    cdef vf zr = fr[0], zi = fi[0]
    cdef vf ar = fr[d] + fr[4 * d], ai = fi[d] + fi[4 * d], br = fr[2 * d] + fr[3 * d], bi = fi[2 * d] + fi[3 * d]
    cdef vf dr = fr[d] - fr[4 * d], di = fi[d] - fi[4 * d], er = fr[2 * d] - fr[3 * d], ei = fi[2 * d] - fi[3 * d]
    cdef vf pr = zr + c1 * ar + c2 * br, pi = zi + c1 * ai + c2 * bi
    cdef vf qr = zr + c2 * ar + c1 * br, qi = zi + c2 * ai + c1 * bi
    cdef vf ur = s1 * dr + s2 * er, ui = s1 * di + s2 * ei
    cdef vf vr = s2 * dr - s1 * er, vi = s2 * di - s1 * ei
    re[0] = zr + ar + br
    im[0] = zi + ai + bi
    put(re + m, im + m, pr + ui, pi - ur, w, turned)
    put(re + 2 * m, im + 2 * m, qr + vi, qi - vr, w + 2, turned)
    put(re + 3 * m, im + 3 * m, qr - vi, qi + vr, w + 4, turned)
    put(re + 4 * m, im + 4 * m, pr - ui, pi + ur, w + 6, turned)


cdef inline void butterfly8(
    const vf* fr, const vf* fi, Py_ssize_t d, vf* re, vf* im, Py_ssize_t m, const float* w, bint turned
) noexcept nogil:
    cdef float h = 0.7071067811865476
    cdef vf ar = fr[0] + fr[4 * d], ai = fi[0] + fi[4 * d], er = fr[0] - fr[4 * d], ei = fi[0] - fi[4 * d]
    cdef vf br = fr[d] + fr[5 * d], bi = fi[d] + fi[5 * d], gr = fr[d] - fr[5 * d], gi = fi[d] - fi[5 * d]
    cdef vf cr = fr[2 * d] + fr[6 * d], ci = fi[2 * d] + fi[6 * d], hr = fr[2 * d] - fr[6 * d], hi = fi[2 * d] - fi[6 * d]
    cdef vf dr = fr[3 * d] + fr[7 * d], di = fi[3 * d] + fi[7 * d], kr = fr[3 * d] - fr[7 * d], ki = fi[3 * d] - fi[7 * d]
    # even numbers: four points of sums
    cdef vf pr = ar + cr, pi = ai + ci, qr = ar - cr, qi = ai - ci
    cdef vf rr = br + dr, ri = bi + di, sr = br - dr, si = bi - di
    # odd numbers: four points of differences, turned by eighths of a circle
    cdef vf tr = h * (gr + gi), ti = h * (gi - gr)
    cdef vf ur = h * (ki - kr), ui = -h * (kr + ki)
    cdef vf xr = er + hi, xi = ei - hr, yr = er - hi, yi = ei + hr
    cdef vf vr = tr + ur, vi = ti + ui, zr = tr - ur, zi = ti - ui
    re[0] = pr + rr
    im[0] = pi + ri
    put(re + m, im + m, xr + vr, xi + vi, w, turned)
    put(re + 2 * m, im + 2 * m, qr + si, qi - sr, w + 2, turned)
    put(re + 3 * m, im + 3 * m, yr + zi, yi - zr, w + 4, turned)
    put(re + 4 * m, im + 4 * m, pr - rr, pi - ri, w + 6, turned)
    put(re + 5 * m, im + 5 * m, xr - vr, xi - vi, w + 8, turned)
    put(re + 6 * m, im + 6 * m, qr - si, qi + sr, w + 10, turned)
    put(re + 7 * m, im + 7 * m, yr - zi, yi + zr, w + 12, turned)


cdef void butterfly_odd(
    vf* re, vf* im, Py_ssize_t m, const float* w, const float* root, int radix, vf* keep, bint turned
) noexcept nogil:
    """Any odd radix, in place, by sums and differences of opposite points; `keep` has room for 2 * radix vectors."""
    cdef int half = (radix - 1) // 2, a, k, other, turn, turn2
    cdef vf* out_re = keep
    cdef vf* out_im = keep + radix
    cdef vf sum_re = re[0], sum_im = im[0], even_re, even_im, odd_re, odd_im, x, y
    cdef vf first_re, first_im, last_re, last_im
    for a in range(1, half + 1):            # point a becomes the sum of a and radix - a, point radix - a their difference
        x = re[a * m]
        y = re[(radix - a) * m]
        re[a * m] = x + y
        re[(radix - a) * m] = x - y
        sum_re = sum_re + re[a * m]
        x = im[a * m]
        y = im[(radix - a) * m]
        im[a * m] = x + y
        im[(radix - a) * m] = x - y
        sum_im = sum_im + im[a * m]
    # two numbers at a time, so that each point is loaded once for both; a last one alone is made twice
    for k in range(1, half + 1, 2):
        other = min(k + 1, half)
        even_re = first_re = re[0]
        even_im = first_im = im[0]
        odd_re = odd_im = last_re = last_im = splat(0)
        turn = turn2 = 0
        for a in range(1, half + 1):
            turn = turn + k if turn + k < radix else turn + k - radix
            turn2 = turn2 + other if turn2 + other < radix else turn2 + other - radix
            x = re[a * m]
            y = im[a * m]
            even_re = even_re + root[2 * turn] * x
            even_im = even_im + root[2 * turn] * y
            first_re = first_re + root[2 * turn2] * x
            first_im = first_im + root[2 * turn2] * y
            x = re[(radix - a) * m]
            y = im[(radix - a) * m]
            odd_re = odd_re + root[2 * turn + 1] * x
            odd_im = odd_im + root[2 * turn + 1] * y
            last_re = last_re + root[2 * turn2 + 1] * x
            last_im = last_im + root[2 * turn2 + 1] * y
        out_re[k] = even_re - odd_im
        out_im[k] = even_im + odd_re
        out_re[radix - k] = even_re + odd_im
        out_im[radix - k] = even_im - odd_re
        out_re[other] = first_re - last_im
        out_im[other] = first_im + last_re
        out_re[radix - other] = first_re + last_im
        out_im[radix - other] = first_im - last_re
    re[0] = sum_re
    im[0] = sum_im
    for k in range(1, radix):
        put(re + k * m, im + k * m, out_re[k], out_im[k], w + 2 * (k - 1), turned)


cdef inline void real_butterfly3(
    const vf* f, Py_ssize_t d, vf* re, vf* im, Py_ssize_t m, const float* w, bint turned
) noexcept nogil:
    """Of real points: number 0 (real) and number 1; number 2 would be its conjugate."""
    cdef float half = 0.5, s = -0.8660254037844386
    cdef vf x = f[0], a = f[d] + f[2 * d], b = s * (f[d] - f[2 * d])
    re[0] = x + a
    put(re + m, im + m, x - half * a, b, w, turned)


cdef inline void real_butterfly5(
    const vf* f, Py_ssize_t d, vf* re, vf* im, Py_ssize_t m, const float* w, bint turned
) noexcept nogil:
    cdef float c1 = 0.30901699437494745, c2 = -0.8090169943749475, s1 = -0.9510565162951535, s2 = -0.5877852522924731
    cdef vf x = f[0], a = f[d] + f[4 * d], b = f[2 * d] + f[3 * d], p = f[d] - f[4 * d], q = f[2 * d] - f[3 * d]
    re[0] = x + a + b
    put(re + m, im + m, x + c1 * a + c2 * b, s1 * p + s2 * q, w, turned)
    put(re + 2 * m, im + 2 * m, x + c2 * a + c1 * b, s2 * p - s1 * q, w + 2, turned)


cdef void real_butterfly(
    vf* re, vf* im, Py_ssize_t m, const float* w, const float* root, int radix, vf* keep, bint turned
) noexcept nogil:
    """Any odd radix on real points: numbers 0 (real) to (radix - 1) / 2; the others would be their conjugates."""
    cdef int half = (radix - 1) // 2, a, k, other, turn, turn2
    cdef vf total = re[0], even, odd, first, last, x, y
    for a in range(1, half + 1):
        x = re[a * m]
        y = re[(radix - a) * m]
        keep[a] = x + y
        keep[radix - a] = x - y
        total = total + keep[a]
    # two numbers at a time, as above
    for k in range(1, half + 1, 2):
        other = min(k + 1, half)
        even = first = re[0]
        odd = last = splat(0)
        turn = turn2 = 0
        for a in range(1, half + 1):
            turn = turn + k if turn + k < radix else turn + k - radix
            turn2 = turn2 + other if turn2 + other < radix else turn2 + other - radix
            even = even + root[2 * turn] * keep[a]
            odd = odd + root[2 * turn + 1] * keep[radix - a]
            first = first + root[2 * turn2] * keep[a]
            last = last + root[2 * turn2 + 1] * keep[radix - a]
        put(re + k * m, im + k * m, even, odd, w + 2 * (k - 1), turned)
        put(re + other * m, im + other * m, first, last, w + 2 * (other - 1), turned)
    re[0] = total
