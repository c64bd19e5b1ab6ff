"""The file against its run: recordings, examples, rehearsal, parity, golden outputs."""
