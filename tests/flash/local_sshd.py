"""OpenSSH's server on the loopback, as the current user and with keys of its own; fetched where it is not installed."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

FETCHED = Path(__file__).parents[2] / "build" / "sshd"
SYSTEM = ("/etc", "/opt", "/usr", "/var", "/boot", "/root", "/home", "/srv", "/media", "/mnt")
PACKAGES = ("openssh-server", "libwrap0")


@dataclass
class LocalSshd:
    """A running server; ``arguments`` are what flash_device.py needs to get in."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def arguments(self) -> list[str]:
        return [*self.key_arguments, "--known-hosts", str(self.folder / "known_hosts")]

    @property
    def key_arguments(self) -> list[str]:
        return ["--identity", str(self.folder / "login_key"), "--no-sudo"]

    def fingerprint(self) -> str:
        said = subprocess.run(
            ["ssh-keygen", "-lf", self.folder / "host_key.pub"], capture_output=True, text=True, check=True
        )
        return said.stdout.split()[1]

    def sessions(self) -> list[int]:
        """Process ids of the server's children, one a connection."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in found.split()]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=10)


def start_sshd(folder: Path, path: str = "/usr/bin:/bin") -> LocalSshd:
    """Start a server that keeps its keys in ``folder``; skips the test, with the reason, where there can be none.

    Sessions get ``path``, and ``folder`` as their home, so that nobody's own shell settings have a say.
    """
    server, libraries = find_sshd()
    for name in ("host_key", "login_key"):
        if not (folder / name).exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    port = free_port()
    host_key = (folder / "host_key.pub").read_text().split()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key[0]} {host_key[1]}\n")
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nAuthorizedKeysFile {folder}/login_key.pub\n"
        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPidFile none\nPermitRootLogin yes\nMaxStartups 100\n"
        f"Subsystem sftp internal-sftp\nSetEnv HOME={folder} PATH={path}\n"
    )
    words = [str(server), "-D", "-f", str(folder / "config"), "-E", str(folder / "sshd.log")]
    if os.geteuid() == 0:
        words = with_nothing_to_spoil(words, folder)
    process = subprocess.Popen(words, env={**os.environ, "LD_LIBRARY_PATH": libraries})
    deadline = time.monotonic() + 10
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return LocalSshd(port, folder, process)
        time.sleep(0.05)
    process.kill()
    log = folder / "sshd.log"
    pytest.skip(f"sshd does not start here: {log.read_text().strip() if log.exists() else 'it said nothing'}")


def find_sshd() -> tuple[Path, str]:
    """The server and the folder of its libraries."""
    installed = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if installed:
        return Path(installed), ""
    server = FETCHED / "root/usr/sbin/sshd"
    FETCHED.mkdir(parents=True, exist_ok=True)
    with open(FETCHED / "lock", "w") as held:  # tests run in several processes
        fcntl.flock(held, fcntl.LOCK_EX)
        if not server.exists():
            fetch_sshd()
    libraries = sorted({str(path.parent) for path in (FETCHED / "root").rglob("*.so.*")})
    return server, ":".join(libraries)


def fetch_sshd() -> None:
    """Download Debian's packages and unpack them, without installing anything."""
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        pytest.skip("there is no sshd, and no apt-get to fetch it with")
    done = subprocess.run(
        ["apt-get", "download", *PACKAGES], cwd=FETCHED, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it did not say why"]
        pytest.skip(f"there is no sshd, and it cannot be fetched: {lines[-1]}")
    for package in FETCHED.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, FETCHED / "root.part"], check=True)
    os.replace(FETCHED / "root.part", FETCHED / "root")


def with_nothing_to_spoil(words: list[str], folder: Path) -> list[str]:
    """As root, run the server where the system's folders are read-only: code that forgets ``--root`` spoils nothing.

    This takes a mount namespace of its own. There sshd also gets the user and the folder that it asks root for.
    """
    private = ["unshare", "--mount", "--propagation", "private"]
    if not shutil.which("unshare") or subprocess.run([*private, "true"], check=False, capture_output=True).returncode:
        pytest.skip("sshd as root is tried in a mount namespace only, and there can be none here")
    users = Path("/etc/passwd").read_text()
    own = "" if "\nsshd:" in users else "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n"
    (folder / "passwd").write_text(users + own)
    used = [folder.resolve(), Path(__file__).resolve()]
    closed = [one for one in SYSTEM if os.path.isdir(one) and not any(path.is_relative_to(one) for path in used)]
    steps = [
        *(f"mount --bind {one} {one} && mount -o remount,ro,bind {one}" for one in closed),
        f"mount --bind {folder}/passwd /etc/passwd", "mount -t tmpfs none /run", "mkdir /run/sshd", 'exec "$@"',
    ]  # fmt: skip
    return [*private, "sh", "-c", " && ".join(steps), "sh", *words]


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])
