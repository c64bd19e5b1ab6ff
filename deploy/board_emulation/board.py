"""The emulated board: it boots, is logged in to, loses its power, and boots again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from deploy.board_emulation.image import BoardImage
from ecotf.errors import EcotfError

_BOOT_S = 600.0
_NO_CHIP = " initcall_blacklist=pl031_driver_init"


class Board:
    """A Cortex-A53 with 512 MB, as a Raspberry Pi Zero 2 W has; on no network but ssh from this computer.

    Parameters
    ----------
    image
        The card it begins with, which stays as it is.
    folder
        Where what it writes goes.
    """

    def __init__(self, image: BoardImage, folder: Path) -> None:
        self.image = image
        self.folder = folder
        self.disk = folder / "card.qcow2"
        self.first_partition = folder / "bootfs.img"
        self.port = _free_port()
        self._machine: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(image.disk.resolve())]
        subprocess.run([*create, str(self.disk)], check=True)
        self.first_partition.unlink(missing_ok=True)
        path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        subprocess.run(
            ["mkfs.vfat", "-C", "-n", "BOOTFS", str(self.first_partition), "65536"],
            check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PATH": path},
        )  # fmt: skip

    @property
    def address(self) -> str:
        """For ``--device``."""
        return f"pi@127.0.0.1:{self.port}"

    def boot(self, clock_chip: bool = True) -> float:
        """Switch it on and wait until ssh answers; seconds. Without its clock chip it begins with a wrong date."""
        began = time.monotonic()
        drives = []
        for number, (file, kind) in enumerate(((self.disk, "qcow2"), (self.first_partition, "raw"))):
            drives += ["-drive", f"if=none,id=disk{number},format={kind},file={file}"]
        # The last device on the bus is the first that Linux finds.
        for number in (1, 0):
            drives += ["-device", f"virtio-blk-device,drive=disk{number}"]
        words = [
            "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-smp", "2", "-m", "512", "-display", "none",
            "-kernel", str(self.image.kernel), "-initrd", str(self.image.initrd),
            "-append", "console=ttyAMA0 quiet" + ("" if clock_chip else _NO_CHIP),
            "-serial", f"file:{self.folder / 'console.log'}", *drives,
            "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22",
            "-device", "virtio-net-device,netdev=net", "-device", "virtio-rng-device",
        ]  # fmt: skip
        self._machine = subprocess.Popen(words)
        while not self._answers():
            if self._machine.poll() is not None or time.monotonic() - began > _BOOT_S:
                raise EcotfError(f"the board does not boot; see {self.folder / 'console.log'}")
            time.sleep(0.5)
        return time.monotonic() - began

    def run(self, command: str) -> str:
        """Return the output of a command on the board."""
        words = ["ssh", "-q", "-i", str(self.image.login_key), "-p", str(self.port), "-o", "BatchMode=yes"]
        words += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "pi@127.0.0.1", command]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return (done.stdout + done.stderr).strip()

    def cut_power(self) -> None:
        """Kill the board: data that was not on the card is lost."""
        assert self._machine is not None
        self._machine.send_signal(signal.SIGKILL)
        self._machine.wait()

    def shut_down(self) -> None:
        """Switch it off as one should."""
        assert self._machine is not None
        self.run("sudo systemctl poweroff")
        try:
            self._machine.wait(timeout=120)
        except subprocess.TimeoutExpired:
            self.cut_power()

    def close(self) -> None:
        """Leave no machine behind."""
        if self._machine is not None and self._machine.poll() is None:
            self._machine.kill()
            self._machine.wait()

    def put_on_card(self, folder: Path) -> None:
        """Copy a folder onto the first partition, while the board is off."""
        subprocess.run(["mcopy", "-s", "-o", "-Q", "-i", self.first_partition, folder, "::/"], check=True)

    def take_from_card(self, name: str, folder: Path) -> None:
        """Copy a folder of the first partition here, while the board is off."""
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mcopy", "-s", "-n", "-Q", "-i", self.first_partition, f"::/{name}", folder], check=True)

    def _answers(self) -> bool:
        with socket.socket() as tried:
            tried.settimeout(2)
            try:
                tried.connect(("127.0.0.1", self.port))
                return tried.recv(4) == b"SSH-"
            except OSError:
                return False


def _free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])
