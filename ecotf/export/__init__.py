"""A run on a device: stages converted to TFLite, chained into one file that proves and describes itself."""
