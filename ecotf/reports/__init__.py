"""Runs side by side, as one HTML file that needs no other."""

MOST_CLIPS = 40
"""How many clips a report has to listen to, of all its runs together, where nobody says otherwise."""
