"""From scores over time to events: smoothing, peaks, boxes, merging and matching; the windows and the gate before them."""

import numpy as np

from libc.math cimport INFINITY, isfinite

include "smoothing.pxi"
include "peaks.pxi"
include "matching.pxi"
include "pulses.pxi"
include "boxes.pxi"
include "windows.pxi"
include "gate.pxi"
