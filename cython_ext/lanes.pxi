# What lanes.h offers, declared to Cython: `vf` behaves like a float.

from libc.stdlib cimport free
from libc.string cimport memcpy, memset

cdef extern from "lanes.h" nogil:
    enum: LANES
    ctypedef float vf
    vf* new_lanes(size_t count)
    vf splat(float value)
    vf load_float(const float* values)
    vf load_some(const float* values, Py_ssize_t count)
    void store_float(float* to, vf value)
    void store_some(float* to, vf value, Py_ssize_t count)
    float lane(const vf* value, int index)
    void set_lane(vf* value, int index, float number)
    vf larger(vf a, vf b)
    vf smaller(vf a, vf b)
    vf replace_sorted(vf here, vf after, vf old)
    void transpose(vf* tile)
    void turn_floats(const float* source, Py_ssize_t hop, float* to, Py_ssize_t width)
    void turn_shorts(const short* source, Py_ssize_t hop, float* to, Py_ssize_t width)
    void fetch(const void* address)
    vf log_lanes(vf x)
    vf log1p_lanes(vf x)
    vf exp_lanes(vf x)
    vf median_lanes(const float* values, size_t count, size_t stride)

LANES_IN_VECTOR = LANES
