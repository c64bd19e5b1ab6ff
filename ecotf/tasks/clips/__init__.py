"""Clips: score segments of some seconds, and the frames inside them."""
