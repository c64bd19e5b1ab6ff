"""Rows that only grow: whole after a kill, a power cut and a full disk."""

import doctest
import errno
import os
import signal
import subprocess
import sys

import pytest

from ecotf import append_only
from ecotf.append_only import AppendOnly, csv_rows
from ecotf.errors import ConfigError, DiskFullError, EcotfError
from ecotf.files import atomic_file, atomic_folder

HEADER = b"recording,status\n"


def test_the_examples():
    assert doctest.testmod(append_only).failed == 0


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("torn", [b"", b"b.wav,do", b"b", b"\0\0\0", b"for\xeat,don"])
def test_what_a_kill_cut_off_is_dropped(tmp_path, quoted, torn):
    path = tmp_path / "new" / "rows.csv"
    AppendOnly(path, HEADER, quoted).append(b"a.wav,done\n")
    with path.open("ab") as stream:
        stream.write(torn)
    file = AppendOnly(path, HEADER, quoted)
    assert path.read_bytes() == HEADER + b"a.wav,done\n"
    file.append(b"c.wav,done\n")
    assert list(file.rows()) == [b"a.wav,done\n", b"c.wav,done\n"] and file.header() == HEADER


@pytest.mark.parametrize("cut", range(1, 19))
def test_a_row_with_line_ends_is_whole_or_absent(tmp_path, cut):
    """A file may be called so that its name has a line end and a quotation mark in it."""
    path, odd = tmp_path / "rows.csv", csv_rows([('od"d\n.wav', "done")])
    AppendOnly(path, HEADER, quoted=True).append(b"a.wav,done\n" + odd)
    assert list(AppendOnly(path, HEADER, quoted=True).rows()) == [b"a.wav,done\n", odd]
    os.truncate(path, path.stat().st_size - cut)
    assert list(AppendOnly(path, HEADER, quoted=True).rows()) == [b"a.wav,done\n"]


def test_a_file_that_was_cut_in_its_header_begins_anew(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(HEADER[:5])
    assert AppendOnly(path, HEADER).header() == HEADER


def test_a_quotation_mark_of_somebody_else_drops_no_rows(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(HEADER + b'"a.wav,done\nb.wav,done\nc.wav,done\n')
    with pytest.raises(ConfigError, match="line 2 has a quotation mark without a partner"):
        AppendOnly(path, HEADER, quoted=True)
    assert path.read_bytes().count(b"\n") == 4


def test_a_killed_writer(tmp_path):
    path = tmp_path / "rows.csv"
    child = """
import os, signal, sys
from ecotf.append_only import AppendOnly
file = AppendOnly(sys.argv[1], b"number\\n")
for number in range(100):
    file.append(b"%d\\n" % number)
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", child, str(path)], check=False).returncode == -signal.SIGKILL
    assert list(map(int, AppendOnly(path, b"number\n").rows())) == list(range(100))


@pytest.mark.parametrize("kind", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_failed_append_leaves_whole_rows(tmp_path, monkeypatch, kind):
    file = AppendOnly(tmp_path / "rows.csv", HEADER)
    file.append(b"a.wav,done\n")
    with monkeypatch.context() as patch:

        def fail(descriptor):
            raise OSError(kind, os.strerror(kind))

        patch.setattr(os, "fsync", fail)
        with pytest.raises(EcotfError if kind == errno.EIO else DiskFullError, match=r"rows\.csv"):
            file.append(b"b.wav,done\n")
    assert list(file.rows()) == [b"a.wav,done\n"]
    file.append(b"c.wav,done\n")
    file.take_back(b"c.wav,done\n")
    assert list(file.rows()) == [b"a.wav,done\n"]


def test_a_file_that_vanished_is_missed(tmp_path):
    file = AppendOnly(tmp_path / "rows.csv", HEADER)
    file.path.unlink()
    with pytest.raises(EcotfError, match=r"rows\.csv: is gone"):
        file.append(b"a.wav,done\n")


def test_rows_that_are_kept(tmp_path):
    file = AppendOnly(tmp_path / "rows.csv", HEADER)
    file.append(b"a,done\nb,failed\nc,done\n")
    file.keep(lambda row: b"done" in row)
    assert file.path.read_bytes() == HEADER + b"a,done\nc,done\n"


@pytest.mark.parametrize(
    "name", ["夜间录音" * 20 + ".wav.weights.h5", "x" * 252 + ".wa", os.fsdecode(b"\xea" * 251 + b".wav")]
)
def test_the_partial_of_a_long_name_is_no_longer(tmp_path, name):
    with atomic_file(tmp_path / name) as partial:
        assert len(os.fsencode(partial.name)) <= 255 and partial.name[-3:] == name[-3:]
        partial.write_text("x")
    for _ in range(2):
        with atomic_folder(tmp_path / f"{name[:-3]}dir") as partial:
            (partial / "x").touch()
    assert sorted(os.listdir(tmp_path)) == sorted([name, f"{name[:-3]}dir"])
