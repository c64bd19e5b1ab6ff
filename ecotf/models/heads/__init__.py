"""Heads that are not a dense layer: gradient-boosted trees over an embedding."""
