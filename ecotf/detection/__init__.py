"""From a model and a recording to candidates: scores along time, peaks in them, and a box measured around each peak."""
