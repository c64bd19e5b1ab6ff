"""Clocks, the sun, and when to listen."""
