"""From scores over time to events: smoothing, peaks, boxes, merging and matching; the patches and the gate before them."""

import numpy as np

from libc.math cimport INFINITY, isfinite

include "smoothing.pxi"
include "maxima.pxi"
include "matching.pxi"
include "strongest.pxi"
include "boxes.pxi"
include "patches.pxi"
include "gate.pxi"
