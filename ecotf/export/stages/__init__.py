"""A run's parts as TensorFlow functions that a converter takes: sound, frames, networks, trees."""
