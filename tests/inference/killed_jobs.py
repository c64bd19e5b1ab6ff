"""``killed_jobs.py MODEL OUTPUT KILLS SEED FOLDER...``: jobs into one output folder, killed at random moments.

One folder after the other, the first with CSV alone, the later ones with more formats; the kills are spread over them,
and at the end each job comes to its end. Each job is a fork of this process, so that a kill costs no start of Python.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from cheap_run import CheapRun

from ecotf.audio.discover import find_recordings
from ecotf.inference.job import ClassifierOptions, classify

FORMATS = (("csv",), ("csv", "raven", "parquet", "audacity"))
_SLOW_S = 0.004  # for each kill and recording, so that jobs last longer than their kills on every machine


def job(model: Path, output: Path, folder: str, formats: tuple[str, ...], kills: int) -> None:
    """One job in a process of its own, to its end or to its kill."""
    recordings = find_recordings([folder]).recordings
    classify(CheapRun(model, _SLOW_S * max(1, kills)), recordings, output, ClassifierOptions(formats), resume=True)


def main() -> None:
    """Kill and go on."""
    model, output, kills, seed, *folders = sys.argv[1:]
    chance = random.Random(int(seed))
    whole_s = 0.0
    for number, folder in enumerate(folders):
        for left in reversed(range(int(kills) // len(folders) + 1)):
            began = time.monotonic()
            child = os.fork()
            if child == 0:
                try:
                    job(Path(model), Path(output), folder, FORMATS[min(number, 1)], int(kills))
                except BaseException as error:
                    print(f"{type(error).__name__}: {error}", flush=True)
                    os._exit(1)
                os._exit(0)
            if left:
                time.sleep(chance.uniform(0.01, 0.25))
                os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            whole_s += time.monotonic() - began
            print(folder, "killed" if os.WIFSIGNALED(status) else f"ended {os.WEXITSTATUS(status)}", flush=True)
            if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
                sys.exit(1)


if __name__ == "__main__":
    main()
