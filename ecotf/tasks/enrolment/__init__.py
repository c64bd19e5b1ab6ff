"""Enrolment: a new species from a few examples, added to a run without training."""
