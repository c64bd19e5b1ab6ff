"""Calls: find every call at a peak of energy, box it, name it."""
