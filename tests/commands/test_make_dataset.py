"""Data sets are made by the command: simulated, and imported from annotations."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ecotf.datasets.coverage import fully_annotated
from ecotf.datasets.importers import IMPORTERS
from ecotf.datasets.manifest import read_manifest

ROOT = Path(__file__).parents[2]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# simulate


def test_simulate_is_seeded_and_complete(tmp_path, run):
    arguments = ("--recordings", 2, "--duration", 0.4, "--sample-rate", 192000, "--species", "Myotis nattereri")
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        status, out, err = run("simulate", "--output", tmp_path / folder, *arguments, "--seed", seed)
        assert status == 0 and err == ""
        assert f"manifest: {tmp_path / folder / 'manifest.csv'}" in out
        assert "2 recordings in 2 groups" in out
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b") != snapshot(tmp_path / "c")
    info = soundfile.info(tmp_path / "a" / "night_000.wav")
    assert (info.samplerate, info.duration) == (192000, 0.4)
    manifest = read_manifest(tmp_path / "a" / "manifest.csv")
    assert not manifest.missing_files()
    assert set(manifest.labels) <= {"Myotis nattereri", "Orthoptera", "noise"}


def test_simulate_takes_settings_wherever_they_stand(tmp_path, run):
    arguments = ("rain_probability=0", "--output", tmp_path / "a", "--recordings", 3, "--duration", 0.3)
    assert run("simulate", *arguments, "bush_cricket_probability=0", "empty_fraction=1")[0] == 0
    manifest = read_manifest(tmp_path / "a" / "manifest.csv")
    assert manifest.labels == [] and len(manifest.recordings) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--recordings", 0], "n_recordings = 0: input should be greater than or equal to 1"),
        (["--species", "Homo sapiens"], "species 'Homo sapiens' cannot be simulated; known: "),
        (["--sample-rate", 192000], "cannot carry Rhinolophus hipposideros"),
        (["duration=3"], "unknown key 'duration'; known keys here: "),
        (["snr_db=[9, 3]"], "is not a range from least to most"),
    ],
)
def test_simulate_refuses(tmp_path, run, arguments, said):
    status, _, err = run("simulate", "--output", tmp_path / "a", *arguments)
    assert status == 2 and said in err
    assert len(err.splitlines()) == 1 and err.startswith("error: simulate: ")
    assert not (tmp_path / "a").exists()


# import


@pytest.fixture
def raven(tmp_path):
    """Two recordings from two sites, one with a selection table and one that is not there."""
    (tmp_path / "audio" / "oak").mkdir(parents=True)
    soundfile.write(tmp_path / "audio" / "oak" / "one.wav", np.zeros(96000), 96000)
    header = "Selection\tView\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tBegin File\t"
    header += "File Offset (s)\tSort\n"
    rows = [
        "1\tSpectrogram 1\t1.0\t1.2\t4000\t8000\tone.wav\t1.0\tPip\n",
        "2\tSpectrogram 1\t2\t2.5\t4000\t5000\ttwo.wav\t2\t\n",
    ]
    (tmp_path / "night.txt").write_text(header + "".join(rows))
    return tmp_path


def test_import_with_options_of_the_format(raven, run):
    status, out, _ = run(
        "import", raven / "night.txt", "--format", "raven", "--audio-dir", raven / "audio",
        "--output", raven / "made" / "manifest.csv", "--group-by", "folder",
        "label_column=Sort", "label=007", "time_expansion=10",
    )  # fmt: skip
    assert status == 1 and "1 of 2 recordings are not there, the first is" in out
    manifest = read_manifest(raven / "made" / "manifest.csv")
    assert manifest.table["start_s"].tolist() == [0.1, 0.2]
    assert manifest.table["high_hz"].tolist() == [80_000, 50_000]
    assert manifest.table["label"].tolist() == ["Pip", "007"]  # not the number 7
    assert manifest.path_of(manifest.recordings[0]).resolve() == raven / "audio" / "oak" / "one.wav"
    assert manifest.groups == ["oak", "."]


@pytest.mark.parametrize(("said", "kept"), [("--fully-annotated", "yes"), ("--no-fully-annotated", "no"), ("", None)])
def test_import_says_whether_every_event_is_annotated(raven, run, said, kept):
    arguments = ["import", raven / "night.txt", "--format", "raven", "--audio-dir", raven / "audio", "label=bat"]
    status, out, err = run(*arguments, "--output", raven / "manifest.csv", *([said] if said else []))
    told = " ".join((out + err).split())
    assert status == 1 and ("--fully-annotated, if every event is annotated" in told) == (kept is None)
    table = read_manifest(raven / "manifest.csv").table
    assert (table["fully_annotated"] == kept).all() if kept else "fully_annotated" not in table


def test_import_adds_recordings_without_calls(raven, run):
    audio = raven / "audio"
    for name in ("quiet.wav", "rain.flac", "._quiet.wav"):
        soundfile.write(audio / name, np.zeros(960), 48000, format="WAV" if name.endswith("wav") else "FLAC")
    arguments = ["import", raven / "night.txt", "--format", "raven", "--audio-dir", audio, "label=bat", "--output"]
    arguments = [*arguments, raven / "manifest.csv", "--fully-annotated"]
    told = " ".join(run(*arguments)[1].split())
    assert "no annotation names 2 recordings in" in told and "left out; the first is 'quiet.wav'" in told

    told = " ".join(run(*arguments, "--without", audio, "--without", audio / "rain.flac")[1].split())
    assert "2 recordings without any call added; 1 more of these folders is annotated already" in told
    assert "left out" not in told
    manifest = read_manifest(raven / "manifest.csv")
    assert fully_annotated(manifest.table) == set(manifest.recordings)
    rows = manifest.table[manifest.table["recording"].isin(["audio/quiet.wav", "audio/rain.flac"])]
    assert rows["label"].tolist() == ["", ""] and rows["end_s"].isna().all() and rows["group"].nunique() == 2
    assert len(manifest.table) == 4  # annotations stay as they are

    run(*arguments, "--no-fully-annotated", "--without", audio)
    table = read_manifest(raven / "manifest.csv").table
    assert fully_annotated(table) == {"audio/quiet.wav", "audio/rain.flac"}

    status, _, err = run(*arguments, "--without", raven / "nowhere")
    assert status == 2 and err.splitlines() == [f"error: {raven / 'nowhere'}: no such file or folder"]


def test_import_reads_lists_mappings_and_switches(tmp_path, run):
    for name in ("Pip", "quiet", "rain"):
        (tmp_path / "classes" / name).mkdir(parents=True)
        soundfile.write(tmp_path / "classes" / name / f"{name}.wav", np.zeros(960), 96000)
    assert run(
        "import", "--format", "folders", tmp_path / "classes", "--output", tmp_path / "a.csv", "background=quiet, rain"
    )[0] == 0  # fmt: skip
    assert read_manifest(tmp_path / "a.csv").labels == ["Pip"]

    (tmp_path / "calls.csv").write_text("file;from;to;what\nPip.wav;1,5;2,5;Pip\n")
    assert run(
        "import", "--format", "csv", tmp_path / "calls.csv", "--audio-dir", tmp_path / "classes",
        "--output", tmp_path / "b.parquet", "separator=;", "decimal=,", "time_unit=ms",
        "columns.recording=file", "columns.start_s=from", "columns.end_s=to", "columns.label=what",
    )[0] == 0  # fmt: skip
    table = read_manifest(tmp_path / "b.parquet").table
    assert table[["recording", "start_s", "end_s", "label"]].to_numpy().tolist() == [
        ["classes/Pip/Pip.wav", 0.0015, 0.0025, "Pip"]
    ]

    (tmp_path / "j").mkdir()
    boxes = {"id": "Pip.wav", "annotated": False, "issues": False, "time_exp": 1, "duration": 0.01, "annotation": []}
    (tmp_path / "j" / "Pip.wav.json").write_text(json.dumps(boxes))
    arguments = ("import", "--format", "batdetect2", tmp_path / "j", "--audio-dir", tmp_path / "classes")
    assert "no recording is marked as annotated" in run(*arguments, "--output", tmp_path / "c.csv")[2]
    assert run(*arguments, "--output", tmp_path / "c.csv", "only_annotated=false")[0] == 0


@pytest.mark.parametrize(
    ("format", "options", "said"),
    [
        ("ravn", [], "--format 'ravn' is unknown; allowed: aoef, audacity, "),
        (
            "raven",
            ["labl=Pip"],
            "unknown key 'labl'; known keys here: encoding, label, label_column, time_expansion; did you me",
        ),
        ("raven", ["time_expansion=ten"], "time_expansion = 'ten'"),
        ("raven", ["time_expansion=0", "label=x"], "time_expansion is 0.0; a number above 0 is needed"),
        ("raven", ["=3"], "option '=3': expected key=value"),
        ("batdetect2", ["only_annotated=perhaps"], "only_annotated = 'perhaps'"),
        ("bat_npz", [], "key 'time_units' is missing"),
        ("csv", ["decimal=;"], "decimal = ';'"),
        ("csv", ["columns=x", "columns.label=y"], "columns has a value already"),
        ("raven", [], "the annotation in row 2 has no label"),
    ],
)
def test_import_refuses(raven, run, format, options, said):
    table = raven / "night.txt"
    table.write_text(table.read_text().replace("Pip", "").replace("Sort", "Label"))
    status, _, err = run("import", "--format", format, table, "--output", raven / "manifest.csv", *options)
    assert status == 2 and said in err
    assert len(err.splitlines()) == 1 and err.startswith("error: ")
    assert not (raven / "manifest.csv").exists()


def test_help_names_every_option_of_every_format(run):
    _, out, _ = run("import", "--help")
    import inspect

    for format, importer in IMPORTERS.items():
        (line,) = [line for line in out.splitlines() if line.startswith(f"  {format}:")]
        for parameter in inspect.signature(importer).parameters.values():
            assert (parameter.kind is parameter.KEYWORD_ONLY) == (f" {parameter.name}" in line)


# The command line itself


@pytest.mark.parametrize(
    "arguments", [[], ["simulte"], ["check"], ["check", "m.csv", "x=1"], ["simulate", "--output", "a", "--sede=3"]]
)
def test_a_mistyped_command_line(tmp_path, monkeypatch, run, arguments):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(*arguments)
    assert status == 2 and err.splitlines()[-1].startswith("ecotf dataset")
    assert list(tmp_path.iterdir()) == []
