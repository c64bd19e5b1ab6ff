"""Recordings and options that cannot be: one clear line each, no traceback, the other files go on."""

import contextlib
import errno
import io
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.commands import run_classifier
from ecotf.commands.console import run_command

from .commands import RATE, cut, error_of, left_over, outcome, sound


def make_bad_night(folder: Path) -> None:
    """One recording that is well, and every way in which others are not."""
    folder.mkdir()
    good = sound()
    for name in ("good.wav", "truncated.wav", "locked.wav"):
        soundfile.write(folder / name, good, RATE, subtype="PCM_16")
    cut(folder / "truncated.wav", 0.5)
    soundfile.write(folder / "truncated.flac", good, RATE, subtype="PCM_16")
    cut(folder / "truncated.flac", 0.5)
    soundfile.write(folder / "header_only.wav", good[:0], RATE, subtype="PCM_16")
    (folder / "zero_bytes.wav").touch()
    (folder / "text.wav").write_text("the battery was changed on Tuesday\n")
    (folder / "notes.txt").write_text("the battery was changed on Tuesday\n")
    soundfile.write(folder / "flac_inside.wav", good, RATE, format="FLAC", subtype="PCM_16")
    soundfile.write(folder / "silent.wav", np.zeros_like(good), RATE, subtype="PCM_16")
    broken = good.copy()
    broken[50_000] = np.nan
    soundfile.write(folder / "nan.wav", broken, RATE, subtype="FLOAT")
    soundfile.write(folder / "all_nan.wav", np.full_like(good, np.nan), RATE, subtype="FLOAT")
    soundfile.write(folder / "short.wav", good[:1000], RATE, subtype="PCM_16")
    soundfile.write(folder / "audible.wav", good[:40_000], 44_100, subtype="PCM_16")
    (folder / "gone.wav").symlink_to(folder / "carried_away.wav")
    os.mkfifo(folder / "pipe.wav")
    soundfile.write(folder / "zz_good_too.wav", sound(seed=1), RATE, subtype="PCM_16")


EXPECTED = {
    "good.wav": ("done", ""),
    "zz_good_too.wav": ("done", ""),
    "flac_inside.wav": ("done", ""),  # read by its content
    "silent.wav": ("silent", "every sample is the same"),
    "short.wav": ("short", "3.9 ms long; at least"),
    "zero_bytes.wav": ("corrupt", "empty file (0 bytes)"),
    "header_only.wav": ("corrupt", "no sound (0 samples)"),
    "truncated.wav": ("corrupt", "truncated: its header promises 0.400 s of sound, it holds 0.200 s"),
    "truncated.flac": ("corrupt", "truncated: its header promises 0.400 s of sound, it holds 0.2"),
    "text.wav": ("corrupt", "is not a sound file that can be read"),
    "nan.wav": ("corrupt", "the sample at 0.195312 s is not a number"),
    "all_nan.wav": ("corrupt", "the sample at 0.000000 s is not a number"),
    "notes.txt": ("unsupported", "allowed: WAV, FLAC, OGG, MP3"),
    "audible.wav": ("unsupported", "needs a sample rate of at least 232600 Hz; this is 44100 Hz"),
    "locked.wav": ("failed", "cannot be read (Permission denied)"),
    "pipe.wav": ("failed", "is not an ordinary file"),
}


@contextlib.contextmanager
def unreadable(path: Path):
    """Take the right to read a file; from root, who may read everything, by refusing to open it."""
    path.chmod(0)
    opened = Path.open

    def refuse(self, *arguments, **options):
        if self == path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(self, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        if os.geteuid() == 0:
            patch.setattr(Path, "open", refuse)
        yield


@pytest.fixture(scope="module")
def classified(model, tmp_path_factory):
    """The bad night, classified once: its folder, the output folder, exit status, and what was printed."""
    place = tmp_path_factory.mktemp("classified")
    night, output = place / "night", place / "detections"
    make_bad_night(night)
    arguments = [str(night), str(night / "notes.txt"), "--model", str(model), "--output", str(output)]
    out, err = io.StringIO(), io.StringIO()
    with (
        unreadable(night / "locked.wav"),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as exit,
    ):
        run_command(run_classifier.main, [*arguments, "--formats", "csv,raven"])
    ledger = pd.read_csv(output / "ledger.csv", keep_default_na=False).set_index("recording")
    ledger.index = [Path(name).name for name in ledger.index]
    return night, output, exit.value.code, out.getvalue(), err.getvalue(), ledger


@pytest.mark.parametrize("name", EXPECTED)
def test_every_file_is_accounted_for(classified, name):
    night, _, _, out, _, ledger = classified
    status, reason = EXPECTED[name]
    assert ledger.loc[name, "status"] == status
    assert reason in ledger.loc[name, "reason"] and bool(reason) == bool(ledger.loc[name, "reason"])
    said = [line for line in out.splitlines() if line.startswith(f"{night / name}: ")]
    assert said == ([f"{night / name}: {status}: {ledger.loc[name, 'reason']}"] if reason else [])


def test_the_others_go_on(classified):
    _, output, status, out, err, ledger = classified
    assert status == 1 and err == "1 file passed over: links to nothing\n" and "Traceback" not in out
    assert sorted(ledger.index) == sorted(EXPECTED)
    assert re.search(r"recordings: 3 done, 1 short, 1 silent, 7 corrupt, 2 unsupported, 2 failed", out)
    assert left_over(output) == []
    tables = {path.name for path in output.iterdir()} - {"ledger.csv", "detections.csv", "job.json", "job.jsonl"}
    fine = [name for name, (status, _) in EXPECTED.items() if status in ("done", "silent")]
    assert tables == {f"{Path(name).stem}.selections.txt" for name in fine}


def test_nothing_but_bad_files(model, tmp_path, capsys):
    (tmp_path / "a.wav").touch()
    status, out, _ = outcome(capsys, run_classifier.main, tmp_path, "--model", model, "--output", tmp_path / "out")
    assert status == 2 and "a.wav: corrupt: empty file (0 bytes)" in out
    assert left_over(tmp_path) == []


def test_no_recordings_at_all(model, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    arguments = (tmp_path / "empty", tmp_path / "gone", tmp_path / "*.flac", "--model", model)
    status, _, err = outcome(capsys, run_classifier.main, *arguments, "--output", tmp_path / "out")
    assert status == 2
    *reasons, error = err.splitlines()
    assert error == "error: no recording to classify"
    assert [line.partition(": ")[2].partition(";")[0] for line in reasons] == [
        "no recordings in this folder", "no such file or folder", "this pattern matches no recording",
    ]  # fmt: skip
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--channel", "0", "counted from 1"),
        ("--channel", "left", "'left': allowed are mix, each"),
        ("--time-expansion", "0", "a factor above 0"),
        ("--time-expansion", "nan", "a factor above 0"),
        ("--threshold", "50", "from 0 to 1"),
        ("--time-zone", "Brussels", "'Brussels': allowed are names such as Europe/Brussels"),
        ("--formats", "", "no output format is given; known formats: csv"),
        ("--formats", "csv,excel", "'excel' is unknown; known formats: csv"),
    ],
)
def test_an_option_that_cannot_be(tmp_path, capsys, option, value, said):
    arguments = ("a.wav", "--model", tmp_path, "--output", tmp_path / "out", option, value)
    assert said in error_of(capsys, run_classifier.main, *arguments)
    assert not (tmp_path / "out").exists()


def test_a_channel_that_is_not_there(model, tmp_path, capsys):
    soundfile.write(tmp_path / "one.wav", sound(0.1), RATE)
    soundfile.write(tmp_path / "two.wav", np.stack([sound(0.1), sound(0.1)], axis=1), RATE)
    arguments = (tmp_path, "--model", model, "--output", tmp_path / "out", "--channel", 2)
    status, out, _ = outcome(capsys, run_classifier.main, *arguments)
    assert status == 1
    assert "one.wav: unsupported: channel 2 was asked for, it has 1 channel" in out
