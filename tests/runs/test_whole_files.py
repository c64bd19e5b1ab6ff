"""Files and folders that are whole or absent, whatever comes in between."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ecotf import files
from ecotf.errors import EcotfError
from ecotf.files import atomic_file, atomic_folder
from ecotf.runs import RunFolder

from .written import full_disk, leftovers

# Files that are whole or absent


def test_atomic_file_replaces_only_at_the_end(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with atomic_file(path) as partial:
        assert partial.suffix == ".txt" and partial.parent == path.parent
        partial.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"
    with pytest.raises(RuntimeError), atomic_file(path) as partial:
        partial.write_text("tw")
        raise RuntimeError("stopped")
    assert path.read_text() == "one"
    assert os.listdir(path.parent) == ["a.txt"]


def test_interrupt_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "model") as partial:
        (partial / "weights").write_text("half")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("exchanges", [True, False])
def test_atomic_folder_replaces_the_whole_folder(tmp_path, monkeypatch, exchanges):
    """In one step, or, on a file system that has no such step, in two."""
    path, rename = tmp_path / "model", os.rename
    if not exchanges:
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    elif not files._exchange(tmp_path, tmp_path):
        pytest.skip("this file system cannot exchange folders")
    moved: list[Path] = []
    monkeypatch.setattr(os, "rename", lambda one, other: (moved.append(Path(one)), rename(one, other)))
    for name in ("first", "second"):
        with atomic_folder(path) as partial:
            (partial / "sub").mkdir()
            (partial / "sub" / name).write_text(name)
    assert [entry.name for entry in path.rglob("*") if entry.is_file()] == ["second"]
    assert os.listdir(tmp_path) == ["model"]
    assert (path in moved) != exchanges, "with an exchange there is never none"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_really_full_device(tmp_path):
    path = tmp_path / "a.bin"
    with pytest.raises(EcotfError, match=re.escape(f"disk full while writing {path}")), atomic_file(path) as partial:
        partial.write_bytes(b"some of it")
        with open("/dev/full", "wb") as device:
            device.write(b"the rest")
    assert os.listdir(tmp_path) == []


def test_full_disk_found_at_fsync(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(EcotfError, match="disk full"), atomic_file(tmp_path / "a.bin") as partial:
        partial.write_bytes(b"x")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "error",
    [
        OSError("Can't write data (file write failed: errno = 28, error message = 'No space left on device')"),  # h5py
        RuntimeError("fwrite: No space left on device"),
    ],
)
def test_full_disk_in_the_words_of_a_library(tmp_path, error):
    with pytest.raises(EcotfError, match="disk full while writing"), atomic_file(tmp_path / "weights.h5") as partial:
        partial.write_bytes(b"x")
        raise error


def test_full_disk_without_any_word(tmp_path, monkeypatch):
    # numpy says only "65536 requested and 0 written"; the free space tells.
    class Usage:
        free = 0

    monkeypatch.setattr("ecotf.files.shutil.disk_usage", lambda path: Usage)
    with pytest.raises(EcotfError, match="disk full"), atomic_file(tmp_path / "a.npy"):
        raise OSError("65536 requested and 0 written")


def test_an_unrelated_error_keeps_its_own_words(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing\.wav"), atomic_file(tmp_path / "a.png"):
        (tmp_path / "missing.wav").read_bytes()


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(EcotfError, match=r"cannot be written \((Not a directory|File exists)\)"):
        RunFolder.create(tmp_path / "runs", "bats/field")
    with (
        pytest.raises(EcotfError, match="cannot be written"),
        atomic_file(tmp_path / "runs" / "sub" / "a.txt") as partial,
    ):
        partial.write_text("x")


def test_a_kill_in_the_middle_of_a_write(tmp_path):
    """SIGKILL cannot be caught: the old file must stand, and the next training clears the rest away."""
    run = RunFolder.create(tmp_path, "bats/field")
    run.write_text("metrics.json", "old")
    run.close()
    child = """
import os, signal, sys
from ecotf.runs import RunFolder
run = RunFolder.resume(sys.argv[1])
with run.writing("metrics.json") as partial:
    partial.write_text("ne")
    with run.writing("model", folder=True) as inner:
        (inner / "weights").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", child, str(run.path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert run.read_text("metrics.json") == "old"
    assert not run.has("model")
    assert len(leftovers(run.path)) == 2
    resumed = RunFolder.resume(run.path)  # also: the lock of the killed process is free
    assert leftovers(run.path) == []
    resumed.close()


# The run folder
