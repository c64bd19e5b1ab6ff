"""Folders of the releases on the recorder, and time limits of their steps."""

from __future__ import annotations

import dataclasses
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecotf_recorder.releases.bundle import ReleaseError

SERVICE = "ecotf-recorder.service"
DATA = "data"  # below the folder of releases: what the recorder writes
SETTINGS_FILE = Path("etc/ecotf/releases.toml")
CONFIG_FILE = Path("etc/ecotf/config.toml")


@dataclass(frozen=True)
class ReleaseSettings:
    """Everything that ``/etc/ecotf/releases.toml`` may set; without the file these values hold.

    Paths are as seen from ``root``, which is ``/`` on a recorder and a temporary folder in tests.
    """

    root: Path = Path("/")
    state_dir: str = "/var/lib/ecotf"
    data_dir: str = ""  # what config.toml calls state_dir; empty: "data" below state_dir
    trusted_dir: str = "/etc/ecotf/trusted"
    require_signature: bool = False  # written by init where a key is trusted; stays when the keys vanish
    # The first partition of a Raspberry Pi's card (newer and older place), and the root of the system.
    inboxes: tuple[str, ...] = ("/boot/firmware/ecotf/inbox", "/boot/ecotf/inbox", "/ecotf/inbox")
    keep: int = 3  # releases that stay besides the current and the previous one
    selftest_s: float = 300.0
    selftest_mb: int = 1024  # of address space
    start_s: float = 120.0  # from the restart until the recorder listens
    hold_s: float = 30.0  # how long it must then go on without a fault
    stale_s: float = 30.0  # a recorder that is well writes health.json every 10 s
    poll_s: float = 0.5
    reserve_mb: float = 16.0  # what must stay free after an upload
    system_mb: float = 100.0  # of memory that the rest of the system needs
    machine: str = ""  # as "uname -m" says it; empty: the board is asked
    memory_mb: float = 0.0  # for the recorder; 0: all of the board's but system_mb
    user: str = "ecotf"  # whom the self-test of a foreign model runs as
    restart: tuple[str, ...] = ("systemctl", "restart", SERVICE)
    active: tuple[str, ...] = ("systemctl", "is-active", "--quiet", SERVICE)
    selftest: tuple[str, ...] = (sys.executable, "-I", "-m", "ecotf_recorder", "selftest")
    check_config: tuple[str, ...] = (sys.executable, "-I", "-m", "ecotf_recorder", "check-config", "--config")

    @property
    def state(self) -> Path:
        """The folder with releases, which is root's."""
        return self.below_root(self.state_dir)

    @property
    def releases(self) -> Path:
        """The folder with a folder for each release, the journal and the lock."""
        return self.state / "releases"

    @property
    def health(self) -> Path:
        """What the recorder says of itself, in a folder that its user may change."""
        data = Path(self.data_dir)
        own = not self.data_dir or data == Path(self.state_dir)
        return (self.state / DATA if own else self.below_root(self.data_dir)) / "health.json"

    @property
    def trusted(self) -> Path:
        """The folder with public keys."""
        return self.below_root(self.trusted_dir)

    def below_root(self, path: str) -> Path:
        """A path of the recorder, below ``root``."""
        return self.root / path.lstrip("/")


def read_settings(root: Path) -> ReleaseSettings:
    """Read ``etc/ecotf/releases.toml`` below ``root``, if it is there; ``data_dir`` is what ``config.toml`` says.

    Raises
    ------
    ReleaseError
        It is no TOML, or a key is unknown or of the wrong type.
    """
    path = root / SETTINGS_FILE
    state_dir = _read(root / CONFIG_FILE).get("state_dir")
    said = {**({"data_dir": state_dir} if state_dir else {}), **_read(path)}
    known = {field.name: field for field in dataclasses.fields(ReleaseSettings) if field.name != "root"}
    checked: dict[str, Any] = {}
    for key, value in said.items():
        if key not in known:
            raise ReleaseError(f"{path}: no setting {key!r}; there are {', '.join(known)}")
        checked[key] = _checked(path, key, value, known[key].default)
    return ReleaseSettings(root=root, **checked)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ReleaseError(f"{path}: cannot be read ({error})") from None


def _checked(path: Path, key: str, value: Any, default: Any) -> Any:
    if isinstance(default, tuple):
        if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
            return tuple(value)
        raise ReleaseError(f"{path}: {key} is a list of words in quotes")
    if isinstance(default, str):
        if isinstance(value, str):
            return value
        raise ReleaseError(f"{path}: {key} is text in quotes")
    if isinstance(default, bool):
        if isinstance(value, bool):
            return value
        raise ReleaseError(f"{path}: {key} is true or false")
    whole = isinstance(default, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or value < 0:
        raise ReleaseError(f"{path}: {key} is a {'whole number' if whole else 'number'} from 0")
    return value
