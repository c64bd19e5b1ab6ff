# The search kernels for one instruction set; setup.py gives each of these files its compiler flags.
include "search.pxi"
