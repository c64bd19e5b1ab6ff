import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ecotf.commands.console import run_command
from ecotf.commands.make_dataset import main
from ecotf.datasets.importers import IMPORTERS
from ecotf.datasets.manifest import read_manifest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(capsys):
    """Run the command; returns its exit status, what it printed, and what it complained about."""

    def command(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            run_command(main, [str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.out + printed.err
        return exit.value.code, printed.out, printed.err

    return command


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "calls"
    assert main(["simulate", "--output", str(folder), "--recordings", "8", "--duration", "0.5", "--seed", "3"]) == 0
    return folder


@pytest.fixture
def simulated(recordings, tmp_path):
    """Eight short recordings of the test's own."""
    return Path(shutil.copytree(recordings, tmp_path / "calls"))


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


# split


def test_split_writes_shares_and_says_what_is_missing(simulated, tmp_path, run):
    status, out, _ = run(
        "split", simulated / "manifest.csv", "--output", tmp_path / "split.csv", "--valid", 0.25, "--test", 0.25
    )
    assert status == 0
    split = read_manifest(tmp_path / "split.csv")
    assert not split.missing_files()
    counts = {side: len(split.of_split(side).recordings) for side in ("train", "valid", "test")}
    assert sum(counts.values()) == 8 and min(counts.values()) >= 1 and counts["train"] >= 4
    assert "split.csv: " + ", ".join(f"{count} {side}" for side, count in counts.items()) in out
    assert "is not in" in out
    run("split", simulated / "manifest.csv", "--output", tmp_path / "again.csv", "--valid", 0.25, "--test", 0.25)
    assert (tmp_path / "split.csv").read_bytes() == (tmp_path / "again.csv").read_bytes()
    run(
        "split",
        simulated / "manifest.csv",
        "--output",
        tmp_path / "other.csv",
        "--test",
        0,
        "--group-by",
        r"_00(\d)",
    )
    assert set(read_manifest(tmp_path / "other.csv").table["split"]) == {"train", "valid"}


def test_folds_test_every_recording_once_and_never_choose_by_it(simulated, tmp_path, run):
    arguments = ("split", simulated / "manifest.csv", "--output", tmp_path / "folds", "--folds", 4)
    assert run(*arguments, "--valid", 0.2)[0] == 0
    folds = [read_manifest(tmp_path / "folds" / f"fold_{number}.csv") for number in range(4)]
    tested = sorted(recording for fold in folds for recording in fold.of_split("test").recordings)
    assert tested == sorted(folds[0].recordings) and len(tested) == 8
    for fold in folds:
        assert fold.of_split("valid").recordings and fold.of_split("train").recordings


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--folds", 9], "9 folds cannot be made of 8 groups"),
        (["--valid", 0.6, "--test", 0.6], "the fraction of train is -0.2"),
        (["--valid", "-0.1"], "the fraction of valid is -0.1"),
        (["--group-by", "("], "group_by '(' is not a regular expression"),
        (["--group-by", "xyz"], "group_by 'xyz' does not match recording"),
    ],
)
def test_split_refuses(simulated, tmp_path, run, arguments, said):
    status, _, err = run("split", simulated / "manifest.csv", "--output", tmp_path / "out", *arguments)
    assert status == 2 and said in err and len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_split_by_species_leaves_out_what_is_of_two_sides(tmp_path, run):
    rows = [f"{label}{number}.wav,0,1,{label}" for label in "abcde" for number in range(2)]
    rows += [f"all.wav,0,1,{label}" for label in "abcde"]
    (tmp_path / "m.csv").write_text("recording,start_s,end_s,label\n" + "\n".join(rows) + "\n")
    status, out, _ = run("split", tmp_path / "m.csv", "--by", "species", "--output", tmp_path / "s.csv", "--seed", 3)
    assert status == 0 and "left out: all.wav: its species are of two sides of the split" in out
    split = read_manifest(tmp_path / "s.csv")
    assert len(split.recordings) == 10 and (split.table.groupby("label")["split"].nunique() == 1).all()
    assert set(split.table["split"]) == {"train", "valid", "test"}
    status, _, err = run("split", tmp_path / "m.csv", "--by", "species", "--output", tmp_path / "f", "--folds", 2)
    assert status == 2 and "--by species does not go with --folds" in err


def test_folds_want_a_folder(simulated, tmp_path, run):
    arguments = ("split", simulated / "manifest.csv", "--output", tmp_path / "out.csv", "--folds", 2)
    assert "with --folds it is the folder" in run(*arguments)[2]


# check


def test_check_of_a_good_manifest(simulated, run):
    status, out, err = run("check", simulated / "manifest.csv")
    assert status == 0 and err == ""
    assert "all 8 recordings can be used" in out
    assert "0.1 minutes of sound in 8 recordings, each 0.50 to 0.50 s" in out


def test_check_names_every_problem(simulated, run):
    manifest = simulated / "manifest.csv"
    names = read_manifest(manifest).recordings
    (simulated / names[0]).unlink()
    (simulated / names[1]).write_bytes(b"")
    (simulated / names[2]).write_text("not sound")
    table = pd.read_csv(manifest)
    late = {"recording": names[3], "start_s": 7.0, "end_s": 8.0, "label": "[late]", "group": Path(names[3]).stem}
    pd.concat([table, pd.DataFrame([late])]).to_csv(manifest, index=False)
    status, out, err = run("check", manifest)
    assert status == 1 and "4 of 8 recordings have problems" in out and "[late]" in out
    assert err.splitlines() == [
        f"{simulated / names[0]}: failed: cannot be read (No such file or directory)",
        f"{simulated / names[1]}: corrupt: empty file (0 bytes)",
        next(line for line in err.splitlines() if line.startswith(f"{simulated / names[2]}: corrupt: is not a sound")),
        f"1 annotation reaches past the end of the recording; the first: {names[3]!r} has 7 to 8 s and ends at 0.5 s "
        "(is the time expansion right?)",
    ]


def test_check_where_nothing_can_be_used(simulated, run):
    for path in simulated.glob("*.wav"):
        path.unlink()
    assert run("check", simulated / "manifest.csv")[0] == 2
    (simulated / "manifest.csv").write_text("recording,start_s,end_s,label\n")
    assert run("check", simulated / "manifest.csv")[::2] == (2, "error: the manifest names no recording\n")


# export-npz


def test_export_and_import_again(simulated, tmp_path, run):
    """Positions, labels and splits survive; what the format cannot hold is lost and documented."""
    split, npz, valid = (tmp_path / name for name in ("split.csv", "set.npz", "valid.npz"))
    run("split", simulated / "manifest.csv", "--output", split, "--valid", 0.25, "--test", 0.25)
    status, out, _ = run("export-npz", split, "--output", npz, "--valid-output", valid, "--time-expansion", 10)
    assert status == 0
    classes = [line.removeprefix("class ").split(": ") for line in out.splitlines() if line.startswith("class ")]
    assert run(
        "import", "--format", "bat_npz", npz, "--audio-dir", simulated, "--output", tmp_path / "back.csv",
        "time_units=expanded", "time_expansion=10", "audio_time_expansion=1", f"valid={valid}",
        *(f"class_names.{number}={label}" for number, label in classes),
    )[0] == 0  # fmt: skip
    before, after = (
        read_manifest(path).table.assign(start_s=lambda table: table["start_s"].round(9))
        for path in (split, tmp_path / "back.csv")
    )
    columns = ["recording", "start_s", "label", "split"]
    pd.testing.assert_frame_equal(
        *(table[columns].sort_values(columns, ignore_index=True) for table in (before, after)), check_dtype=False
    )


@pytest.mark.parametrize("broken", ["unsplit", "corrupt"])
def test_export_refuses(simulated, tmp_path, run, broken):
    if broken == "corrupt":
        (simulated / "night_003.wav").write_bytes(b"")
    arguments = ("export-npz", simulated / "manifest.csv", "--output", tmp_path / "set.npz", "--time-expansion", 1)
    status, _, err = run(*arguments)
    assert status == 2 and len(err.splitlines()) == 1
    said = "has no split (8 without one); split first" if broken == "unsplit" else "night_003.wav: empty file"
    assert said in err
    assert not (tmp_path / "set.npz").exists()


# The command line itself


@pytest.mark.parametrize(
    "arguments", [[], ["simulte"], ["check"], ["check", "m.csv", "x=1"], ["simulate", "--output", "a", "--sede=3"]]
)
def test_a_mistyped_command_line(tmp_path, monkeypatch, run, arguments):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(*arguments)
    assert status == 2 and err.splitlines()[-1].startswith("ecotf dataset")
    assert list(tmp_path.iterdir()) == []
