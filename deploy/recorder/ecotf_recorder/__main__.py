"""``python -m ecotf_recorder``."""

from __future__ import annotations

import os
import sys


def start() -> int:
    """Run the command line."""
    # One thread is enough for what numpy does here, and each more costs memory; said before numpy is loaded.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from ecotf_recorder.cli import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(start())
