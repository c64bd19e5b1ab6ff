/* Vectors of LANES floats, one frame of sound per lane: the few things that Cython cannot say itself.
 *
 * Arithmetic on `vf` is plain C arithmetic (GCC and Clang vector extensions), so Cython writes it as if `vf` were a float.
 * LANES follows what the compiler was allowed to use: 16 with AVX-512, 8 with AVX, else 4 (SSE, NEON). */
#ifndef ECOTF_LANES_H
#define ECOTF_LANES_H

#include <stddef.h>
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

#define INLINE static inline __attribute__((always_inline, unused))

/* LANES * count floats, aligned for vf; NULL when memory is short. */
INLINE vf *new_lanes(size_t count) {
    void *memory = NULL;
    if (posix_memalign(&memory, 64, (count ? count : 1) * sizeof(vf)) != 0) return NULL;
    return (vf *)memory;
}

INLINE vf splat(float value) { return value - (vf){0}; }
INLINE vf load_float(const float *from) { return (vf)*(const vf_loose *)from; }
INLINE void store_float(float *to, vf value) { *(vf_loose *)to = (vf_loose)value; }
/* The first `count` lanes only, in memory that may end there; the others are 0. */
INLINE vf load_some(const float *from, ptrdiff_t count) {
    vf value = {0};
    memcpy(&value, from, (size_t)count * sizeof(float));
    return value;
}
INLINE void store_some(float *to, vf value, ptrdiff_t count) { memcpy(to, &value, (size_t)count * sizeof(float)); }
INLINE float lane(const vf *value, int index) { return ((const float *)value)[index]; }
INLINE void set_lane(vf *value, int index, float number) { ((float *)value)[index] = number; }
INLINE vf choose(vi condition, vf yes, vf no) { return (vf)((condition & (vi)yes) | (~condition & (vi)no)); }
INLINE vf larger(vf a, vf b) { return choose(a > b, a, b); }
INLINE vf smaller(vf a, vf b) { return choose(a < b, a, b); }

/* Number i of a sorted list without `old`, from numbers i and i + 1 of the list with it. */
INLINE vf replace_sorted(vf here, vf after, vf old) { return choose(here < old, here, after); }

/* Shuffles of two vectors, the same in every four lanes or over all of them; EACH lists a pattern lane by lane. */
#if LANES == 16
#define EACH(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13), f(14), f(15)
#elif LANES == 8
#define EACH(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7)
#else
#define EACH(f) f(0), f(1), f(2), f(3)
#endif
#define SHUFFLE(a, b, pattern) __builtin_shuffle(a, b, (vi){EACH(pattern)})
#define FROM(l, source, second) (((l) & ~3) + (source) + ((second) ? LANES : 0))
#define LOW_ONES(l) FROM(l, ((l) & 3) / 2, (l) & 1)
#define HIGH_ONES(l) FROM(l, ((l) & 3) / 2 + 2, (l) & 1)
#define LOW_TWOS(l) FROM(l, (l) & 1, (l) & 2)
#define HIGH_TWOS(l) FROM(l, ((l) & 1) + 2, (l) & 2)
#define UPPER4(l) (((l) & 4) ? LANES + (l) - 4 : (l))
#define LOWER4(l) (((l) & 4) ? LANES + (l) : (l) + 4)
#define UPPER8(l) (((l) & 8) ? LANES + (l) - 8 : (l))
#define LOWER8(l) (((l) & 8) ? LANES + (l) : (l) + 8)
#define EXCHANGE(tile, step, upper, lower)                                             \
    do {                                                                               \
        for (int i = 0; i < LANES; i++) {                                              \
            if (i & (step)) continue;                                                  \
            vf a = (tile)[i], b = (tile)[i + (step)];                                  \
            (tile)[i] = SHUFFLE(a, b, upper);                                          \
            (tile)[i + (step)] = SHUFFLE(a, b, lower);                                 \
        }                                                                              \
    } while (0)

/* Transpose every four lanes of every four vectors, in place. */
INLINE void transpose_fours(vf *tile) {
    for (int i = 0; i < LANES; i += 4) {
        vf a = SHUFFLE(tile[i], tile[i + 1], LOW_ONES), b = SHUFFLE(tile[i + 2], tile[i + 3], LOW_ONES);
        vf c = SHUFFLE(tile[i], tile[i + 1], HIGH_ONES), d = SHUFFLE(tile[i + 2], tile[i + 3], HIGH_ONES);
        tile[i] = SHUFFLE(a, b, LOW_TWOS);
        tile[i + 1] = SHUFFLE(a, b, HIGH_TWOS);
        tile[i + 2] = SHUFFLE(c, d, LOW_TWOS);
        tile[i + 3] = SHUFFLE(c, d, HIGH_TWOS);
    }
}

/* Transpose LANES vectors in place, exchanging ever smaller parts (Eklundh). */
INLINE void transpose(vf *tile) {
#if LANES >= 16
    EXCHANGE(tile, 8, UPPER8, LOWER8);
#endif
#if LANES >= 8
    EXCHANGE(tile, 4, UPPER4, LOWER4);
#endif
    transpose_fours(tile);
}

/* to[i * width + k] = from[k * hop + i], four by four. */
typedef float four __attribute__((vector_size(16)));
typedef int32_t four_places __attribute__((vector_size(16)));
typedef float four_loose __attribute__((vector_size(16), aligned(4), may_alias));
typedef int16_t eight __attribute__((vector_size(16)));
typedef int16_t eight_loose __attribute__((vector_size(16), aligned(2), may_alias));
#define LOW_EIGHT ((eight){0, 8, 1, 9, 2, 10, 3, 11})
#define HIGH_EIGHT ((eight){4, 12, 5, 13, 6, 14, 7, 15})
INLINE void turn_fours(four a, four b, four c, four d, float *to, ptrdiff_t width) {
    four p = __builtin_shuffle(a, b, (four_places){0, 4, 1, 5}), q = __builtin_shuffle(c, d, (four_places){0, 4, 1, 5});
    four r = __builtin_shuffle(a, b, (four_places){2, 6, 3, 7}), s = __builtin_shuffle(c, d, (four_places){2, 6, 3, 7});
    *(four_loose *)to = __builtin_shuffle(p, q, (four_places){0, 1, 4, 5});
    *(four_loose *)(to + width) = __builtin_shuffle(p, q, (four_places){2, 3, 6, 7});
    *(four_loose *)(to + 2 * width) = __builtin_shuffle(r, s, (four_places){0, 1, 4, 5});
    *(four_loose *)(to + 3 * width) = __builtin_shuffle(r, s, (four_places){2, 3, 6, 7});
}
INLINE four four_floats(const float *from) { return (four)*(const four_loose *)from; }
INLINE void turn_floats(const float *from, ptrdiff_t hop, float *to, ptrdiff_t width) {
    turn_fours(four_floats(from), four_floats(from + hop), four_floats(from + 2 * hop), four_floats(from + 3 * hop), to, width);
}
/* The same for eight lines: pairs of 16-bit samples are interleaved twice, then widened. */
INLINE void turn_shorts(const int16_t *from, ptrdiff_t hop, float *to, ptrdiff_t width) {
    eight a = *(const eight_loose *)from, b = *(const eight_loose *)(from + hop);
    eight c = *(const eight_loose *)(from + 2 * hop), d = *(const eight_loose *)(from + 3 * hop);
    four_places p = (four_places)__builtin_shuffle(a, b, LOW_EIGHT), q = (four_places)__builtin_shuffle(c, d, LOW_EIGHT);
    four_places r = (four_places)__builtin_shuffle(a, b, HIGH_EIGHT), s = (four_places)__builtin_shuffle(c, d, HIGH_EIGHT);
    eight lines[4] = {(eight)__builtin_shuffle(p, q, (four_places){0, 4, 1, 5}),
                      (eight)__builtin_shuffle(p, q, (four_places){2, 6, 3, 7}),
                      (eight)__builtin_shuffle(r, s, (four_places){0, 4, 1, 5}),
                      (eight)__builtin_shuffle(r, s, (four_places){2, 6, 3, 7})};
    for (int i = 0; i < 4; i++) {
        four_places low = (four_places)__builtin_shuffle((eight){0}, lines[i], LOW_EIGHT) >> 16;
        four_places high = (four_places)__builtin_shuffle((eight){0}, lines[i], HIGH_EIGHT) >> 16;
        *(four_loose *)(to + 2 * i * width) = __builtin_convertvector(low, four);
        *(four_loose *)(to + (2 * i + 1) * width) = __builtin_convertvector(high, four);
    }
}

/* Ask for memory that will be read a little later; any address will do. */
INLINE void fetch(const void *address) { __builtin_prefetch(address, 0, 2); }

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

/* e^x for x from -87 to 88, beyond which it stays what it is there; to about 1 ulp (Cephes' expf). */
INLINE vf exp_lanes(vf x) {
    x = choose(x > -87.0f, x, splat(-87.0f));
    x = choose(x < 88.0f, x, splat(88.0f));
    vf shifted = x * 1.44269504088896341f + 12582912.0f; /* 1.5 * 2^23: rounds to a whole number */
    vf n = shifted - 12582912.0f;
    vf f = x - n * 0.693359375f + n * 2.12194440e-4f;
    vf p = 1.9875691500e-4f * f + 1.3981999507e-3f;
    p = p * f + 8.3334519073e-3f;
    p = p * f + 4.1665795894e-2f;
    p = p * f + 1.6666665459e-1f;
    p = p * f + 5.0000001201e-1f;
    p = p * f * f + f + 1.0f;
    return p * (vf)((__builtin_convertvector(n, vi) + 127) << 23);
}

/* Order-keeping map between floats and integers, to bisect on bits: the exact median without sorting. */
INLINE vi ordered_bits(vi bits) { return bits ^ ((bits >> 31) & 0x7fffffff); }
INLINE int any_lane(vi condition) {
    int32_t any = 0;
    for (int i = 0; i < LANES; i++) any |= condition[i];
    return any != 0;
}

/* The median in each lane of `count` vectors that lie `stride` floats apart; of an even number, the mean of the middle two.
 *
 * Bisects between the least and the greatest until a limit has exactly half of the numbers below it (or, among equal ones,
 * until the limit itself is the number): then the greatest not above it and the least above it are the middle two. */
INLINE vf median_lanes(const float *values, size_t count, size_t stride) {
    int32_t half = (int32_t)((count + 1) / 2);
    vf least = load_float(values), most = least;
    for (size_t i = 1; i < count; i++) {
        vf value = load_float(values + i * stride);
        least = smaller(least, value);
        most = larger(most, value);
    }
    vi low = ordered_bits((vi)least), high = ordered_bits((vi)most), below = (vi){0} + (int32_t)count;
    for (int step = 0; step < 32 && any_lane((below > half) & (low < high)); step++) {
        vi middle = (low & high) + ((low ^ high) >> 1), here = (vi){0};
        vf limit = (vf)ordered_bits(middle);
        for (size_t i = 0; i < count; i++) here -= (vi)(load_float(values + i * stride) <= limit);
        vi enough = here >= half;
        vi open = (below > half) & (low < high);
        below = (here & enough & open) | (below & ~(enough & open));
        high = (middle & enough & open) | (high & ~(enough & open));
        low = ((middle + 1) & ~enough & open) | (low & ~(~enough & open));
    }
    vf limit = (vf)ordered_bits(high), lower = least, upper = most;
    for (size_t i = 0; i < count; i++) {
        vf value = load_float(values + i * stride);
        lower = choose((value <= limit) & (value > lower), value, lower);
        upper = choose((value > limit) & (value < upper), value, upper);
    }
    if (count % 2) return lower;
    return choose(below > half, lower, 0.5f * (lower + upper));
}

#endif
