"""What is reported, and which sound is kept: plausibility, hits, and human voices."""
