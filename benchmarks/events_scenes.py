"""Simulated field recordings with boxes: voices over noise, insects, and other voices that are no class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from ecotf.audio.voices import Voice, coloured_noise, draw_voice, utter
from ecotf.datasets.manifest import Manifest, make_manifest

RATE = 32_000
SECONDS = 40.0
CLASSES = ("alpha", "beta", "gamma")
STRANGERS = 6


def voices(seed: int, n: int, longest_s: float = 1.2) -> list[Voice]:
    """Draw voices whose calls are at most so long."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < n:
        voice = draw_voice(rng)
        length = sum(voice.syllables[i % len(voice.syllables)].seconds + voice.gap_s for i in range(voice.count))
        if 0.15 < length < longest_s and 300 < voice.syllables[0].pitch_hz < 8000:
            found.append(voice)
    return found


def call_of(voice: Voice, rng: np.random.Generator) -> np.ndarray:
    """One call: the syllables of a voice with their gaps."""
    high, slow, parts = 2 ** rng.normal(0, 0.05), float(np.exp(rng.normal(0, 0.08))), []
    for i in range(voice.count):
        parts.append(utter(voice.syllables[i % len(voice.syllables)], high, slow, RATE, rng))
        if i + 1 < voice.count:
            parts.append(np.zeros(int(voice.gap_s * slow * RATE)))
    return np.concatenate(parts)


def scene(
    rng: np.random.Generator, own: list[Voice | None], strangers: list[Voice], quietest_db: float
) -> tuple[np.ndarray, list[tuple[float, float, int]]]:
    """One recording, and ``start_s, end_s, class`` of its calls; calls of a class follow each other."""
    n = round(SECONDS * RATE)
    sound = coloured_noise(n, RATE, rng).astype(float)
    times = np.arange(n) / RATE
    for _ in range(int(rng.integers(0, 3))):  # insects: steady, narrow, beating
        pitch, beat = rng.uniform(2500, 9000), rng.uniform(5, 60)
        tone = np.sin(2 * np.pi * pitch * times + 8 * np.cumsum(rng.normal(size=n)) / np.sqrt(RATE))
        sound += rng.uniform(0.05, 0.5) * tone * (1 + np.sin(2 * np.pi * beat * times))
    boxes: list[tuple[float, float, int]] = []
    singers = [(voice, code) for code, voice in enumerate(own) if voice is not None]
    singers += [(strangers[int(i)], -1) for i in rng.choice(len(strangers), 2, replace=False)]
    for voice, code in singers:
        level_db, at = rng.uniform(quietest_db, 15), rng.uniform(0, 8)
        for _ in range(int(rng.integers(2, 12))):
            call = call_of(voice, rng)
            if at + len(call) / RATE > SECONDS - 0.1:
                break
            start = int(at * RATE)
            gain = 10 ** ((level_db + rng.normal(0, 2)) / 20) / (np.sqrt(np.mean(call**2)) + 1e-12)
            sound[start : start + len(call)] += gain * 0.3 * call
            if code >= 0:
                boxes.append((at, at + len(call) / RATE, code))
            at += len(call) / RATE + float(np.exp(rng.uniform(np.log(0.1), np.log(8.0))))
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32), boxes


def scenes(
    folder: Path,
    recordings: int = 24,
    seed: int = 0,
    quietest_db: float = -3.0,
    classes: Sequence[str] = CLASSES,
    share: float = 0.5,
    drawn: Sequence[Voice] | None = None,
) -> Manifest:
    """Write recordings and their manifest, or read those that are there; each class is in a ``share`` of them.

    ``drawn`` are the voices, those of the classes first; by default they are of the seed, too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = voices(seed + 1, len(classes) + STRANGERS) if drawn is None else drawn
    rows = []
    for number in range(recordings):
        rng = np.random.default_rng([seed, number])
        own = [voice if rng.uniform() < share else None for voice in drawn[: len(classes)]]
        sound, boxes = scene(rng, own, list(drawn[len(classes) :]), quietest_db)
        name = f"scene_{number:03d}.flac"
        if not (folder / name).exists():
            soundfile.write(folder / name, sound, RATE, subtype="PCM_16")
        found = [(name, start, end, classes[code]) for start, end, code in boxes]
        rows += found or [(name, 0.0, np.nan, "")]
    table = pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label"]).assign(fully_annotated="yes")
    table.to_csv(folder / "manifest.csv", index=False)
    return make_manifest(table, folder, "scenes")
