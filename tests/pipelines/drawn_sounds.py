"""How an augmentation of sound is compared with a plain statement of it."""

from __future__ import annotations

import numpy as np

N, SAMPLES, RATE = 6, 4000, 8000
SEED = (3, 4)


def drawn(draws):
    return {name: np.asarray(value) for name, value in draws.items()}


def close(graph, plain, tolerance=1e-5):
    plain = np.asarray(plain)
    np.testing.assert_allclose(np.asarray(graph), plain, rtol=0, atol=tolerance * max(1.0, np.abs(plain).max()))


def inside(values, low, high):
    assert (values >= low).all() and (values <= high).all()
    assert len(np.unique(values)) > 1  # each clip has its own


def level_of(sound, measure):
    return np.abs(sound).max(axis=1) if measure == "peak" else np.sqrt((sound.astype(float) ** 2).mean(axis=1))


def at_snr(sound, added, snr_db, measure):
    gain = level_of(sound, measure) / 10 ** (snr_db / 20) / level_of(added, measure)
    return sound + gain[:, None] * added
