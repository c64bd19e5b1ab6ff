"""From recordings and annotations to batches: the spectrogram store and the windows that a network is trained on."""
