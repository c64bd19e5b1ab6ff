"""Sound in: finding, opening, streaming and resampling recordings, and the metadata that recorders write into them."""
