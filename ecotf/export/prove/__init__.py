"""The file against its run: recordings, examples, trial, parity, golden outputs."""
