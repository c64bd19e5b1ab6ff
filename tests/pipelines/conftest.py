"""Sounds that are augmented."""

from __future__ import annotations

import numpy as np
import pytest

from .drawn_sounds import RATE, SAMPLES, N


@pytest.fixture(scope="module")
def sound():
    time = np.arange(SAMPLES) / RATE
    tones = [np.sin(2 * np.pi * (300 + 150 * i) * time) for i in range(N)]
    return (0.2 * np.array(tones) + np.random.default_rng(0).normal(0, 0.05, (N, SAMPLES))).astype(np.float32)
