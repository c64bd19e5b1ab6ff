/* Vectors of LANES floats, one frame of sound per lane: the few things that Cython cannot say itself.
 *
 * Arithmetic on `vf` is plain C arithmetic (GCC and Clang vector extensions), so Cython writes it as if `vf` were a float.
 * LANES follows what the compiler was allowed to use: 16 with AVX-512, 8 with AVX, else 4 (SSE, NEON). */
#ifndef ECOTF_LANES_H
#define ECOTF_LANES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif

#define LANE_BYTES (4 * LANES)

typedef float vf __attribute__((vector_size(LANE_BYTES)));
typedef int32_t vi __attribute__((vector_size(LANE_BYTES)));
typedef float vf_loose __attribute__((vector_size(LANE_BYTES), aligned(4), may_alias));
typedef int16_t vh_loose __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

#define INLINE static inline __attribute__((always_inline, unused))

/* LANES * count floats, aligned for vf; NULL when memory is short. */
INLINE vf *new_lanes(size_t count) {
    void *memory = NULL;
    if (posix_memalign(&memory, 64, (count ? count : 1) * sizeof(vf)) != 0) return NULL;
    return (vf *)memory;
}

INLINE vf splat(float value) { return value - (vf){0}; }
INLINE vf load_float(const float *from) { return (vf)*(const vf_loose *)from; }
INLINE vf load_short(const int16_t *from) { return __builtin_convertvector(*(const vh_loose *)from, vf); }
INLINE void store_float(float *to, vf value) { *(vf_loose *)to = (vf_loose)value; }
INLINE float lane(const vf *value, int index) { return ((const float *)value)[index]; }
INLINE void set_lane(vf *value, int index, float number) { ((float *)value)[index] = number; }
INLINE vf choose(vi condition, vf yes, vf no) { return (vf)((condition & (vi)yes) | (~condition & (vi)no)); }
INLINE vf larger(vf a, vf b) { return choose(a > b, a, b); }

/* Transpose LANES vectors in place, exchanging ever smaller halves (Eklundh). */
#if LANES == 16
#define EACH(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13), f(14), f(15)
#elif LANES == 8
#define EACH(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7)
#else
#define EACH(f) f(0), f(1), f(2), f(3)
#endif
#define EXCHANGE(tile, step, upper, lower)                                             \
    do {                                                                               \
        for (int i = 0; i < LANES; i++) {                                              \
            if (i & (step)) continue;                                                  \
            vf a = (tile)[i], b = (tile)[i + (step)];                                  \
            (tile)[i] = __builtin_shuffle(a, b, (vi){EACH(upper)});                    \
            (tile)[i + (step)] = __builtin_shuffle(a, b, (vi){EACH(lower)});           \
        }                                                                              \
    } while (0)
#define UPPER(l, s) (((l) & (s)) ? LANES + (l) - (s) : (l))
#define LOWER(l, s) (((l) & (s)) ? LANES + (l) : (l) + (s))
#define UPPER1(l) UPPER(l, 1)
#define LOWER1(l) LOWER(l, 1)
#define UPPER2(l) UPPER(l, 2)
#define LOWER2(l) LOWER(l, 2)
#define UPPER4(l) UPPER(l, 4)
#define LOWER4(l) LOWER(l, 4)
#define UPPER8(l) UPPER(l, 8)
#define LOWER8(l) LOWER(l, 8)

INLINE void transpose(vf *tile) {
#if LANES >= 16
    EXCHANGE(tile, 8, UPPER8, LOWER8);
#endif
#if LANES >= 8
    EXCHANGE(tile, 4, UPPER4, LOWER4);
#endif
    EXCHANGE(tile, 2, UPPER2, LOWER2);
    EXCHANGE(tile, 1, UPPER1, LOWER1);
}

/* Natural logarithm of normal positive numbers to about 1 ulp (the polynomial of Cephes' logf by S. Moshier). */
INLINE vf log_lanes(vf x) {
    vi bits = (vi)x;
    vi exponent = (bits - 0x3f3504f3) >> 23; /* 0x3f3504f3 is sqrt(1/2): the mantissa comes to lie in [sqrt(1/2), sqrt(2)) */
    vf f = (vf)(bits - (exponent << 23)) - 1.0f;
    vf e = __builtin_convertvector(exponent, vf);
    vf square = f * f;
    vf p = 7.0376836292e-2f * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    p = p * f * square - 2.12194440e-4f * e - 0.5f * square;
    return f + p + 0.693359375f * e;
}

/* ln(1 + x) for x >= 0, right also where 1 + x rounds to 1. */
INLINE vf log1p_lanes(vf x) {
    vf sum = 1.0f + x;
    vf lost = x - (sum - 1.0f);
    return log_lanes(sum) + choose(sum < 2.0f, lost, (vf){0});
}

/* Order-keeping map between floats and integers, to bisect on bits: the exact median without sorting. */
INLINE vi ordered_bits(vi bits) { return bits ^ ((bits >> 31) & 0x7fffffff); }
INLINE vi count_not_above(vi count, vf value, vf limit) { return count - (vi)(value <= limit); }

/* The element of rank `rank` (from 0) in each lane of `count` vectors that lie `stride` floats apart. */
INLINE vf select_rank(const float *values, size_t count, size_t stride, int32_t rank) {
    vi low = (vi){0} + INT32_MIN, high = (vi){0} + INT32_MAX;
    for (int step = 0; step < 32; step++) {
        vi middle = (low & high) + ((low ^ high) >> 1);
        vf limit = (vf)ordered_bits(middle);
        vi below = (vi){0};
        for (size_t i = 0; i < count; i++) below = count_not_above(below, load_float(values + i * stride), limit);
        vi reached = below > rank;
        high = (middle & reached) | (high & ~reached);
        low = (low & reached) | ((middle + 1) & ~reached);
    }
    return (vf)ordered_bits(high);
}

#endif
