"""Where a run comes from, so that every process and every computer can load it for itself."""

from __future__ import annotations

import io
import tarfile
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ecotf.errors import ConfigError, EcotfError
from ecotf.runs.checksum import run_checksum
from ecotf.tasks.base import Run
from ecotf.tasks.loading import load_runs


class Source(Protocol):
    """What gives a run; it can be pickled."""

    def load(self) -> Run:
        """Load the run."""


@dataclass(frozen=True)
class RunSource:
    """One run, or several that answer together, on this computer.

    Attributes
    ----------
    paths
        Run folders, or one ``.tflite`` that ecotf exported.
    ensemble, fitted
        Of several, as `ecotf.tasks.loading.load_runs` takes them.
    """

    paths: tuple[str, ...]
    ensemble: str | None = None
    fitted: bool = False

    def load(self) -> Run:
        """Load the run; raises `ConfigError`."""
        if len(self.paths) == 1 and self.paths[0].endswith(".tflite"):
            from ecotf.inference.device_run import DeviceRun

            if self.ensemble is not None or self.fitted:
                raise ConfigError(
                    f"{self.paths[0]}: an exported file listens alone; leave out the weights of an ensemble"
                )
            return DeviceRun(self.paths[0])
        return load_runs(self.paths, self.ensemble, self.fitted)

    def packed(self) -> PackedSource:
        """Take the files along, for computers that do not have them."""
        packed = []
        for path in map(Path, self.paths):
            held = io.BytesIO()
            with tarfile.open(fileobj=held, mode="w") as archive:
                archive.add(path, path.name, filter=_needed)
            packed.append((run_checksum(path), held.getvalue()))
        return PackedSource(replace(self, paths=tuple(str(Path(path).resolve()) for path in self.paths)), packed)


@dataclass(frozen=True)
class PackedSource:
    """A source with its files: a checksum and a tar archive for each path."""

    source: RunSource
    packed: list[tuple[str, bytes]]

    def load(self) -> Run:
        """Load the run from where it lies, if it is the same there; else from the files that came along."""
        paths, rooms = [], []
        for path, (checksum, content) in zip(self.source.paths, self.packed, strict=True):
            if Path(path).exists() and run_checksum(Path(path)) == checksum:
                paths.append(path)
                continue
            room = tempfile.TemporaryDirectory(prefix="ecotf-run-")
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                archive.extractall(room.name, filter="data")
            rooms.append(room)
            paths.append(str(Path(room.name) / Path(path).name))
        try:
            return replace(self.source, paths=tuple(paths)).load()
        finally:
            for room in rooms:
                room.cleanup()


def _needed(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out what only a training needs, and pictures."""
    inside = Path(member.name).parts[1:]
    left_out = inside[:1] in {("state",), ("plots",), ("pictures",)} or member.name.endswith((".png", ".lock"))
    return None if left_out else member


def source_of(run: Run) -> RunSource:
    """Return where a run came from that was loaded by itself; raises `ConfigError` for runs that answer together."""
    if len(run.paths) != 1:
        raise ConfigError("several runs together: workers load them anew, so give the run folders with workers=")
    if not run.paths[0].exists():
        raise EcotfError(f"{run.paths[0]}: is gone; workers load the run from there")
    return RunSource((str(run.paths[0]),))
