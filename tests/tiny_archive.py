"""A tiny archive of nights with an owl and a wren at a pitch each, embedded by the tiny embedder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from tiny_embedder import RATE, tiny_embedder

import ecotf
from ecotf.embeddings.store import Embeddings

PITCHES = {"owl": 1000.0, "wren": 3000.0}
NIGHT_S = 10.0
WHEN = [(2.0, 6.0), (3.0, 8.0), (4.25, 1.0), (1.5, 7.0), (6.0, 3.0), (5.25, 8.5)]
"""When the owl calls for 0.75 s, and the wren for 0.5 s, in each night."""
CALL_S = {"owl": 0.75, "wren": 0.5}


def tone(pitch: float, seconds: float, at: float = 0.0, length: float | None = None, seed: int = 1) -> np.ndarray:
    """Make a tone in a little noise."""
    times = np.arange(round((length or seconds) * RATE)) / RATE
    here = (times >= at) & (times < at + seconds)
    noise = 0.002 * np.random.default_rng(seed).normal(size=len(times))
    return np.asarray(0.4 * here * np.sin(2 * np.pi * pitch * times) + noise)


def tiny_archive(folder: Path, nights: int = 3) -> Embeddings:
    """Write nights, examples (``owl.wav``, ``wren.wav``, ``silent.wav``) and embeddings into ``folder``."""
    tiny_embedder(folder)
    (folder / "nights").mkdir()
    for number, (owl, wren) in enumerate(WHEN[:nights]):
        sound = tone(PITCHES["owl"], CALL_S["owl"], owl, NIGHT_S, number)
        sound += tone(PITCHES["wren"], CALL_S["wren"], wren, NIGHT_S, 50 + number)
        soundfile.write(folder / "nights" / f"2026062{number}_221500.wav", sound, RATE)
    for name, pitch in PITCHES.items():
        soundfile.write(folder / f"{name}.wav", tone(pitch, 0.25), RATE)
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    return ecotf.embed(folder / "tiny.tflite", folder / "nights", folder / "embeddings")


def has_owl(embeddings: Embeddings, row: int) -> bool:
    """Return whether an owl calls in a row's window."""
    place = embeddings.table.iloc[row]
    owl = WHEN[int(place["recording"][-12])][0]
    return bool(place["start_s"] < owl + CALL_S["owl"] and place["end_s"] > owl)
