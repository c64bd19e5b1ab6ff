"""The difference between two models: found on the workstation, put together on the recorder, believed by neither."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from ecotf_recorder.releases import delta as on_recorder
from ecotf_recorder.releases.blocks import Blocks, BlocksError, block_bytes, hash_blocks, rolling_hashes, strong_hash
from ecotf_recorder.releases.bundle import Bundle, BundleFile, ReleaseError
from ecotf_recorder.releases.delta import DELTA, INSTRUCTION, LITERAL, assemble
from ecotf_recorder.releases.settings import ReleaseSettings
from ecotf_recorder.releases.store import ReleaseStore
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.flash import delta as here
from deploy.flash.delta import write_delta
from deploy.flash.errors import NoDelta

BASE = "0123456789ab"


class Place:
    """A recorder with one model, and an upload that is to become another."""

    def __init__(self, folder: Path, base: bytes, new: bytes) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.settings = ReleaseSettings(root=folder, reserve_mb=0)
        self.store = ReleaseStore(self.settings)
        self.base = self.store.folder(BASE) / "model.tflite"
        self.part, self.model, self.new = self.store.releases / "new.part", folder / "new", new
        for parent in (self.base.parent, self.part):
            parent.mkdir(parents=True)
        self.base.write_bytes(base)
        self.model.write_bytes(new)
        file = BundleFile("model.tflite", hashlib.sha256(new).hexdigest(), len(new))
        self.bundle = Bundle(self.part, file.sha256[:12], "bats/field", "", (file,), b"{}")

    def send(self, blocks: Blocks | None = None) -> int:
        """Write the delta; its bytes."""
        return write_delta(self.part / DELTA, self.model, blocks or hash_blocks(self.base), BASE)

    def write(self, *instructions: tuple[int, int], literal: bytes = b"", header: bytes = b"") -> None:
        """Write a delta by hand."""
        said = header or json.dumps({"format": 1, "base": BASE}).encode()
        steps = b"".join(INSTRUCTION.pack(*each) for each in instructions)
        (self.part / DELTA).write_bytes(gzip.compress(said + b"\n" + steps + literal))

    def assemble(self) -> bytes:
        """Do what the recorder does; the model that it gets."""
        assemble(self.settings, self.store, self.bundle)
        assert not (self.part / DELTA).exists()
        return (self.part / "model.tflite").read_bytes()


def noise(size: int, seed: int) -> bytes:
    return np.random.default_rng(seed).bytes(size)


@st.composite
def edited(draw: st.DrawFn) -> tuple[bytes, bytes, int]:
    """A file, the file after some edits, and how many bytes of it the first lacks at most."""
    size = draw(st.integers(0, 30_000))
    content = bytes(size) if draw(st.booleans()) else noise(size, draw(st.integers(0, 99)))
    new, edits = bytearray(content), draw(st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=40)), max_size=4))
    for at, what in edits:
        start = int(at * len(new))
        if draw(st.booleans()):
            new[start : start + draw(st.integers(0, 900))] = what
        else:
            new[start:start] = what
    return content, bytes(new), sum(len(what) + 2 * block_bytes(size) for _, what in edits)


@given(edited())
@settings(max_examples=60, deadline=None)
def test_what_comes_out_is_the_new_file(tmp_path_factory, files):
    base, new, lacking = files
    place = Place(tmp_path_factory.getbasetemp() / "edited", base, new)
    sent = place.send()
    assert sent < lacking + block_bytes(len(base)) + 300
    assert place.assemble() == new


@pytest.mark.parametrize(
    ("base", "new"),
    [
        (b"", b""), (b"", noise(5000, 1)), (noise(5000, 1), b""), (noise(300_000, 1), noise(300_000, 2)),
        (noise(255, 1), noise(255, 1)), (bytes(9000), bytes(4000) + b"x" + bytes(4999)),
        (noise(40_000, 1), b"".join(noise(40_000, 1)[at : at + 4000] for at in range(36_000, -1, -4000))),
    ],
    ids=["both empty", "empty base", "empty new", "unrelated", "less than a block", "zeros", "other order"],
)  # fmt: skip
def test_files_at_the_edges(tmp_path, base, new):
    place = Place(tmp_path / "r", base, new)
    place.send()
    assert place.assemble() == new


@pytest.mark.parametrize("at", [0, 1, 4095, 150_001, 299_999, 300_000])
def test_an_insertion_anywhere_costs_two_blocks(tmp_path, at):
    base = noise(300_000, 1)
    place = Place(tmp_path / "r", base, base[:at] + b"a class more" + base[at:])
    assert place.send() < 3 * block_bytes(300_000) + 200
    assert place.assemble() == place.new


def test_windows_do_not_hide_blocks(tmp_path, monkeypatch):
    """Blocks over the edges of windows and of pieces; memory is that of a window."""
    monkeypatch.setattr(here, "_LEAST_WINDOW", 7)
    monkeypatch.setattr(here, "_MOST_WINDOW", 61)
    base = noise(20_000, 1)
    place = Place(tmp_path / "r", base, noise(997, 2) + base[3:9000] + noise(501, 3) + base[9000:])
    assert place.send() < 1498 + 5 * 256 + 200
    assert place.assemble() == place.new


def test_both_ways_to_the_weak_hash_agree(tmp_path):
    content = noise(3000, 1)
    (tmp_path / "file").write_bytes(content)
    blocks = hash_blocks(tmp_path / "file")
    rolling = rolling_hashes(np.frombuffer(content, np.uint8), blocks.block)
    assert len(rolling) == 3000 - blocks.block + 1 and len(set(rolling.tolist())) == len(rolling)
    assert blocks.weak.tolist() == rolling[:: blocks.block].tolist()
    assert blocks.strong[:8] == strong_hash(content[: blocks.block])
    again = Blocks.from_json(json.loads(json.dumps(blocks.to_json())))
    assert (again.size, again.strong, again.weak.tolist()) == (3000, blocks.strong, blocks.weak.tolist())


@pytest.mark.parametrize(
    "said",
    [
        {}, {"size": -1, "hashes": ""}, {"size": True, "hashes": ""}, {"size": 3000, "hashes": "AAAA"},
        {"size": 1 << 80, "hashes": ""}, {"size": 3000, "hashes": "a?"}, {"size": 3000, "hashes": "\u00e9"},
        {"size": 0.5, "hashes": []},
    ],
)  # fmt: skip
def test_a_recorder_may_say_anything(said):
    with pytest.raises(BlocksError):
        Blocks.from_json(said)


def test_hashes_that_fit_everywhere_do_not_keep_us(tmp_path, monkeypatch):
    monkeypatch.setattr(here, "_MOST_IN_VAIN", 1 << 20)
    place = Place(tmp_path / "r", noise(300_000, 1), bytes(3_000_000))
    true = hash_blocks(place.base)
    everywhere = int(rolling_hashes(np.zeros(true.block, np.uint8), true.block)[0])
    lying = dataclasses.replace(true, weak=np.full_like(true.weak, everywhere))
    with pytest.raises(NoDelta, match="fit where the blocks do not"):
        place.send(lying)


def test_a_base_that_is_not_what_the_recorder_said(tmp_path):
    place = Place(tmp_path / "r", noise(30_000, 1), noise(30_000, 1) + b"more")
    place.send()
    place.base.write_bytes(noise(30_000, 9))
    with pytest.raises(ReleaseError, match="what it gives is not the model of the bundle"):
        place.assemble()


@pytest.mark.parametrize(
    ("instructions", "literal", "reason"),
    [
        ([(0, 5001)], b"", "instruction 1 cannot be followed"),
        ([(LITERAL - 1, 2)], b"", "instruction 1 cannot be followed"),
        ([(0, 10), (0, 0)], b"", "instruction 2 cannot be followed"),
        ([(0, 5000)] * 3, b"", "gives more than the 6000 bytes"),
        ([(LITERAL, LITERAL)], bytes(7000), "gives more than the 6000 bytes"),
        ([(LITERAL, 6000)], bytes(100), "damaged or cut off"),
        ([(0, 5000)], b"short", "damaged or cut off"),
        ([(0, 5000)], b"", "is not the model of the bundle"),
        ([(0, 1)] * 50, b"", "instruction 41 cannot be followed"),
    ],
)
def test_a_workstation_may_ask_for_anything(tmp_path, monkeypatch, instructions, literal, reason):
    """Not for other files, not for more room, not for endless work."""
    monkeypatch.setattr(on_recorder, "MOST_INSTRUCTIONS", 40)
    place = Place(tmp_path / "r", noise(5000, 1), noise(6000, 2))
    place.write(*instructions, literal=literal)
    with pytest.raises(ReleaseError, match=reason):
        place.assemble()
    assert (place.part / "model.tflite").stat().st_size <= 6000


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b'{"format": 1, "base": "../../etc"}', "of a kind that this recorder does not know"),
        (b'{"format": 2, "base": "0123456789ab"}', "of a kind that this recorder does not know"),
        (b'{"format": 1, "base": "ffffffffffff"}', "ffffffffffff, from which the delta is made, is not on the"),
        (b"[" * 999, "damaged or cut off"), (b"7", "damaged or cut off"), (b"\xff", "damaged or cut off"),
    ],
)  # fmt: skip
def test_a_delta_from_nowhere(tmp_path, header, reason):
    place = Place(tmp_path / "r", noise(5000, 1), noise(6000, 2))
    place.write(header=header)
    with pytest.raises(ReleaseError, match=reason):
        place.assemble()


def test_files_that_are_no_deltas(tmp_path):
    place = Place(tmp_path / "r", noise(5000, 1), noise(6000, 2))
    place.send()
    whole = (place.part / DELTA).read_bytes()
    for damaged in (b"", b"no gzip", whole[:40], whole[:-9], whole[:100] + bytes(50) + whole[150:]):
        (place.part / DELTA).write_bytes(damaged)
        (place.part / "model.tflite").unlink(missing_ok=True)
        with pytest.raises(ReleaseError, match="damaged or cut off"):
            place.assemble()
    (place.part / DELTA).unlink()
    os.mkfifo(place.part / DELTA)
    with pytest.raises(ReleaseError, match="a link or a folder where a file should be"):
        place.assemble()


def test_a_full_disk(tmp_path):
    place = Place(tmp_path / "r", noise(5000, 1), noise(6000, 2))
    place.send()
    place.settings = dataclasses.replace(place.settings, reserve_mb=1e9)
    with pytest.raises(ReleaseError, match="disk full"):
        place.assemble()
