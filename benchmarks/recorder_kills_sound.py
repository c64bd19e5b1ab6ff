"""Part of `recorder_kills.py`: live sound that goes by the clock of the computer, as raw samples on standard output.

`python recorder_kills_sound.py PERIOD RATE`: the 16-bit samples of the file PERIOD, for ever. A sample is that of the
moment at which it is heard: whoever begins to listen later has missed what came before.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

PIECE_S = 0.02


def main(period: Path, rate: int) -> None:
    """Play until nobody listens any more."""
    content = period.read_bytes()
    n, piece = len(content) // 2, round(PIECE_S * rate)
    content += content[: 2 * piece]
    sys.stdout.buffer.write(content[: 2 * piece])  # waits until somebody listens, if the pipe holds no more
    sys.stdout.buffer.flush()
    at = round(time.clock_gettime(time.CLOCK_BOOTTIME) * rate)
    while True:
        time.sleep(max(0.0, (at + piece) / rate - time.clock_gettime(time.CLOCK_BOOTTIME)))
        begin = 2 * (at % n)
        sys.stdout.buffer.write(content[begin : begin + 2 * piece])
        sys.stdout.buffer.flush()
        at += piece


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), int(sys.argv[2]))
    except BrokenPipeError:
        sys.exit(1)
