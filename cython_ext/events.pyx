"""From scores over time to events: smoothing, peaks, merging and matching."""

import numpy as np

from libc.math cimport INFINITY, isfinite

include "smoothing.pxi"
include "peaks.pxi"
include "matching.pxi"
