/* Half-precision numbers as vectors of floats, and how many sums a dot product is kept in. */
#ifndef ECOTF_HALVES_H
#define ECOTF_HALVES_H

#include "lanes.h"
#if defined(__F16C__) || defined(__AVX512F__)
#include <immintrin.h>
#endif

/* Number j of a row goes into sum j % SUMS, whatever the width of a vector: so every build gives the same bits. */
#define SUMS 64
#define VECTORS (SUMS / LANES)

/* LANES halves as floats; exact, also for numbers below the normal ones, infinity and NaN. */
INLINE vf load_halves(const uint16_t *from) {
#if defined(__AVX512F__)
    return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)from));
#elif defined(__F16C__) && LANES == 8
    return (vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)from));
#else
    /* By M. Dukhan (github.com/Maratyszcza/FP16); without numbers that a processor set to flush would make 0. */
    vi bits = {0};
    for (int i = 0; i < LANES; i++) bits[i] = from[i];
    vi size = bits & 0x7fff, sign = (vi){0} - (bits >> 15);
    vf normal = (vf)((size << 13) + 0x70000000) * 0x1.0p-112f;
    vf small = (vf)(size | 0x3f000000) - 0.5f;
    return (vf)((vi)choose(size < 0x0400, small, normal) | (sign & INT32_MIN));
#endif
}

#endif
