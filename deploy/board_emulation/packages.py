"""ARM packages from Debian, without adding an architecture to this computer: apt with folders of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SUITE = "bookworm"
MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class ArmPackages:
    """Downloads arm64 packages into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for inside in ("lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d"):
            (folder / inside).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        signed = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
        (folder / "etc/sources.list").write_text(f"deb {signed}{MIRROR} {SUITE} main\n", encoding="utf-8")
        settings = {
            "APT::Architecture": "arm64", "APT::Architectures": "arm64", "Dir::State::Lists": folder / "lists",
            "Dir::State::Status": folder / "status", "Dir::Cache": folder / "cache",
            "Dir::Etc::SourceList": folder / "etc/sources.list", "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::Preferences": "/dev/null", "Dir::Etc::PreferencesParts": folder / "etc/preferences.d",
            "APT::Install-Recommends": "false", "APT::Sandbox::User": "", "Acquire::Languages": "none",
        }  # fmt: skip
        self._options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        self._apt("update")

    def kernel(self, flavour: str) -> str:
        """The package that ``linux-image-FLAVOUR`` stands for."""
        said = subprocess.run(
            ["apt-cache", *self._options, "depends", f"linux-image-{flavour}"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return next(line.split()[-1] for line in said.stdout.splitlines() if "Depends: linux-image" in line)

    def unpack(self, names: list[str], target: Path) -> None:
        """Download packages, without what they depend on, and unpack them into ``target``."""
        before = set(self.folder.glob("*.deb"))
        self._apt("download", *names)
        for package in set(self.folder.glob("*.deb")) - before:
            subprocess.run(["dpkg", "-x", package, target], check=True)

    def _apt(self, *words: str) -> None:
        subprocess.run(
            ["apt-get", "-qq", *self._options, *words], cwd=self.folder, check=True, stdout=subprocess.DEVNULL
        )
