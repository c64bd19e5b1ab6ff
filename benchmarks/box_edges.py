"""Edges of events in frequency, in simulated scenes: how far off what is measured is, and how far the median box.

    python benchmarks/box_edges.py --folder FOLDER

Three made-up voices of tones over noise, insects and other voices (`events_scenes.py`), 16 recordings of 40 s; 10 are
fitted to and 6 are judged, at the true times. Once all calls of a voice have nearly the same pitch, once each lies
anywhere within an octave up or down. True edges are those of the call before it is mixed in, 25 dB below its loudest.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
import soundfile
from events_scenes import CLASSES, RATE, SECONDS, voices
from numpy.typing import NDArray

from ecotf.audio.voices import Voice, coloured_noise, utter
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.detection.frequency_boxes import BoxesConfig
from ecotf.tasks.clips.fit_boxes import fit_boxes, judge_boxes

BAND_HZ = (150.0, 12_000.0)
_RECORDINGS, _TRAIN = 16, 10
_WINDOW, _BELOW_DB = 1024, 25.0


def call(voice: Voice, octaves: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the syllables of one call, all so many octaves higher."""
    high, parts = 2 ** (octaves + rng.normal(0, 0.02)), []
    for number in range(voice.count):
        parts += [utter(voice.syllables[number % len(voice.syllables)], high, 1.0, RATE, rng)]
        parts += [np.zeros(int(voice.gap_s * RATE))]
    return np.concatenate(parts[:-1])


def edges_of(sound: NDArray[np.float64]) -> tuple[float, float]:
    """Return the lowest and the highest frequency of a clean call, hertz."""
    padded = np.pad(sound, _WINDOW)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[:: _WINDOW // 4]
    power = (np.abs(np.fft.rfft(frames * np.hanning(_WINDOW), axis=1)) ** 2).max(axis=0)
    loud = np.flatnonzero(power >= power.max() * 10 ** (-_BELOW_DB / 10))
    return max(0.0, float((loud[0] - 0.5) * RATE / _WINDOW)), float((loud[-1] + 0.5) * RATE / _WINDOW)


def scene(folder: Path, number: int, drawn: list[Voice], octaves: float) -> list[tuple[Any, ...]]:
    """Write a recording; return its boxes."""
    rng = np.random.default_rng([number, 7])
    n = round(SECONDS * RATE)
    sound, times, rows = coloured_noise(n, RATE, rng).astype(float), np.arange(n) / RATE, []
    for _ in range(int(rng.integers(0, 3))):  # insects
        sound += rng.uniform(0.05, 0.5) * np.sin(2 * np.pi * rng.uniform(2500, 9000) * times + rng.normal(0, 0.3, n))
    name = f"{number:03d}.flac"
    for code, voice in enumerate(drawn):
        level_db, at = rng.uniform(0, 20), rng.uniform(0.5, 6)
        while True:
            one = call(voice, rng.uniform(-octaves, octaves), rng)
            if at + len(one) / RATE > SECONDS - 0.5:
                break
            start = int(at * RATE)
            sound[start : start + len(one)] += 10 ** (level_db / 20) * 0.3 * one / np.sqrt(np.mean(one**2))
            if code < len(CLASSES):
                rows.append((name, at, at + len(one) / RATE, *edges_of(one), CLASSES[code]))
            at += len(one) / RATE + rng.uniform(1, 9)
    soundfile.write(folder / name, (0.5 * sound / np.abs(sound).max()).astype(np.float32), RATE, subtype="PCM_16")
    return rows


def scenes(folder: Path, octaves: float) -> Manifest:
    """Write all recordings."""
    folder.mkdir(parents=True, exist_ok=True)
    tonal = [voice for voice in voices(1, 40) if all(one.noise[0] < 0.06 for one in voice.syllables)]
    drawn = tonal[: len(CLASSES) + 2]
    rows = [row for number in range(_RECORDINGS) for row in scene(folder, number, drawn, octaves)]
    table = pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "low_hz", "high_hz", "label"])
    train = table["recording"] < f"{_TRAIN:03d}"
    return make_manifest(table.assign(split=np.where(train, "train", "test")), folder, "scenes")


def main() -> None:
    """Print the median error of both edges, of each voice and of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="for the recordings")
    options = parser.parse_args()
    model: Any = SimpleNamespace(band_hz=BAND_HZ, sample_rate=RATE)
    for title, octaves in (("alike", 0.0), ("any pitch", 1.0)):
        manifest = scenes(options.folder / title.replace(" ", "_"), octaves)
        plan = SimpleNamespace(
            seed=0, data=SimpleNamespace(channel="mix"), inference=SimpleNamespace(boxes=BoxesConfig())
        )
        data: Any = SimpleNamespace(manifest=manifest, plan=plan, durations=dict.fromkeys(manifest.recordings, SECONDS))
        numbers = fit_boxes(data, model, CLASSES, print)
        for name, row in judge_boxes(data, model, CLASSES, numbers, "test", print).items():
            weights = ", ".join(f"{numbers[name][edge]['weight']:g}" for edge in ("low", "high"))
            print(
                f"{title}, {name}: {row['n']} boxes, low {row['low_hz']:.0f} and high {row['high_hz']:.0f} Hz off; "
                f"median box {row['typical_low_hz']:.0f} and {row['typical_high_hz']:.0f} Hz; weights {weights}",
                flush=True,
            )


if __name__ == "__main__":
    main()
