"""The manifest: what it accepts, how it reads and writes, and what it refuses with which words."""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecotf.datasets import (
    COLUMNS,
    Manifest,
    check_against_audio,
    check_recordings,
    make_manifest,
    read_manifest,
    require_files,
    write_manifest,
)
from ecotf.errors import DataError


def table(**changes):
    columns = {
        "recording": ["a.wav", "a.wav", "b.wav"],
        "start_s": [0.1, 0.2, 0.0],
        "end_s": [0.11, 0.21, 3.0],
        "label": ["Pippip", "Nyclei", ""],
    }
    return pd.DataFrame({**columns, **changes})


def from_csv(tmp_path, text, **options):
    path = tmp_path / "annotations.csv"
    path.write_text(text, **options)
    return read_manifest(path)


def test_defaults_are_filled_in():
    manifest = make_manifest(table(), "/data", "here")
    assert tuple(manifest.table.columns) == COLUMNS
    assert manifest.table["weight"].tolist() == [1, 1, 1]
    assert manifest.table["group"].tolist() == ["a.wav", "a.wav", "b.wav"]
    assert manifest.table["split"].tolist() == ["", "", ""]
    assert manifest.table[["low_hz", "high_hz"]].isna().all(axis=None)
    assert manifest.recordings == ["a.wav", "b.wav"] == manifest.groups
    assert manifest.labels == ["Nyclei", "Pippip"]
    assert len(manifest.annotations) == 2
    assert manifest.path_of("a.wav") == Path("/data/a.wav")


def test_paths_absolute_and_from_windows():
    manifest = make_manifest(table(recording=["/x/a.wav", "/x/a.wav", "night 1\\b.wav"]), "/data", "here")
    assert manifest.path_of("/x/a.wav") == Path("/x/a.wav")
    assert manifest.path_of("night 1\\b.wav") == Path("/data/night 1/b.wav")


def test_subset_and_side():
    manifest = make_manifest(table(split=["train", "train", "test"]), ".", "here")
    assert manifest.subset(["b.wav"]).recordings == ["b.wav"]
    assert manifest.of_split("train").recordings == ["a.wav"]
    assert manifest.of_split("valid").recordings == []
    with pytest.raises(DataError, match=r"recording 'c\.wav' is not in the manifest"):
        manifest.subset(["c.wav"])


def test_with_splits_replaces_all_and_needs_all():
    manifest = make_manifest(table(split=["train", "train", "test"]), ".", "here")
    assert manifest.with_splits({"a.wav": "valid", "b.wav": ""}).table["split"].tolist() == ["valid", "valid", ""]
    assert manifest.with_splits(pd.Series({"a.wav": "test", "b.wav": "train"})).of_split("test").recordings == ["a.wav"]
    with pytest.raises(DataError, match=r"no split is given for recording 'b\.wav'"):
        manifest.with_splits({"a.wav": "train"})
    with pytest.raises(DataError, match="split is 'dev'"):
        manifest.with_splits({"a.wav": "dev", "b.wav": ""})


@pytest.mark.parametrize(
    ("group_by", "groups"),
    [
        ("recording", ["s1/x_1.wav", "s2/y_1.wav"]),
        ("folder", ["s1", "s2"]),
        (r"([a-z])_\d", ["x", "y"]),
        (r"_1", ["_1"]),
    ],
)
def test_with_groups(group_by, groups):
    manifest = make_manifest(table(recording=["s1/x_1.wav", "s1/x_1.wav", "s2/y_1.wav"]), ".", "here")
    assert manifest.with_groups(group_by).groups == groups


def test_with_groups_refuses():
    manifest = make_manifest(table(), ".", "here")
    with pytest.raises(DataError, match=r"does not match recording 'b\.wav'"):
        manifest.with_groups("^a")
    with pytest.raises(DataError, match="not a regular expression"):
        manifest.with_groups("(")


def test_time_expansion_is_per_recording():
    manifest = make_manifest(table(time_expansion=[10, None, None]), ".", "here")
    assert manifest.time_expansion_of("a.wav") == 10
    assert manifest.time_expansion_of("b.wav") is None
    assert make_manifest(table(), ".", "here").time_expansion_of("a.wav") is None


def test_csv_keeps_text_as_it_stands(tmp_path):
    manifest = from_csv(
        tmp_path,
        "\ufeffrecording,start_s,end_s,label,group,call_type\r\n"
        "001.wav,0,1,NA,007,\r\n\r\n002.wav,0, 2.5 , null ,None,1.0\r\n",
        newline="",
    )
    assert manifest.labels == ["NA", "null"]
    assert manifest.groups == ["007", "None"]
    assert manifest.table["end_s"].tolist() == [1, 2.5]
    assert manifest.table["call_type"].tolist() == ["", "1.0"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_csv_encodings(tmp_path, encoding):
    manifest = from_csv(tmp_path, "recording,start_s,end_s,label\nForêt_é.wav,0,1,Übersehen\n", encoding=encoding)
    assert manifest.recordings == ["Forêt_é.wav"]
    assert manifest.labels == ["Übersehen"]


def test_header_only_is_an_empty_manifest(tmp_path):
    assert from_csv(tmp_path, "recording,start_s,end_s,label\n").recordings == []


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            names.filter(lambda name: name.strip(" /.\\") == name and not name.startswith("~")),
            st.floats(0, 1e6),
            st.floats(0, 1e3),
            names.map(str.strip) | st.just(""),
            st.floats(0, 10),
        ),
        min_size=1,
        max_size=6,
        unique_by=lambda row: os.path.normpath(row[0].replace("\\", "/")),
    ),
    ending=st.sampled_from([".csv", ".parquet"]),
)
def test_written_and_read_again_is_the_same(tmp_path_factory, rows, ending):
    folder = tmp_path_factory.mktemp("written")
    columns = ["recording", "start_s", "end_s", "label", "weight"]
    made = make_manifest(
        pd.DataFrame([(name, start, start + length, *rest) for name, start, length, *rest in rows], columns=columns),
        folder,
        "here",
    )
    write_manifest(made, folder / f"m{ending}")
    pd.testing.assert_frame_equal(read_manifest(folder / f"m{ending}").table, made.table)
    assert [path.name for path in folder.iterdir()] == [f"m{ending}"]


def test_written_elsewhere_still_finds_its_recordings(tmp_path):
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "a.wav").touch()
    manifest = make_manifest(table(), tmp_path / "audio", "here")
    write_manifest(manifest, tmp_path / "tables" / "m.csv")
    read = read_manifest(tmp_path / "tables" / "m.csv")
    assert read.recordings == ["../audio/a.wav", "../audio/b.wav"]
    assert read.groups == ["a.wav", "b.wav"]
    assert read.missing_files() == ["../audio/b.wav"]
    with pytest.raises(DataError, match=r"1 of 2 recordings are missing; the first is .*b\.wav"):
        require_files(read)


def test_a_name_that_no_disk_can_have_is_missing(tmp_path):
    manifest = make_manifest(table(recording=["x" * 5000, "x" * 5000, "b.wav"]), tmp_path, "here")
    assert len(manifest.missing_files()) == 2


def test_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    manifest = make_manifest(table(), tmp_path, "here")
    write_manifest(manifest, tmp_path / "m.csv")
    before = (tmp_path / "m.csv").read_bytes()

    def full(self, path, **_):
        Path(path).write_text("recording,sta")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(DataError, match=r"m\.csv: cannot be written \(No space left on device\)"):
        write_manifest(manifest, tmp_path / "m.csv")
    assert (tmp_path / "m.csv").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["m.csv"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("start_s,end_s,label\n0,1,x\n", "column 'recording' is missing; needed are recording, start_s, end_s, label"),
        ("recording:start_s:end_s:label\na:0:1:x\n", "column 'recording' is missing"),
        ("recording,start_s,end_s,label,label\na,0,1,x,y\n", "column 'label' is there twice"),
        ("recording,start_s,end_s,label\na,0,1,x,surplus\n", "row 2 has 5 cells, the header has 4"),
        (
            "recording,start_s,end_s,label\na,0,1,x\na,0,1,x,surplus\n",
            "row 3 has 5 cells, the header has 4",
        ),
        ("recording,start_s,end_s,label\n,0,1,x\n", r"recording is empty \(row 2\)"),
        ("recording,start_s,end_s,label\na,,1,x\n", r"start_s is empty \(row 2\)"),
        ("recording,start_s,end_s,label\n\na,-0.5,1,x\n", r"start_s is -0.5 \(row 3\); a time of at least 0 s"),
        (
            "recording,start_s,end_s,label\na,2,1,x\n",
            r"start_s is 2 and end_s is 1 \(row 2\); an annotation must not end",
        ),
        ("recording,start_s,end_s,label\na,2,,x\n", r"end_s is empty \(row 2\); .* only where start_s is 0"),
        ("recording,start_s,end_s,label\na,0,soon,x\n", r"end_s is 'soon' \(row 2\); a number is needed"),
        ('recording,start_s,end_s,label\na,0,"1,5",x\n', r"end_s is '1,5' \(row 2\); a number with a decimal point"),
        ("recording,start_s,end_s,label\na,0,inf,x\n", r"end_s is inf \(row 2\); a finite number"),
        ("recording,start_s,end_s,label,low_hz,high_hz\na,0,1,x,9,5\n", "low_hz is 9 and high_hz is 5"),
        ("recording,start_s,end_s,label,low_hz\na,0,1,x,-9\n", "low_hz is -9"),
        ("recording,start_s,end_s,label,weight\na,0,1,x,-1\n", r"weight is -1 \(row 2\)"),
        (
            "recording,start_s,end_s,label,split\na,0,1,x,dev\n",
            "split is 'dev' .*; allowed are train, valid, test or an",
        ),
        ("recording,start_s,end_s,label,time_expansion\na,0,1,x,0\n", "time_expansion is 0"),
        (
            "recording,start_s,end_s,label,time_expansion\na,0,1,x,1\na,0,1,x,10\n",
            "'a' has two values of time_expansion",
        ),
        ("recording,start_s,end_s,label,group\na,0,1,x,g\na,0,1,x,h\n", "'a' is in two groups, 'g' and 'h'"),
        ("recording,start_s,end_s,label\na,0,1,x\n./a,0,1,x\n", "'a' and './a' are the same file"),
        (
            "recording,start_s,end_s,label,group,split\na,0,1,x,site 1,train\nb,0,1,x,site 1,test\n",
            r"group 'site 1' is on more than one side of the split \(train, test\)",
        ),
        (
            "recording,start_s,end_s,label,split\na,0,1,x,train\na,0,1,x,\n",
            r"group 'a' is on more than one side of the split \(train, \(none\)\)",
        ),
        (
            "recording,start_s,end_s,label\n" + "a,5,1,x\n" * 5,
            r"start_s is 5 and end_s is 1 \(5 rows: 2, 3, 4, ...\)",
        ),
    ],
)
def test_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as error:
        from_csv(tmp_path, text)
    assert "\n" not in str(error.value)
    assert str(tmp_path / "annotations.csv") in str(error.value)


def test_refused_files(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.csv: cannot be read \(No such file"):
        read_manifest(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match=r"nowhere\.parquet: cannot be read"):
        read_manifest(tmp_path / "nowhere.parquet")
    (tmp_path / "m.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match="not a Parquet file"):
        read_manifest(tmp_path / "m.parquet")
    (tmp_path / "m.csv").write_bytes(b"RIFF\0\0\0\0WAVE")
    with pytest.raises(DataError, match="not a text file"):
        read_manifest(tmp_path / "m.csv")
    with pytest.raises(DataError, match=r"a \.csv or a \.parquet file, not '\.xlsx'"):
        read_manifest(tmp_path / "m.xlsx")


def test_annotations_past_the_end():
    manifest = make_manifest(table(), ".", "here")
    check_recordings(manifest, {"a.wav": 0.2001, "b.wav": 3.0})  # 9.9 ms past the end: rounding
    with pytest.raises(
        DataError, match=r"1 annotation reaches past .*'a\.wav' has 0\.2 to 0\.21 s and ends at 0\.19 s"
    ):
        check_recordings(manifest, {"a.wav": 0.19})


def test_annotations_past_the_end_of_the_audio():
    manifest = make_manifest(table(time_expansion=10.0), "/data", "here")
    asked = []

    def open_recording(path, *, time_expansion):
        asked.append((path, time_expansion))
        return SimpleNamespace(duration_s=30.0 / time_expansion)

    check_against_audio(manifest, open_recording)
    assert asked == [(Path("/data/a.wav"), 10.0), (Path("/data/b.wav"), 10.0)]
    with pytest.raises(DataError, match="is the time expansion right"):
        check_against_audio(Manifest(manifest.table.assign(time_expansion=100.0), Path("/data")), open_recording)


def test_a_million_rows_in_seconds():
    n = 1_000_000
    random = np.random.default_rng(0)
    recordings = np.array([f"site_{i % 50}/night_{i}.wav" for i in range(100_000)])
    start = random.uniform(0, 60, n)
    large = pd.DataFrame(
        {
            "recording": recordings[random.integers(0, len(recordings), n)],
            "start_s": start,
            "end_s": start + 0.005,
            "label": random.choice(["Pippip", "Nyclei", ""], n),
        }
    )
    began = time.process_time()
    assert len(make_manifest(large, ".", "here").table) == n
    assert time.process_time() - began < 5  # 1.2 s on the machine it was written on
