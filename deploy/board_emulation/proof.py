"""Commands on an emulated board as a user types them, and what they should say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from deploy.board_emulation.board import Board

ROOT = Path(__file__).resolve().parents[2]


class Proof:
    """Runs commands as a user types them, and compares what they say with what they should."""

    def __init__(self, board: Board, folder: Path) -> None:
        self.board = board
        self.folder = folder
        self.failures: list[str] = []
        self.login = ["--identity", str(board.image.login_key), "--known-hosts", str(folder / "known_hosts")]

    def title(self, text: str) -> None:
        """Begin a section."""
        print(f"\n=== {text}", flush=True)

    def expect(self, what: str, holds: bool) -> None:
        """Note whether something is as it should be."""
        print(f"    {'ok' if holds else 'NOT SO'}: {what}", flush=True)
        if not holds:
            self.failures.append(what)

    def flash_device(self, *words: object, status: int = 0, says: Sequence[str] = (), device: bool = True) -> None:
        """Run flash_device.py and check its exit status and words that it must say."""
        command = self.command(*words, device=device)
        began = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=wide_environment())
        print(f"$ python scripts/flash_device.py {' '.join(map(str, words))}{' --device ...' if device else ''}")
        print("\n".join(f"  {line}" for line in (done.stdout + done.stderr).splitlines()))
        print(f"  [exit {done.returncode}, {time.monotonic() - began:.1f} s]", flush=True)
        self.expect(f"exit status {status}", done.returncode == status)
        for word in says:
            self.expect(f"it says {word!r}", word in done.stdout + done.stderr)

    def command(self, *words: object, device: bool = True) -> list[str]:
        """The command line."""
        to = ["--device", self.board.address, *self.login, "--timeout", "60"] if device else []
        return [sys.executable, "scripts/flash_device.py", *map(str, words), *to]

    def on_board(self, command: str) -> str:
        """Run a command on the board, and show it."""
        said = self.board.run(command)
        print(f"pi@board$ {command}\n" + "\n".join(f"  {line}" for line in said.splitlines()), flush=True)
        return said

    def runs(self, bundle: Path, wait_s: float = 0.0) -> None:
        """Check that a bundle is current and that the recorder says it runs it."""
        wanted = release_of(bundle)
        deadline = time.monotonic() + wait_s
        while True:
            current = Path(self.board.run("readlink /var/lib/ecotf/current")).name
            health = self.board.run("sudo cat /var/lib/ecotf/data/health.json")
            active = self.board.run("systemctl is-active ecotf-recorder")
            said = json.loads(health) if health.startswith("{") else {}
            well = said.get("release") == wanted and said.get("state") in ("listening", "idle")
            if (current == wanted and well and active == "active") or time.monotonic() >= deadline:
                break
            time.sleep(2)
        self.expect(f"{wanted} is current and runs ({current}, {active}, {said.get('state')})",
                    current == wanted and active == "active" and well)  # fmt: skip

    def boot(self, clock_chip: bool = True) -> None:
        """Switch the board on."""
        print(f"the board answers after {self.board.boot(clock_chip):.0f} s", flush=True)

    def flash_until(self, bundle: Path, step: str, act: Callable[[subprocess.Popen[str]], object]) -> None:
        """Begin to flash, and do something five seconds into a step."""
        print(f"$ python scripts/flash_device.py {bundle} --device ...   (until {step})", flush=True)
        environment = {**wide_environment(), "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(self.command(bundle), cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
        assert process.stdout is not None
        for line in process.stdout:
            print(f"  {line.rstrip()}", flush=True)
            if line.rstrip().endswith(f": {step}"):
                time.sleep(5)
                act(process)
                break
        process.kill()
        process.wait()

    def copy(self, files: Sequence[Path], place: str) -> None:
        """Copy files to the board, past flash_device.py."""
        words = ["scp", "-q", "-i", str(self.board.image.login_key), "-P", str(self.board.port)]
        words += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        subprocess.run([*words, *files, f"pi@127.0.0.1:{place}"], check=True)


def release_of(bundle: Path) -> str:
    """A bundle's id."""
    return str(json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))["id"])


def wide_environment() -> dict[str, str]:
    """Tables as wide as they like."""
    return {**os.environ, "COLUMNS": "220"}
