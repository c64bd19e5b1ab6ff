"""From recordings and annotations to batches: the spectrogram store and the patches that a network is trained on."""
