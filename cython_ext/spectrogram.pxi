"""Band spectrograms, one frame of sound per vector lane."""

from libc.stdlib cimport free
from libc.string cimport memcpy, memset

include "fft.pxi"
include "butterflies.pxi"
include "band.pxi"
include "block.pxi"
