"""An int8 network and its trees as C99 for microcontrollers, without any library. Experimental."""
