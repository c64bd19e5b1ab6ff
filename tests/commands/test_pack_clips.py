"""Packing clips: what is in the file, what is merged and left out, a kill, and what is refused."""

import h5py
import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.audio.recording import open_recording
from ecotf.commands import pack_clips as module
from ecotf.commands.pack_clips import Packing, Row, pack_clips
from ecotf.datasets import make_manifest, read_manifest
from ecotf.errors import ConfigError, DataError

PACKING = Packing(8000, 0.5)


def sound(seed, seconds=0.4):
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * 8000)).clip(-1, 1)


def manifest_of(folder, *rows):
    """``rows``: recording, label, split, samples or None for no file."""
    for name, _, _, samples in rows:
        (folder / name).parent.mkdir(exist_ok=True)
        if samples is not None:
            soundfile.write(folder / name, samples, 8000, "FLOAT")
    table = pd.DataFrame([row[:3] for row in rows], columns=["recording", "label", "split"])
    return make_manifest(table.assign(start_s=0.0, end_s=np.nan), folder, "here")


def pack(manifest, folder, said=None, workers=1, packing=PACKING):
    log = (said if said is not None else []).append
    return pack_clips(manifest, folder / "clips.h5", packing, workers, log, lambda done, of: None)


def here(jobs, workers):
    """In this process."""
    for job in jobs:
        yield module._pack_one(job, lambda line: None)


def test_what_is_in_the_file(tmp_path):
    manifest = manifest_of(
        tmp_path,
        ("a/Y-1.wav", "dog", "train", sound(1)), ("a/Y-1.wav", "cat", "train", None),
        ("b/copy.wav", "bird", "train", sound(1)), ("b/long.wav", "", "test", sound(2, 0.8)),
        ("b/zero.wav", "dog", "train", np.zeros(100)), ("b/big.wav", "dog", "train", sound(3) * 20_000),
        ("b/none.wav", "frog", "train", None),
    )  # fmt: skip
    said: list[str] = []
    assert pack(manifest, tmp_path, said, workers=2) == 3
    packed = read_manifest(tmp_path / "clips.csv")
    rows = packed.table[["recording", "label", "split"]].itertuples(index=False, name=None)
    assert list(rows) == [
        ("clips.h5#Y-1.wav", "dog", "train"), ("clips.h5#Y-1.wav", "cat", "train"),
        ("clips.h5#Y-1.wav", "bird", "train"), ("clips.h5#long.wav", "", "test"),
    ]  # fmt: skip
    with h5py.File(tmp_path / "clips.h5") as file:
        assert file["audio_name"].dtype == "S20" and file["waveform"].dtype == np.int16
        assert [name.decode() for name in file["class_names"]] == ["bird", "cat", "dog"]
        assert file["target"][:].tolist() == [[True, True, True], [False, False, False]]
        expected = (sound(1).astype(np.float32) * 32767).astype(np.int16)
        np.testing.assert_array_equal(file["waveform"][0], np.pad(expected, (0, 800)))
        assert file.attrs["sample_rate"] == 8000
    assert open_recording(packed.path_of("clips.h5#long.wav")).duration_s == 0.5
    ledger = pd.read_csv(tmp_path / "clips.ledger.csv").fillna("")
    assert ledger["status"].tolist() == ["done", "done", "done", "silent", "corrupt", "failed"]
    assert "floating-point sound must lie within -1 and 1" in ledger["reason"][4]
    assert said[0].endswith("2 clips of 3 classes; 1 copies merged, 3 left out")
    assert said[-1] == "class 'frog' has no clip that can be packed"
    assert not (tmp_path / "clips.h5.partial").exists()


def test_a_killed_packing_goes_on(tmp_path, monkeypatch):
    manifest = manifest_of(tmp_path, *((f"{i}.wav", "dog", "", sound(i)) for i in range(4)))

    def killed(jobs, workers):
        yield from here(jobs[:2], workers)
        with (tmp_path / "clips.h5.partial/rows.int16").open("ab") as stream:
            stream.write(b"half of a row")
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_in_processes", killed)
    with pytest.raises(KeyboardInterrupt):
        pack(manifest, tmp_path)
    assert not (tmp_path / "clips.h5").exists()
    asked = []
    monkeypatch.setattr(module, "_in_processes", lambda jobs, workers: here(asked.extend(jobs) or jobs, workers))
    with pytest.raises(ConfigError, match="was begun with another rate, length or manifest"):
        pack(manifest, tmp_path, packing=Packing(8000, 1.0))
    pack(manifest, tmp_path)
    assert [job.recording for job in asked] == ["2.wav", "3.wav"]
    with h5py.File(tmp_path / "clips.h5") as file:
        for i in range(4):
            expected = (sound(i).astype(np.float32) * 32767).astype(np.int16)
            np.testing.assert_array_equal(file["waveform"][i][:3200], expected)
    with pytest.raises(DataError, match="is there already"):
        pack(manifest, tmp_path)


@pytest.mark.parametrize(
    ("names", "seeds", "said"),
    [
        (
            ("train/Y-1.wav", "eval/Y-1.wav"),
            (1, 2),
            r"'train/Y-1.wav' \(train\) and 'eval/Y-1.wav' \(test\) have one name",
        ),
        (("a.wav", "b.wav"), (1, 1), r"'a.wav' \(train\) and 'b.wav' \(test\) are one sound"),
    ],
)
def test_one_clip_on_two_sides_is_refused(tmp_path, monkeypatch, names, seeds, said):
    monkeypatch.setattr(module, "_in_processes", here)
    rows = zip(names, ("dog", "dog"), ("train", "test"), map(sound, seeds), strict=True)
    with pytest.raises(DataError, match=said):
        pack(manifest_of(tmp_path, *rows), tmp_path)


def test_nothing_to_pack_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_in_processes", here)
    with pytest.raises(DataError, match=r"none of 1 recordings can be packed; the first: a.wav: cannot be read"):
        pack(manifest_of(tmp_path, ("a.wav", "dog", "", None)), tmp_path)
    assert Row._fields == ("recording", "status", "reason", "digest")
