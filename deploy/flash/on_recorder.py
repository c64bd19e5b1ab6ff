"""Sets a recorder up; runs on the recorder itself, with nothing but Python. Safe to run again.

It is uploaded beside the wheels and prints one JSON line a step. The environment is built under a new name and switched
to in one step, so that a power cut, or a wheel that does not fit, leaves the recorder with the one it had.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGE = "ecotf-recorder"
USER = "ecotf"
STAMP = "ecotf-wheels.json"
SERVICES = ("ecotf-recorder.service", "ecotf-inbox.service")
MQTT = "ecotf-mqtt.service"


class SetupError(Exception):
    """One sentence saying why it cannot be set up."""


def main() -> int:
    """Do all steps; the status is 0, or 1 after a line with the reason."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, default=Path("/"))
    parser.add_argument("--from", dest="source", type=Path, required=True, help="folder with what was uploaded")
    parser.add_argument("--offline", action="store_true", help="only the uploaded wheels")
    options = parser.parse_args()
    os.umask(0o022)  # the recorder's user must be able to read it all
    try:
        Setup(options.root, options.source, options.offline).run()
    except (SetupError, OSError) as error:
        report("end", "failed", str(error))
        return 1
    return 0


def report(step: str, status: str, detail: str = "") -> None:
    """Print one line."""
    print(json.dumps({"step": step, "status": status, "detail": detail}), flush=True)


class Setup:
    """The steps, each of which finds out for itself whether there is anything to do."""

    def __init__(self, root: Path, source: Path, offline: bool) -> None:
        self.root = root
        self.source = source
        self.offline = offline
        self.real = str(root) == "/"
        self.environment = root / "opt/ecotf"

    def run(self) -> None:
        """All of them."""
        for step in (self.user, self.packages, self.words, self.settings, self.folders, self.service, self.tidy):
            report(step.__name__, "started")
            report(step.__name__, "ok", step())
        report("end", "done")

    def user(self) -> str:
        """A user who may do nothing but hear the microphone."""
        if not self.real:
            return "left as it is below another root"
        try:
            pwd.getpwnam(USER)
            said = "is there"
        except KeyError:
            command("useradd", "--system", "--user-group", "--home-dir", "/var/lib/ecotf", "--no-create-home",
                    "--shell", "/usr/sbin/nologin", USER)  # fmt: skip
            said = "made"
        command("usermod", "--append", "--groups", "audio", USER)
        return f"{USER} {said}"

    def packages(self) -> str:
        """The environment, built anew when the wheels are others than last time."""
        wheels = {path.name: sha256(path) for path in sorted(self.source.glob("*.whl"))}
        stamp = {"wheels": wheels, "python": sys.version}
        if self._works() and read_json(self.environment / STAMP) == stamp:
            return "up to date"
        new = Path(f"{self.environment}-{hashlib.sha256(os.urandom(16)).hexdigest()[:8]}")
        try:
            self._build(new)
            (new / STAMP).write_text(json.dumps(stamp), encoding="utf-8")
            os.sync()
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        self._switch(new)
        return ", ".join(
            name.split("-")[0] + " " + name.split("-")[1] for name in wheels if not name.startswith("pip-")
        )

    def words(self) -> str:
        """Let ``ecotf-recorder`` be a command for everybody, also behind sudo."""
        link, program = self.root / "usr/local/bin/ecotf-recorder", self.environment / "bin/ecotf-recorder"
        if link.is_symlink() and os.readlink(link) == str(program):
            return "as it was"
        if os.path.lexists(link):
            return f"{link} is something else, and stays"
        link.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(program, link)
        return str(link)

    def settings(self) -> str:
        """The config file, which is never overwritten unless another one is given, and trusted keys."""
        place = self.root / "etc/ecotf"
        (place / "trusted").mkdir(parents=True, exist_ok=True)
        said = []
        given, example, config = self.source / "config.toml", self.source / "config.example.toml", place / "config.toml"
        absent = ""
        if given.exists():
            python = str(self.environment / "bin/python")
            absent = command(python, "-I", "-m", "ecotf_recorder", "check-config", "--config", str(given), later=(1,))
        if given.exists() and not (config.exists() and config.read_bytes() == given.read_bytes()):
            if config.exists():
                shutil.copyfile(config, config.with_suffix(".toml.old"))
            install(given, config)
            said.append("config.toml replaced")
        elif not config.exists():
            install(example, config)
            said.append("config.toml made; please edit it")
        for key in sorted(self.source.glob("*.pub")):
            install(key, place / "trusted" / key.name)
            said.append(f"trusts {key.stem}")
        if absent:  # a card may be put in later
            said.append(absent.removeprefix(f"{given}: "))
        return ", ".join(said) or "as they were"

    def folders(self) -> str:
        """The folders for releases, detections and clips."""
        root = [] if self.real else ["--root", str(self.root)]
        if self.real:  # what it writes may move; service() starts it again
            subprocess.run(["systemctl", "stop", SERVICES[0]], capture_output=True, check=False)
        command(str(self.environment / "bin/python"), "-I", "-m", "ecotf_recorder.releases", *root, "init")
        return str(self.root / "var/lib/ecotf")

    def service(self) -> str:
        """The units, enabled; the recorder is started where it has a release."""
        place = self.root / "etc/systemd/system"
        for unit in sorted(self.source.glob("*.service")):
            install(unit, place / unit.name)
        install(self.source / "releases.conf", place / "ecotf-recorder.service.d/releases.conf")
        if not self.real:
            return "written"
        command("systemctl", "daemon-reload")
        command("systemctl", "enable", "--quiet", *SERVICES)
        subprocess.run(["systemctl", "try-restart", MQTT], capture_output=True, check=False)  # if it runs
        if not (self.root / "var/lib/ecotf/current").exists():
            return "enabled; it starts with the first bundle"
        command("systemctl", "restart", SERVICES[0])
        return "enabled and started"

    def tidy(self) -> str:
        """Remove older environments, which nothing runs from any more."""
        used = self.environment.resolve()
        old = [path for path in used.parent.glob("ecotf-????????") if path != used]
        for path in old:
            shutil.rmtree(path, ignore_errors=True)
        return f"{len(old)} older environments removed"

    def _works(self) -> bool:
        python = self.environment / "bin/python"
        return python.exists() and not subprocess.run(
            [python, "-I", "-c", "import numpy, ecotf_recorder.releases"], capture_output=True, check=False
        ).returncode  # fmt: skip

    def _build(self, new: Path) -> None:
        # An uploaded pip runs from its wheel; then python3-venv, which Debian's Python lacks, is not needed.
        pips = sorted(self.source.glob("pip-*.whl"))
        if not pips and importlib.util.find_spec("ensurepip") is None:
            raise SetupError(
                "this Python cannot make environments; on the recorder: sudo apt install python3-venv, or add --offline"
            )
        command(sys.executable, "-m", "venv", *(["--without-pip"] if pips else []), str(new))
        python = str(new / "bin/python")
        pip = [python, str(pips[-1] / "pip")] if pips else [python, "-m", "pip"]
        where = ["--find-links", str(self.source), *(["--no-index"] if self.offline else [])]
        wheel = next(self.source.glob("ecotf_recorder-*.whl"))
        # The service ecotf-mqtt needs one package more. A folder of wheels of somebody's own may lack it.
        mqtt = "[mqtt]" if not self.offline or any(self.source.glob("paho_mqtt-*.whl")) else ""
        command(*pip, "install", "--quiet", "--disable-pip-version-check", "--no-input", *where, f"{wheel}{mqtt}")
        command(python, "-I", "-c", "import numpy, ecotf_recorder.releases")

    def _switch(self, new: Path) -> None:
        if self.environment.exists() and not self.environment.is_symlink():
            os.rename(self.environment, f"{self.environment}-by-hand")
        partial = Path(f"{new}.link")
        os.symlink(new.name, partial)
        os.replace(partial, self.environment)


def command(*words: str, later: tuple[int, ...] = ()) -> str:
    """Run a command; its last words are the reason when it fails, or the answer when its status is in ``later``."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode in later:
        return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ""
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}").splitlines()
        # pip's reason begins with ERROR and is not its last line.
        reasons = [line for line in lines if line.startswith("ERROR")] or lines
        raise SetupError(f"{Path(words[0]).name} {' '.join(words[1:4])}: {reasons[-1]}")
    return ""


def install(source: Path, target: Path) -> None:
    """Copy a file so that it is whole or absent."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".partial-{target.name}")
    shutil.copyfile(source, partial)
    partial.chmod(0o644)
    os.replace(partial, target)


def sha256(path: Path) -> str:
    """Of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_json(path: Path) -> object:
    """Read a JSON file, or return None."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


if __name__ == "__main__":
    sys.exit(main())
