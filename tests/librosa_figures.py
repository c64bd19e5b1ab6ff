"""What librosa 0.11.0 says of the sounds of our tests; librosa itself compiles for some 20 s before it says anything.

    ECOTF_LIBROSA=1 pytest tests/features

asks librosa again, compares with what it says then, and keeps that in ``librosa_figures.npz``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ASK = "ECOTF_LIBROSA"
_FILE = Path(__file__).with_suffix(".npz")


def by_librosa(name: str, ask: Callable[[Any], np.ndarray]) -> np.ndarray:
    """What ``ask`` got from librosa, in single precision; ``name`` is its name in the file."""
    if os.environ.get(ASK):
        import librosa

        said = np.asarray(ask(librosa), np.float32)
        kept = {}
        if _FILE.exists():
            with np.load(_FILE) as file:
                kept = dict(file)
        np.savez_compressed(_FILE, **kept | {name: said})
        return said
    with np.load(_FILE) as file:
        return np.asarray(file[name])
