"""What the tests of flashing share: bundles, and a recorder in a temporary folder with a stand-in for systemd."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
import venv
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pip
import pytest

ROOT = Path(__file__).parents[2]
RECORDER = ROOT / "deploy" / "recorder"
for place in (ROOT, RECORDER, Path(__file__).parent):
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))

import fake_service  # noqa: E402
from local_sshd import LocalSshd, start_sshd  # noqa: E402

from deploy.flash.wheels import build_recorder_wheel  # noqa: E402

# As systemctl is-active and as ecotf_recorder selftest; a process that nobody has reaped yet is not active.
IS_ACTIVE = 'read -r line < "/proc/$(cat "$0")/stat" && case "$line" in *") Z "*) exit 1;; esac'
SELFTEST = 'case "$(cat "$0")" in wrong*) echo "golden outputs differ by 0.25"; exit 1;; esac; echo "they agree"'

BundleMaker = Callable[..., Path]


@pytest.fixture
def make_bundle(tmp_path: Path) -> BundleMaker:
    """Bundles whose model's first word says how the stand-in recorder behaves: good, wrong, crashing, failing, mute."""

    def make(content: str = "good 1", name: str = "bats/field", parent: Path | None = None) -> Path:
        model = content.encode()
        sha256 = hashlib.sha256(model).hexdigest()
        folder = (parent or tmp_path / "bundles") / sha256[:12]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.tflite").write_bytes(model)
        said = {
            "format": 1, "id": sha256[:12], "name": name, "created": "2026-06-21T22:15:00", "sample_rate_hz": 384000,
            "files": {"model.tflite": {"sha256": sha256, "bytes": len(model)}},
            "needs": {"runtime": "tflite-runtime>=2.14", "operators": [["CONV_2D", 3]]},
        }  # fmt: skip
        (folder / "bundle.json").write_text(json.dumps(said))
        return folder

    return make


@dataclass
class FakeRecorder:
    """A recorder's file system in a folder."""

    root: Path
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state = self.root / "var/lib/ecotf"
        self.releases = self.state / "releases"
        said = {
            "restart": self._service("restart"),
            "active": ["sh", "-c", IS_ACTIVE, str(self.state.parent / "fake.pid")],
            "selftest": ["sh", "-c", SELFTEST],
            "user": "", "poll_s": 0.05, "hold_s": 0.2, "start_s": 10.0, "stale_s": 5.0, "reserve_mb": 1.0,
            **self.settings,
        }  # fmt: skip
        place = self.root / "etc/ecotf/releases.toml"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in said.items()))

    def run(self, *arguments: str, kill_at: str = "") -> tuple[int, list[dict[str, Any]]]:
        """Run the release manager; its exit status and its lines."""
        done = self.start(*arguments, kill_at=kill_at)
        output, complaint = done.communicate(timeout=60)
        assert not complaint, complaint
        return done.returncode, [json.loads(line) for line in output.splitlines()]

    def start(self, *arguments: str, kill_at: str = "") -> subprocess.Popen[str]:
        """Start the release manager."""
        environment = {**os.environ, "PYTHONPATH": str(RECORDER), "ECOTF_KILL_AT": kill_at}
        return subprocess.Popen(
            [sys.executable, "-m", "ecotf_recorder.releases", "--root", str(self.root), *arguments],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def upload(self, bundle: Path) -> list[str]:
        """Do what the workstation does before it says apply; returns the arguments of apply."""
        part = self.releases / f"{bundle.name}-{uuid.uuid4().hex[:8]}.part"
        shutil.copytree(bundle, part)
        return ["apply", bundle.name, "--part", str(part)]

    def install(self, bundle: Path) -> None:
        """Let it have run ``bundle`` for long, without flashing."""
        shutil.copytree(bundle, self.releases / bundle.name)
        (self.state / "current").symlink_to(f"releases/{bundle.name}")
        assert fake_service.restart(self.root, self.state) == 0

    def flash(self, bundle: Path, kill_at: str = "") -> tuple[int, dict[str, Any]]:
        """Upload and apply; the exit status and the last line."""
        status, lines = self.run(*self.upload(bundle), kill_at=kill_at)
        return status, lines[-1] if lines else {}

    def cut_power(self) -> None:
        fake_service.stop(self.root, self.state)

    def kill_manager(self) -> None:
        """SIGKILL to the release manager that says it has the lock, if it is one of this recorder."""
        pid = (self.releases / ".lock").read_text().strip()
        if pid.isdecimal() and fake_service.is_of(int(pid), self.root):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)

    def boot(self) -> int:
        """Start the service as systemd does, after its ExecStartPre, which recovers."""
        assert self.run("recover")[0] == 0
        return fake_service.restart(self.root, self.state)

    def _service(self, command: str) -> list[str]:
        return [sys.executable, "-S", "-E", fake_service.__file__, str(self.root), command]

    def pointed(self, link: str) -> str | None:
        path = self.state / link
        return os.readlink(path).rsplit("/", 1)[1] if path.is_symlink() else None

    def running(self) -> str | None:
        """The model that the service has, by what it says of itself."""
        return json.loads((self.state / "data" / "health.json").read_text())["release"]

    def is_whole(self, release_id: str | None) -> bool:
        if release_id is None:
            return False
        model = self.releases / release_id / "model.tflite"
        return model.exists() and hashlib.sha256(model.read_bytes()).hexdigest().startswith(release_id)


@pytest.fixture
def make_recorder(tmp_path: Path) -> Iterator[Callable[..., FakeRecorder]]:
    made: list[FakeRecorder] = []

    def make(name: str = "device", **settings: Any) -> FakeRecorder:
        recorder = FakeRecorder(tmp_path / name, settings)
        recorder.releases.mkdir(parents=True)
        (recorder.root / "etc/ecotf/trusted").mkdir()
        made.append(recorder)
        return recorder

    yield make
    for recorder in made:
        recorder.cut_power()


@pytest.fixture
def recorder(make_recorder: Callable[..., FakeRecorder]) -> FakeRecorder:
    return make_recorder()


@pytest.fixture(scope="session")
def recorder_environment(tmp_path_factory) -> Path:
    """What init makes as /opt/ecotf, with the recorder's sources in place of its wheel."""
    folder = tmp_path_factory.mktemp("opt") / "ecotf"
    venv.create(folder, with_pip=False, symlinks=True)
    packages = next((folder / "lib").glob("python3*/site-packages"))
    (packages / "recorder.pth").write_text(f"{RECORDER}\n")
    for part in Path(np.__file__).parents[1].glob("numpy*"):
        (packages / part.name).symlink_to(part)
    return folder


@pytest.fixture
def make_device(make_recorder, recorder_environment: Path) -> Callable[..., FakeRecorder]:
    """Recorders that can be flashed over ssh: their folder goes to --root."""

    def make(name: str = "device", **settings: Any) -> FakeRecorder:
        recorder = make_recorder(name, **settings)
        (recorder.root / "opt").mkdir()
        (recorder.root / "opt/ecotf").symlink_to(recorder_environment)
        return recorder

    return make


@pytest.fixture(scope="module")
def sshd(tmp_path_factory) -> Iterator[LocalSshd]:
    server = start_sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    server.stop()


@pytest.fixture
def run_flash_device(capsys, monkeypatch) -> Callable[..., tuple[int, str, str]]:
    """The command as a user runs it; its status, what it printed, and what it complained of."""
    from deploy.flash.command import main
    from ecotf.commands import console
    from ecotf.commands.console import run_command

    monkeypatch.setattr(console.console, "width", 240)

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            run_command(main, [str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return int(ended.value.code), said.out, said.err

    return run


@pytest.fixture(scope="session")
def recorder_wheel(tmp_path_factory) -> Path:
    return build_recorder_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def packages(tmp_path: Path, recorder_wheel: Path, monkeypatch) -> Path:
    """Stand-ins for the recorder's requirements, and this environment's pip, so that nothing is downloaded."""

    def built(folder: Path) -> Path:
        return Path(shutil.copy(recorder_wheel, folder))

    for module in ("setting_up", "image.preparing"):
        monkeypatch.setattr(f"deploy.flash.{module}.build_recorder_wheel", built)
    folder = tmp_path / "packages"
    folder.mkdir()
    for name, version in (("numpy", "1.26.4"), ("tflite_runtime", "2.14.0"), ("paho_mqtt", "2.2.0")):
        info = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}/__init__.py", "")
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    here = Path(pip.__file__).parent
    with zipfile.ZipFile(folder / f"pip-{pip.__version__}-py3-none-any.whl", "w") as wheel:
        for path in [*here.rglob("*"), *next(here.parent.glob("pip-*.dist-info")).rglob("*")]:
            if "__pycache__" not in path.parts:
                wheel.write(path, path.relative_to(here.parent))
    return folder
