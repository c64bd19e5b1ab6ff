"""Nothing but bad input: one clear line each, no traceback, the other files go on, nothing half-written stays."""

import contextlib
import errno
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.commands import run_classifier, run_training
from ecotf.commands.console import run_command

RATE = 256_000
TINY = ("networks.0.backbone.filters=4", "networks.0.backbone.dense_units=8")


@pytest.fixture(autouse=True)
def narrow_terminal(monkeypatch):
    """A message is one line, however few columns the terminal has."""
    monkeypatch.setenv("COLUMNS", "40")


def outcome(capsys, main, *arguments):
    """Exit status, standard output and standard error of a command."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit:
        run_command(main, [str(argument) for argument in arguments])
    printed = capsys.readouterr()
    assert "Traceback" not in printed.out + printed.err
    return exit.value.code, printed.out, printed.err


def error_of(capsys, main, *arguments):
    """The one line with which a command says why nothing could be done."""
    status, _, err = outcome(capsys, main, *arguments)
    lines = err.splitlines()
    assert status == 2
    assert len(lines) == 1 and lines[0].startswith("error: "), err
    return lines[0].removeprefix("error: ")


def left_over(folder: Path) -> list[str]:
    """Files that only a work in progress has."""
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if "partial" in path.name or ".lock" in path.name
    )


def sound(seconds: float = 0.4, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Noise with a few sweeps in it."""
    rng = np.random.default_rng(seed)
    samples = 0.01 * rng.standard_normal(round(seconds * rate))
    time = np.arange(round(0.004 * rate)) / rate
    for start in np.arange(0.05, seconds - 0.02, 0.08):
        at = round(start * rate)
        samples[at : at + time.size] += (
            0.3 * np.sin(2 * np.pi * (70_000 * time - 4e6 * time**2)) * np.hanning(time.size)
        )
    return samples.astype(np.float32)


# Recordings


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A complete run folder whose network has learned nothing."""
    from ecotf.models.saved import build_detector, save_detector
    from ecotf.runs import RunFolder
    from ecotf.tasks.recipes import load_recipe, recipe_text

    recipe = load_recipe("bats/cnn8", TINY)
    run = RunFolder.create(tmp_path_factory.mktemp("runs"), "bats/tiny")
    run.write_text("recipe.yaml", recipe_text(recipe))
    run.write_table("labels.csv", pd.DataFrame({"label": ["Myotis", "Pipistrellus"], "training_annotations": [1, 1]}))
    thresholds = {"call": 0.5, "Myotis": 0.5, "Pipistrellus": 0.5}
    run.write_json("thresholds.json", {"thresholds": thresholds, "unfitted": []})
    with run.writing("model", folder=True) as folder:
        save_detector(
            build_detector(recipe.front_end, recipe.patches, recipe.networks, ["Myotis", "Pipistrellus"]), folder
        )
    run.finish()
    return run.path


def _cut(path: Path, share: float) -> None:
    os.truncate(path, int(path.stat().st_size * share))


def make_bad_night(folder: Path) -> None:
    """One recording that is well, and every way in which others are not."""
    folder.mkdir()
    good = sound()
    for name in ("good.wav", "truncated.wav", "locked.wav"):
        soundfile.write(folder / name, good, RATE, subtype="PCM_16")
    _cut(folder / "truncated.wav", 0.5)
    soundfile.write(folder / "truncated.flac", good, RATE, subtype="PCM_16")
    _cut(folder / "truncated.flac", 0.5)
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


# Run folders


def test_a_run_folder_half_written(tmp_path, capsys):
    from ecotf.runs import RunFolder

    run = RunFolder.create(tmp_path, "bats/cnn8", steps=["rounds/0", "evaluation"])
    run.mark_done("rounds/0")
    run.close()
    soundfile.write(tmp_path / "a.wav", sound(0.1), RATE)
    arguments = (tmp_path / "a.wav", "--model", run.path, "--output", tmp_path / "out")
    said = error_of(capsys, run_classifier.main, *arguments)
    assert said == f"{run.path}: the run is half written (not done yet: evaluation); resume with --resume {run.path}"
    assert not (tmp_path / "out").exists()


def damage(model: Path, copy: Path, how: str) -> Path:
    shutil.copytree(model, copy)
    weights = next((copy / "model").iterdir())
    if how == "no weights":
        weights.unlink()
    elif how == "cut weights":
        _cut(weights, 0.5)
    elif how == "no progress":
        (copy / "progress.json").unlink()
    elif how == "cut progress":
        _cut(copy / "progress.json", 0.5)
    elif how == "cut recipe":
        _cut(copy / "recipe.yaml", 0.5)
    elif how == "cut thresholds":
        _cut(copy / "thresholds.json", 0.5)
    return copy


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("no weights", "the run lacks model/"),
        ("cut weights", ".weights.h5: damaged"),
        ("no progress", "not a run folder (it has no progress.json)"),
        ("cut progress", "progress.json: damaged, the run cannot be used; train again"),
        ("cut recipe", "recipe.yaml: "),
        ("cut thresholds", "thresholds.json: not valid JSON"),
    ],
)
def test_a_damaged_run_folder(model, tmp_path, capsys, how, said):
    run = damage(model, tmp_path / "run", how)
    soundfile.write(tmp_path / "a.wav", sound(0.1), RATE)
    arguments = (tmp_path / "a.wav", "--model", run, "--output", tmp_path / "out")
    assert said in error_of(capsys, run_classifier.main, *arguments)
    assert not (tmp_path / "out").exists()


# A full disk


def full_disk(descriptor=None):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_while_classifying(model, tmp_path, capsys, monkeypatch):
    soundfile.write(tmp_path / "a.wav", sound(), RATE)
    arguments = (tmp_path / "a.wav", "--model", model, "--output", tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        assert error_of(capsys, run_classifier.main, *arguments).startswith("disk full while writing ")
    assert not list((tmp_path / "out").glob("det*")) and left_over(tmp_path) == []
    assert outcome(capsys, run_classifier.main, *arguments)[0] == 0


def test_a_disk_that_fills_up_in_the_middle(model, tmp_path, capsys, monkeypatch):
    """What was finished is kept, and the same command with --resume finishes the rest."""
    from ecotf.inference import job
    from ecotf.inference.records import Records

    monkeypatch.setattr(job, "_LONG_S", 0.0)  # results are written one by one
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.wav", sound(0.2, seed=number), RATE)
    add, done = Records.add, []

    def fill_up(self, *records):
        if len(done) == 1:
            monkeypatch.setattr(os, "fsync", full_disk)
        add(self, *records)
        done.extend(records)

    arguments = (tmp_path, "--model", model, "--output", tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(Records, "add", fill_up)
        said = error_of(capsys, run_classifier.main, *arguments)
    monkeypatch.undo()
    assert said.startswith("disk full while writing ")
    assert not (tmp_path / "out" / "detections.csv").exists()
    assert pd.read_csv(tmp_path / "out" / "ledger.csv")["status"].tolist() == ["done"]
    assert outcome(capsys, run_classifier.main, *arguments, "--resume")[0] == 0
    assert pd.read_csv(tmp_path / "out" / "ledger.csv")["status"].tolist() == ["done"] * 3
    assert (tmp_path / "out" / "detections.csv").exists() and left_over(tmp_path) == []


def test_after_ctrl_c_the_last_line_is_the_command_that_goes_on(model, tmp_path, capsys, monkeypatch):
    """A shell takes it as it stands, also where names have blanks, quotation marks and bytes that are not UTF-8."""
    from ecotf.inference import listen

    night = tmp_path / "my night's \udcea"
    night.mkdir()
    for number in range(2):
        with (night / f"{number}.wav").open("wb") as file:
            soundfile.write(file, sound(0.2, seed=number), RATE, format="WAV")
    really = listen.open_recording

    def stop(name, **options):
        if name.endswith("1.wav"):
            raise KeyboardInterrupt
        return really(name, **options)

    monkeypatch.setattr(listen, "open_recording", stop)
    arguments = (night, "--model", model, "--output", tmp_path / "out", "--overwrite")
    status, _, err = outcome(capsys, run_classifier.main, *arguments)
    monkeypatch.undo()
    *_, stopped, command = err.splitlines()
    assert status == 130 and stopped == "stopped; what was finished is kept. To continue:"
    assert "--overwrite" not in command and command.endswith(" --resume")
    root = Path(__file__).parents[1]
    command = command.replace("ecotf ", f"{sys.executable} -m ecotf ", 1)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "recordings: 2 done" in done.stdout
    assert len(pd.read_csv(tmp_path / "out" / "ledger.csv")) == 2


def test_a_used_folder(model, tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", sound(0.1), RATE)
    arguments = (tmp_path / "a.wav", "--model", model, "--output", tmp_path / "out")
    assert outcome(capsys, run_classifier.main, *arguments)[0] == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    said = error_of(capsys, run_classifier.main, *arguments)
    assert said == f"{tmp_path / 'out'} holds a job already: --resume continues it, --overwrite replaces it"
    said = error_of(capsys, run_classifier.main, *arguments, "--resume", "--threshold", "0.3")
    assert "threshold is not stated in this folder's job, 0.3 now" in said
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert "choose one" in error_of(capsys, run_classifier.main, *arguments, "--resume", "--overwrite")
    assert outcome(capsys, run_classifier.main, *arguments, "--resume")[0] == 0
    assert outcome(capsys, run_classifier.main, *arguments, "--overwrite", "--threshold", "0.3")[0] == 0


def test_an_output_that_is_a_file(model, tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", sound(0.1), RATE)
    (tmp_path / "out").write_text("mine")
    arguments = (tmp_path / "a.wav", "--model", model, "--output", tmp_path / "out")
    assert "cannot be written" in error_of(capsys, run_classifier.main, *arguments)
    assert (tmp_path / "out").read_text() == "mine"


# Recipes


@pytest.mark.parametrize(
    ("recipe", "override", "said"),
    [
        ("bats/feild", None, "unknown recipe 'bats/feild'; known: bats/cnn2, "),
        ("bats/feild", None, "did you mean bats/field?"),
        ("mine.yaml", None, "mine.yaml: cannot be read (No such file or directory)"),
        ("bats/cnn8", "sead=3", "unknown key 'sead'; known keys here: "),
        ("bats/cnn8", "sead=3", "did you mean 'seed'?"),
        ("bats/cnn8", "networks.0.backbone.filtres=3", "unknown key 'networks.0.backbone.filtres'"),
        ("bats/cnn8", "networks.1.name=calls", "'1' is not an index from 0 to 0"),
        ("bats/cnn8", "seed=three", "seed = 'three': input should be a valid integer"),
        ("bats/cnn8", "stages.0.epochs=-1", "stages.0.epochs = -1: input should be greater than or equal to 1"),
        ("bats/cnn8", "networks.0.backbone.name=vgg", "name 'vgg' is unknown; allowed: "),
        ("bats/cnn8", "front_end.window_s=.nan", "front_end.window_s = nan: "),
        ("bats/cnn8", "seed", "override 'seed': expected key=value"),
        ("bats/cnn8", "front_end.low_hz=200000", "low_hz"),
        ("bats/cnn8", "patches.width_s=0.001", "patches.width_s = 0.001 is shorter than one spectrum"),
    ],
)
def test_a_recipe_that_cannot_be(annotated, tmp_path, capsys, recipe, override, said):
    overrides = [override] if override else []
    arguments = ("--recipe", recipe, "--data", annotated, "--output", tmp_path / "runs", *overrides)
    assert said in error_of(capsys, run_training.main, *arguments)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: [1\n", "not valid YAML at line "),
        ("- seed\n", "a recipe is a mapping of keys to values"),
        ("seed: 3\n", "is missing"),
        ("", "a recipe is a mapping of keys to values"),
    ],
)
def test_a_recipe_file_that_is_none(annotated, tmp_path, capsys, text, said):
    (tmp_path / "mine.yaml").write_text(text)
    arguments = ("--recipe", tmp_path / "mine.yaml", "--data", annotated, "--output", tmp_path / "runs")
    assert said in error_of(capsys, run_training.main, *arguments)
    assert not (tmp_path / "runs").exists()


# Manifests


def call(recording: str, start_s: float, end_s: float, label: str = "Pipistrellus") -> dict:
    return {"recording": recording, "start_s": start_s, "end_s": end_s, "label": label}


def write_manifest(folder: Path, rows: list[dict]) -> Path:
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder / "manifest.csv"


@pytest.fixture
def annotated(tmp_path):
    """Four short recordings, all calls annotated."""
    folder = tmp_path / "calls"
    folder.mkdir()
    rows = []
    for number in range(4):
        soundfile.write(folder / f"{number}.wav", sound(seed=number), RATE, subtype="PCM_16")
        rows += [call(f"{number}.wav", start, start + 0.004) for start in np.arange(0.05, 0.38, 0.08)]
    return write_manifest(folder, rows)


def training(manifest: Path, runs: Path, *more: str) -> tuple:
    return ("--recipe", "bats/cnn8", "--data", manifest, "--output", runs, *TINY, *more)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (call("gone.wav", 0, 0.1), "1 of 5 recordings are missing; the first is "),
        (call("0.wav", -0.1, 0.1), "start_s is -0.1 (row 22); a time of at least 0 s is needed"),
        (call("0.wav", 0.3, 0.1), "start_s is 0.3 and end_s is 0.1 (row 22); an annotation must not end before it st"),
        (call("0.wav", "noon", 0.1), "start_s is 'noon' (row 22); a number is needed"),
        (call("0.wav", "0,1", 0.1), "a number with a decimal point is needed"),
        (call("", 0, 0.1), "recording is empty (row 22); the path of an audio file is needed"),
        (
            {**call("0.wav", 0, 0.1), "split": "training"},
            "split is 'training' (row 22); allowed are train, valid, test",
        ),
        ({**call("0.wav", 0, 0.1), "low_hz": 9, "high_hz": 8}, "low_hz is 9 and high_hz is 8 (row 22)"),
    ],
)
def test_a_manifest_with_a_bad_row(annotated, tmp_path, capsys, row, said):
    table = pd.concat([pd.read_csv(annotated), pd.DataFrame([row])])
    table.to_csv(annotated, index=False)
    assert said in error_of(capsys, run_training.main, *training(annotated, tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"", "the file is empty"),
        (b"recording,start_s\na.wav,0\n", "column 'end_s' is missing"),
        (b"\x00\x01\x02", "not a text file"),
        (b"recording,start_s,end_s,label\n", "names no recording"),
    ],
)
def test_a_manifest_that_is_none(tmp_path, capsys, content, said):
    manifest = tmp_path / "manifest.csv"
    if content is not None:
        manifest.write_bytes(content)
    assert said in error_of(capsys, run_training.main, *training(manifest, tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def test_an_annotation_past_the_end(annotated, tmp_path, capsys):
    table = pd.concat([pd.read_csv(annotated), pd.DataFrame([call("0.wav", 3.1, 3.2)])])
    table.to_csv(annotated, index=False)
    said = error_of(capsys, run_training.main, *training(annotated, tmp_path / "runs"))
    assert re.search(
        r"^1 annotation reaches past the end of the recording; the first: '\S*0.wav' has 3.1 to 3.2 s", said
    )
    assert left_over(tmp_path) == []


def test_a_band_above_nyquist(annotated, tmp_path, capsys):
    """A training on recordings that cannot carry the band names both rates, and does not guess."""
    for number in range(4):
        soundfile.write(annotated.parent / f"{number}.wav", sound(1.0, 96_000), 96_000, subtype="PCM_16")
    said = error_of(capsys, run_training.main, *training(annotated, tmp_path / "runs"))
    assert "none of the 4 recordings can be read" in said
    assert "the band up to 116300 Hz needs a sample rate of at least 232600 Hz; this is 96000 Hz" in said
    assert left_over(tmp_path) == []


def test_too_few_recordings_to_split(annotated, tmp_path, capsys):
    rows = pd.read_csv(annotated)
    rows[rows["recording"] == "0.wav"].to_csv(annotated, index=False)
    assert "cannot be split" in error_of(capsys, run_training.main, *training(annotated, tmp_path / "runs"))


def test_nothing_to_learn(annotated, tmp_path, capsys):
    pd.read_csv(annotated).assign(label="noise").to_csv(annotated, index=False)
    said = error_of(capsys, run_training.main, *training(annotated, tmp_path / "runs"))
    assert "the training recordings hold no annotated call" in said


def test_a_class_with_one_example_and_a_broken_recording(annotated, tmp_path, capsys):
    """Both are said, and the training goes on to its end."""
    (annotated.parent / "broken.wav").write_bytes(b"RIFF")
    rows = [call("broken.wav", 0, 0.1), call("0.wav", 0.2, 0.204, "Barbastella")]
    table = pd.concat([pd.read_csv(annotated), pd.DataFrame(rows)])
    sides = {"0.wav": "train", "1.wav": "train", "2.wav": "valid", "3.wav": "test", "broken.wav": "train"}
    table.assign(split=table["recording"].map(sides)).to_csv(annotated, index=False)
    settings = ("stages.0.epochs=1", "mining.rounds=0", "evaluation.bootstrap=10")
    status, out, err = outcome(capsys, run_training.main, *training(annotated, tmp_path / "runs", *settings))
    assert status == 0 and err == ""
    assert "Barbastella: only one annotated call in the training recordings" in out
    assert re.search(r"^left out: \S*broken.wav: is not a sound file", out, re.MULTILINE)
    (run,) = (tmp_path / "runs" / "bats" / "cnn8").iterdir()
    assert pd.read_csv(run / "labels.csv")["label"].tolist() == ["Barbastella", "Pipistrellus"]
    (problem,) = pd.read_csv(run / "problems.csv").itertuples()
    assert problem.recording.endswith("broken.wav") and problem.status == "corrupt"
    assert left_over(tmp_path) == []


def test_a_full_disk_while_training(annotated, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(os, "fsync", full_disk)
    said = error_of(capsys, run_training.main, *training(annotated, tmp_path / "runs"))
    assert said.startswith("disk full while writing ")
    assert left_over(tmp_path) == []
