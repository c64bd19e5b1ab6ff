"""A stand-in for systemctl and the recorder, which does what the first word of the model says.

fake_service.py ROOT restart     as systemctl restart: ends the old one, starts the new one
fake_service.py ROOT boot        the same after ExecStartPre, which recovers
fake_service.py ROOT stop        the power goes away
fake_service.py ROOT run         the recorder
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def is_of(pid: int, root: Path) -> bool:
    """Check that a process was started for the recorder in ``root``; a number is soon another process's."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return pid > 1 and os.fsencode(root) in words


def pid_of(root: Path, state: Path) -> int | None:
    try:
        pid = int((state.parent / "fake.pid").read_text())
        if not is_of(pid, root):
            return None
        ended = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (OSError, ValueError):
        return None
    return None if ended else pid


def stop(root: Path, state: Path) -> None:
    while (pid := pid_of(root, state)) is not None:
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def restart(root: Path, state: Path) -> int:
    stop(root, state)
    if not (state / "current" / "model.tflite").exists():
        return 1
    with open(os.devnull, "r+b") as nothing:
        service = subprocess.Popen(
            [sys.executable, "-S", "-E", __file__, str(root), "run"],
            start_new_session=True, stdin=nothing, stdout=nothing, stderr=nothing,
        )  # fmt: skip
    (state.parent / "fake.pid").write_text(str(service.pid))
    return 0


def run(state: Path) -> None:
    release = os.readlink(state / "current").rsplit("/", 1)[1]
    word = (state / "current" / "model.tflite").read_bytes()[:20].split()[0].decode(errors="replace")
    for turn in range(6000):
        said = {"pid": os.getpid(), "release": release, "state": "listening", "error": None}
        if word == "failing":
            said |= {"state": "failed", "error": "no microphone"}
        if word == "deaf":
            said |= {"error": "the microphone is silent"}
        if word == "crashing" and turn == 4:
            os.abort()
        if word != "mute":
            (state / "data").mkdir(exist_ok=True)
            partial = state / "data" / "health.part"
            partial.write_text(json.dumps(said))
            os.replace(partial, state / "data" / "health.json")
        time.sleep(0.05)


def main(root: Path, command: str) -> int:
    state = root / "var/lib/ecotf"
    if command == "restart":
        return restart(root, state)
    if command == "stop":
        stop(root, state)
        return 0
    run(state)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
