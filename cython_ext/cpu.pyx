"""Which instruction sets this processor has."""

cdef extern from *:
    """
    #if defined(__x86_64__) || defined(_M_X64)
    #include <cpuid.h>
    static int ecotf_cpu_has_halves(void) {
        unsigned int a, b, c, d;
        return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
    }
    static int ecotf_cpu_level(void) {
        __builtin_cpu_init();
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd")
            && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) return 4;
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")
            && ecotf_cpu_has_halves()) return 3;
        if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt")) return 2;
        return 0;
    }
    #else
    static int ecotf_cpu_level(void) { return 0; }
    #endif
    """
    int ecotf_cpu_level() nogil


def levels():
    """The builds of the kernels that can run here, fastest first."""
    return [f"v{level}" for level in (4, 3, 2) if level <= ecotf_cpu_level()] + ["portable"]
