"""The files that an image gets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ecotf_recorder.releases.bundle import Bundle

from deploy.flash.image.ext4 import Entry
from deploy.flash.image.system import SETUP, ImageSystem
from deploy.flash.sdcard import INBOX
from ecotf.errors import ConfigError

HERE = Path(__file__).parent
UNIT = "ecotf-setup.service"
_UNITS = "/etc/systemd/system"
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}")
_ZONES = "/usr/share/zoneinfo"
# The drivers of the board's Wi-Fi and Bluetooth; what is not loaded takes no power.
_RADIO = "".join(f"blacklist {driver}\n" for driver in ("brcmfmac", "brcmutil", "hci_uart", "btbcm"))


@dataclass(frozen=True)
class Host:
    """The board itself: its name and time zone where they are to be others, and whether its radio stays off."""

    name: str = ""
    time_zone: str = ""
    no_radio: bool = False

    def check(self) -> None:
        """Refuse names that cannot be.

        Raises
        ------
        ConfigError
            The first of them.
        """
        if self.name and not _HOST.fullmatch(self.name):
            raise ConfigError(f"--hostname {self.name!r}: small letters, digits and hyphens, at most 63")
        if self.time_zone and not _ZONE.fullmatch(self.time_zone):
            raise ConfigError(f"--time-zone {self.time_zone!r}: a name such as Europe/Brussels")


def plan_setup(uploads: Sequence[Path]) -> list[Entry]:
    """What ``init`` would upload, and the unit that does ``init``'s steps when the board starts."""
    unit = f"{_UNITS}/{UNIT}"
    return [
        *(Entry(f"{SETUP}/{path.name}", path) for path in uploads),
        Entry(unit, HERE / UNIT),
        Entry(f"{_UNITS}/multi-user.target.wants/{UNIT}", link=unit),
    ]


def plan_bundle(bundle: Bundle) -> list[Entry]:
    """A bundle, where the recorder looks for those of a card; it is tested there and applied."""
    return [Entry(f"/{INBOX}/{bundle.id}/{name}", bundle.folder / name) for name in bundle.names]


def plan_host(host: Host, system: ImageSystem, scratch: Path) -> list[Entry]:
    """Name, time zone and radio of the board.

    Raises
    ------
    ConfigError
        The image does not know the time zone.
    """
    entries = []
    if host.name:
        known = (system.files.read("/etc/hosts") or b"127.0.0.1\tlocalhost\n").decode(errors="replace")
        lines = [line for line in known.splitlines() if not re.match(r"127\.0\.1\.1\s", line)]
        hosts = "\n".join([*lines, f"127.0.1.1\t{host.name}"]) + "\n"
        entries.append(Entry("/etc/hostname", _written(scratch / "hostname", f"{host.name}\n")))
        entries.append(Entry("/etc/hosts", _written(scratch / "hosts", hosts)))
    if host.time_zone:
        if not system.files.exists(f"{_ZONES}/{host.time_zone}"):
            raise ConfigError(
                f"--time-zone {host.time_zone}: the image does not know it; a name such as Europe/Brussels"
            )
        entries.append(Entry("/etc/localtime", link=f"..{_ZONES}/{host.time_zone}"))
        if system.files.exists("/etc/timezone"):
            entries.append(Entry("/etc/timezone", _written(scratch / "timezone", f"{host.time_zone}\n")))
    if host.no_radio:
        entries.append(Entry("/etc/modprobe.d/ecotf-no-radio.conf", _written(scratch / "no-radio", _RADIO)))
    return entries


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
