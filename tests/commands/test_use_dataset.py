"""Data sets are split, checked and exported by the command."""

from pathlib import Path

import pandas as pd
import pytest

from ecotf.datasets.manifest import read_manifest

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
