"""WAV files: read in pieces, written whole, and what recorders note in them."""
