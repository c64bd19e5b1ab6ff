"""Cut regions of interest out of recordings, sort out noise, and show what was cut."""
