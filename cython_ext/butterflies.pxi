# The butterflies: discrete Fourier transforms of 2, 3, 4, 5, 8 or any odd number of points, m apart, times their twiddles.

cdef inline void put(vf* re, vf* im, vf x, vf y, const float* w) noexcept nogil:
    re[0] = x * w[0] - y * w[1]
    im[0] = x * w[1] + y * w[0]


cdef inline void butterfly2(vf* re, vf* im, Py_ssize_t m, const float* w) noexcept nogil:
    cdef vf x = re[0] - re[m], y = im[0] - im[m]
    re[0] = re[0] + re[m]
    im[0] = im[0] + im[m]
    put(re + m, im + m, x, y, w)


cdef inline void butterfly3(vf* re, vf* im, Py_ssize_t m, const float* w) noexcept nogil:
    cdef float half = 0.5, s = 0.8660254037844386
    cdef vf sr = re[m] + re[2 * m], si = im[m] + im[2 * m]
    cdef vf dr = s * (re[m] - re[2 * m]), di = s * (im[m] - im[2 * m])
    cdef vf cr = re[0] - half * sr, ci = im[0] - half * si
    re[0] = re[0] + sr
    im[0] = im[0] + si
    put(re + m, im + m, cr + di, ci - dr, w)
    put(re + 2 * m, im + 2 * m, cr - di, ci + dr, w + 2)


cdef inline void butterfly4(vf* re, vf* im, Py_ssize_t m, const float* w, bint turned) noexcept nogil:
    cdef vf ar = re[0] + re[2 * m], ai = im[0] + im[2 * m]
    cdef vf br = re[0] - re[2 * m], bi = im[0] - im[2 * m]
    cdef vf cr = re[m] + re[3 * m], ci = im[m] + im[3 * m]
    cdef vf dr = re[m] - re[3 * m], di = im[m] - im[3 * m]
    re[0] = ar + cr
    im[0] = ai + ci
    if turned:
        put(re + m, im + m, br + di, bi - dr, w)
        put(re + 2 * m, im + 2 * m, ar - cr, ai - ci, w + 2)
        put(re + 3 * m, im + 3 * m, br - di, bi + dr, w + 4)
    else:
        re[m] = br + di
        im[m] = bi - dr
        re[2 * m] = ar - cr
        im[2 * m] = ai - ci
        re[3 * m] = br - di
        im[3 * m] = bi + dr


cdef inline void butterfly5(vf* re, vf* im, Py_ssize_t m, const float* w) noexcept nogil:
    cdef float c1 = 0.30901699437494745, c2 = -0.8090169943749475, s1 = 0.9510565162951535, s2 = 0.5877852522924731
    cdef vf ar = re[m] + re[4 * m], ai = im[m] + im[4 * m], br = re[2 * m] + re[3 * m], bi = im[2 * m] + im[3 * m]
    cdef vf dr = re[m] - re[4 * m], di = im[m] - im[4 * m], er = re[2 * m] - re[3 * m], ei = im[2 * m] - im[3 * m]
    cdef vf pr = re[0] + c1 * ar + c2 * br, pi = im[0] + c1 * ai + c2 * bi
    cdef vf qr = re[0] + c2 * ar + c1 * br, qi = im[0] + c2 * ai + c1 * bi
    cdef vf ur = s1 * dr + s2 * er, ui = s1 * di + s2 * ei
    cdef vf vr = s2 * dr - s1 * er, vi = s2 * di - s1 * ei
    re[0] = re[0] + ar + br
    im[0] = im[0] + ai + bi
    put(re + m, im + m, pr + ui, pi - ur, w)
    put(re + 2 * m, im + 2 * m, qr + vi, qi - vr, w + 2)
    put(re + 3 * m, im + 3 * m, qr - vi, qi + vr, w + 4)
    put(re + 4 * m, im + 4 * m, pr - ui, pi + ur, w + 6)


cdef inline void butterfly8(vf* re, vf* im, Py_ssize_t m, const float* w, bint turned) noexcept nogil:
    cdef float h = 0.7071067811865476
    cdef vf ar = re[0] + re[4 * m], ai = im[0] + im[4 * m], er = re[0] - re[4 * m], ei = im[0] - im[4 * m]
    cdef vf br = re[m] + re[5 * m], bi = im[m] + im[5 * m], fr = re[m] - re[5 * m], fi = im[m] - im[5 * m]
    cdef vf cr = re[2 * m] + re[6 * m], ci = im[2 * m] + im[6 * m], gr = re[2 * m] - re[6 * m], gi = im[2 * m] - im[6 * m]
    cdef vf dr = re[3 * m] + re[7 * m], di = im[3 * m] + im[7 * m], kr = re[3 * m] - re[7 * m], ki = im[3 * m] - im[7 * m]
    # even numbers: four points of sums
    cdef vf pr = ar + cr, pi = ai + ci, qr = ar - cr, qi = ai - ci
    cdef vf rr = br + dr, ri = bi + di, sr = br - dr, si = bi - di
    # odd numbers: four points of differences, turned by eighths of a circle
    cdef vf tr = h * (fr + fi), ti = h * (fi - fr)
    cdef vf ur = h * (ki - kr), ui = -h * (kr + ki)
    cdef vf xr = er + gi, xi = ei - gr, yr = er - gi, yi = ei + gr
    cdef vf vr = tr + ur, vi = ti + ui, zr = tr - ur, zi = ti - ui
    re[0] = pr + rr
    im[0] = pi + ri
    if turned:
        put(re + m, im + m, xr + vr, xi + vi, w)
        put(re + 2 * m, im + 2 * m, qr + si, qi - sr, w + 2)
        put(re + 3 * m, im + 3 * m, yr + zi, yi - zr, w + 4)
        put(re + 4 * m, im + 4 * m, pr - rr, pi - ri, w + 6)
        put(re + 5 * m, im + 5 * m, xr - vr, xi - vi, w + 8)
        put(re + 6 * m, im + 6 * m, qr - si, qi + sr, w + 10)
        put(re + 7 * m, im + 7 * m, yr - zi, yi + zr, w + 12)
    else:
        re[m] = xr + vr
        im[m] = xi + vi
        re[2 * m] = qr + si
        im[2 * m] = qi - sr
        re[3 * m] = yr + zi
        im[3 * m] = yi - zr
        re[4 * m] = pr - rr
        im[4 * m] = pi - ri
        re[5 * m] = xr - vr
        im[5 * m] = xi - vi
        re[6 * m] = qr - si
        im[6 * m] = qi + sr
        re[7 * m] = yr - zi
        im[7 * m] = yi + zr


cdef void butterfly_odd(
    vf* re, vf* im, Py_ssize_t m, const float* w, const float* root, int radix, vf* keep
) noexcept nogil:
    """Any odd radix, by sums and differences of opposite points; `keep` has room for 2 * radix vectors."""
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
        put(re + k * m, im + k * m, out_re[k], out_im[k], w + 2 * (k - 1))


cdef void real_butterfly(
    vf* re, vf* im, Py_ssize_t m, const float* w, const float* root, int radix, vf* keep
) noexcept nogil:
    """Any odd radix on real points: numbers 0 (real) to (radix - 1) / 2; the others would be their conjugates."""
    cdef int half = (radix - 1) // 2, a, k, turn
    cdef vf total = re[0], even, odd, x, y
    for a in range(1, half + 1):
        x = re[a * m]
        y = re[(radix - a) * m]
        keep[a] = x + y
        keep[radix - a] = x - y
        total = total + keep[a]
    for k in range(1, half + 1):
        even = re[0]
        odd = splat(0)
        turn = 0
        for a in range(1, half + 1):
            turn += k
            if turn >= radix:
                turn -= radix
            even = even + root[2 * turn] * keep[a]
            odd = odd + root[2 * turn + 1] * keep[radix - a]
        put(re + k * m, im + k * m, even, odd, w + 2 * (k - 1))
    re[0] = total
