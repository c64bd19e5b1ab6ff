"""Networks: a backbone turns a spectrogram window into an embedding, a head turns the embedding into scores."""
