"""BatDetect2, Raven, Audacity and CSV: each format as the programs write it, and what it refuses."""

import json

import pandas as pd
import pytest

from ecotf.datasets import make_manifest
from ecotf.datasets.importers import import_annotations
from ecotf.errors import DataError

from .annotation_files import audio, box, entry, rows_of, text

# ---- batdetect2 -------------------------------------------------------------------------------------------------


def test_batdetect2_times_are_real_whatever_time_exp(tmp_path):
    audio(tmp_path / "audio", "a.wav", "b.wav")
    text(tmp_path / "anns" / "a.wav.json", json.dumps(entry()), encoding="utf-8-sig")
    text(tmp_path / "anns" / "b.wav.json", json.dumps(entry("b.wav", boxes=[])))
    manifest = import_annotations("batdetect2", tmp_path / "anns", tmp_path / "audio")
    assert rows_of(manifest.subset(["a.wav"]), "start_s", "end_s", "low_hz", "high_hz", "label", "call_type") == [
        (0.146366, 0.151696, 28564.453125, 105957.03125, "Myotis mystacinus", "Echolocation")
    ]
    assert rows_of(manifest.subset(["b.wav"]), "start_s", "end_s", "label") == [(0.0, 0.5, "")]
    assert manifest.time_expansion_of("a.wav") == 10
    assert manifest.table["duration_s"].tolist() == [0.5, 0.5]


def test_batdetect2_list_and_filters(tmp_path):
    entries = [entry(), entry("b.wav", annotated=False), entry("c.wav", issues=True)]
    path = text(tmp_path / "all.json", json.dumps(entries))
    assert import_annotations("batdetect2", path).recordings == ["a.wav"]
    assert import_annotations("batdetect2", path, only_annotated=False).recordings == ["a.wav", "b.wav"]
    assert import_annotations("batdetect2", path, with_issues=True).recordings == ["a.wav", "c.wav"]
    path = text(tmp_path / "none.json", json.dumps(entries[1:]))
    with pytest.raises(DataError, match="no recording is marked as annotated and free of issues"):
        import_annotations("batdetect2", path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ('{\n"id": "a.wav",\n}', "not valid JSON at line 3"),
        ("[" * 100_000, "nested too deeply"),
        ("[1]", "not batdetect2 JSON; every recording needs the fields id and annotation"),
        (json.dumps({"id": "a.wav"}), "needs the fields id and annotation"),
        (json.dumps(entry(boxes={})), r"recording 'a\.wav': annotation is {}; a list"),
        (json.dumps(entry(boxes=[box(), box("")])), "box 2 has no class"),
        (json.dumps(entry(boxes=[box(start_time="0.1")])), "box 1: start_time is '0.1'; a number is needed"),
        (json.dumps(entry(boxes=[box(low_freq=None)])), "box 1: low_freq is None"),
        (json.dumps(entry(boxes=[box(end_time=0.1)])), "box 1 is start_time 0.146366, end_time 0.1,"),
        (json.dumps(entry(duration="long")), "duration is 'long'"),
    ],
)
def test_batdetect2_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as error:
        import_annotations("batdetect2", text(tmp_path / "a.json", content))
    assert str(tmp_path / "a.json") in str(error.value)


# ---- Raven ------------------------------------------------------------------------------------------------------

RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation"


def test_raven_counts_each_selection_once(tmp_path):
    audio(tmp_path, "night1.wav")
    content = (
        f"{RAVEN}\n1\tWaveform 1\t1\t0.5\t0.7\t0.0\t4000.0\tPiha\n1\tSpectrogram 1\t1\t0.5\t0.7\t900.0\t2100.0\tPiha\n"
        "2\tWaveform 1\t1\t1.5\t1.7\t0.0\t4000.0\tNA\n2\tSpectrogram 1\t1\t1.5\t1.7\t900.0\t2100.0\tNA\n"
    )
    path = text(tmp_path / "night1.Table.1.selections.txt", content, newline="\r\n")
    manifest = import_annotations("raven", path)
    assert rows_of(manifest, "recording", "start_s", "end_s", "low_hz", "high_hz", "label") == [
        ("night1.wav", 0.5, 0.7, 900.0, 2100.0, "Piha"),
        ("night1.wav", 1.5, 1.7, 900.0, 2100.0, "NA"),
    ]


def test_raven_table_over_many_files(tmp_path):
    audio(tmp_path, "a.wav", "b.wav")
    header = f"{RAVEN}\tBegin File\tFile Offset (s)\n"
    line = "{}\tSpectrogram 1\t1\t{}\t{}\t900\t2100\tx\t{}.wav\t{}\n"
    path = text(tmp_path / "all.txt", header + line.format(1, 5, 6, "a", 5) + line.format(2, 65, 66.5, "b", 5))
    manifest = import_annotations("raven", path)
    assert rows_of(manifest, "recording", "start_s", "end_s") == [("a.wav", 5, 6), ("b.wav", 5, 6.5)]


def test_raven_time_expanded_without_calls_and_other_labels(tmp_path):
    header = RAVEN.replace("Annotation", "Art")
    text(tmp_path / "a.txt", f"{header}\n1\tSpectrogram 1\t1\t5\t6\t4000\t6000\tÉ\n", encoding="latin-1")
    with pytest.raises(DataError, match=r"a.txt: line 2 is not UTF-8; .* right: 'É', .* encoding=windows-1252"):
        import_annotations("raven", tmp_path / "a.txt", label_column="Art")
    text(tmp_path / "b.selections.txt", f"{header}\n")
    manifest = import_annotations("raven", tmp_path, label_column="Art", time_expansion=10, encoding="windows-1252")
    assert manifest.recordings == ["a.wav", "b.wav"]
    assert rows_of(manifest.subset(["a.wav"]), "start_s", "end_s", "low_hz", "high_hz", "label", "time_expansion") == [
        (0.5, 0.6, 40000.0, 60000.0, "É", 10.0)
    ]
    assert manifest.table["label"].tolist() == ["É", ""]
    assert import_annotations("raven", tmp_path, label="bat", encoding="latin-1").labels == ["bat"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("a,b\n1,2\n", r"column 'Begin Time \(s\)' is missing; a Raven selection table"),
        (f"{RAVEN}\n1\tSpectrogram 1\t1\tsoon\t6\t1\t2\tx\n", r"Begin Time \(s\) is 'soon' \(row 2\)"),
        (f"{RAVEN}\n1\tS\t1\t1\t2\t1\t2\tx\n2\tS\t1\t7\t6\t1\t2\tx\n", "selection in row 3 goes from 7 to 6 s"),
        (f"{RAVEN}\n1\tSpectrogram 1\t1\t\t6\t1\t2\tx\n", "selection in row 2 goes from nan to 6 s"),
        (f"{RAVEN}\n1\tSpectrogram 1\t1\t5\t6\t1\t2\t\n", "row 2 has no label; .* option label=NAME"),
        (f"{RAVEN}\n1\tSpectrogram 1\t1\t5\t6\t1\n", "row 2 has 6 cells, the header has 8"),
        (f"{RAVEN}\n1\tSpectrogram 1\t1\t5\t6\t1\t2\tx\ty\n", "row 2 has 9 cells, the header has 8"),
        (
            RAVEN.replace("Annotation", "Art") + "\n1\tS\t1\t5\t6\t1\t2\tx\n",
            "'Annotation' or 'Species' .* label_column",
        ),
    ],
)
def test_raven_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as error:
        import_annotations("raven", text(tmp_path / "a.txt", content))
    assert str(tmp_path / "a.txt") in str(error.value)


# ---- Audacity ---------------------------------------------------------------------------------------------------


def test_audacity_regions_points_bands(tmp_path):
    audio(tmp_path / "audio", "a.wav", "b.flac")
    content = "0.100000\t0.250000\tPip pip\n\\\t41000.5\t68000\n1.5\t1.5\tbuzz\n2\t3\ttwo\twords\n\\\t-1.0\t5000\n"
    text(tmp_path / "labels" / "a.txt", content, encoding="utf-8-sig", newline="\r\n")
    text(tmp_path / "labels" / "b.txt", "")
    manifest = import_annotations("audacity", tmp_path / "labels", tmp_path / "audio")
    table = manifest.table.fillna(-1)
    assert list(
        table[["recording", "start_s", "end_s", "low_hz", "high_hz", "label"]].itertuples(index=False, name=None)
    ) == [
        ("a.wav", 0.1, 0.25, 41000.5, 68000, "Pip pip"),
        ("a.wav", 1.5, 1.5, -1, -1, "buzz"),
        ("a.wav", 2, 3, -1, 5000, "two words"),
        ("b.flac", 0, -1, -1, -1, ""),
    ]


def test_audacity_one_file_time_expanded(tmp_path):
    path = text(tmp_path / "Label Track.txt", "1\t2\t\n\\\t4000\t6000\n")
    manifest = import_annotations("audacity", path, recording="night1.wav", label="bat", time_expansion=10)
    assert rows_of(manifest, "recording", "start_s", "end_s", "low_hz", "high_hz", "label", "time_expansion") == [
        ("night1.wav", 0.1, 0.2, 40000, 60000, "bat", 10)
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1,5\t2,0\tx\n", r"line 1 has '1,5' where a number \(with a decimal point\)"),
        ("\n1 2 x\n", "line 2 is '1 2 x'; a label is start, end and text with tabs"),
        ("\\\t1\t2\n", "line 1 .* a band is"),
        ("1\t2\tx\n\\\t1\n", "line 2 .* a band is"),
        ("1\t2\tx\n2\t1\tx\n", "line 2 goes from 2 to 1 s"),
        ("-1\t1\tx\n", "line 1 goes from -1 to 1 s"),
        ("1\t2\tx\n1\t2\t \n", "the annotation in row 2 has no label"),
        ("1\t2\tx\n\\\t900\t200\n", "low_hz is 900 and high_hz is 200"),
    ],
)
def test_audacity_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message) as error:
        import_annotations("audacity", text(tmp_path / "a.txt", content))
    assert str(tmp_path / "a.txt") in str(error.value)


def test_audacity_recording_is_for_one_file(tmp_path):
    text(tmp_path / "a.txt", "")
    text(tmp_path / "b.txt", "")
    with pytest.raises(DataError, match="option recording is for one label file, here are 2"):
        import_annotations("audacity", tmp_path, recording="c.wav")


# ---- CSV --------------------------------------------------------------------------------------------------------


def test_csv_with_columns_named(tmp_path):
    audio(tmp_path, "s1/a.wav")
    path = text(tmp_path / "t.csv", "file;von;bis;min;max;Art;label\nA.wav;5,5;7;4;6;Pip;old\n\nB;1;2;;;;\n", "latin-1")
    manifest = import_annotations(
        "csv",
        path,
        columns={
            "recording": "file",
            "start_s": "von",
            "end_s": "bis",
            "low_hz": "min",
            "high_hz": "max",
            "label": "Art",
        },
        separator=";",
        decimal=",",
        time_unit="ms",
        frequency_unit="kHz",
        time_expansion=10,
    )
    assert rows_of(manifest, "recording", "start_s", "end_s", "low_hz", "label", "time_expansion")[0] == (
        "s1/a.wav",
        pytest.approx(0.00055),
        pytest.approx(0.0007),
        40000,
        "Pip",
        10,
    )
    assert manifest.table["label"].tolist() == ["Pip", ""]  # the table's own column "label" gave way to the named one


def test_csv_keeps_other_columns(tmp_path):
    header = "path,start_s,end_s,low_hz,high_hz,label,call_type,confidence"
    content = f"{header}\nbats/x.flac,0.0,0.0075,16500.0,51000.0,noise,mec,3.0\n"
    manifest = import_annotations("csv", text(tmp_path / "annotations.csv", content), columns={"recording": "path"})
    expected = pd.DataFrame([("x.flac", 0.0, 0.0075, "noise")], columns=["recording", "start_s", "end_s", "label"])
    expected = make_manifest(expected.assign(recording="bats/x.flac", low_hz=16500.0, high_hz=51000.0), ".", "").table
    pd.testing.assert_frame_equal(manifest.table[expected.columns], expected)
    assert manifest.table[["call_type", "confidence"]].iloc[0].tolist() == ["mec", "3.0"]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("", {}, "the file is empty"),
        ("a,b\n", {"columns": {"recording": "path"}}, r"column 'path' \(for recording\) is missing; found are a, b"),
        ("a,b\n", {"columns": {"species": "a"}}, "columns names 'species'; allowed are recording, start_s"),
        ("recording,start_s,label\n", {}, "column 'end_s' is missing"),
        ("recording,start_s,end_s,label\na,0,1,x\nb,x,1,x\n", {}, r"start_s is 'x' \(row 3\)"),
        (
            "recording,start_s,end_s,label\na,0,1,x\n",
            {"time_unit": "min"},
            "time_unit is 'min'; allowed are 's' and 'ms'",
        ),
        ("recording,start_s,end_s,label\na,0,1,x\n", {"decimal": ";"}, "decimal is ';'"),
        ("recording,start_s,end_s,label\na,0,1,x\n", {"time_expansion": -10}, "time_expansion is -10"),
        ("recording,start_s,end_s,label\na,2,1,x\n", {}, r"start_s is 2 and end_s is 1 \(row 2\)"),
    ],
)
def test_csv_refused(tmp_path, content, options, message):
    with pytest.raises(DataError, match=message) as error:
        import_annotations("csv", text(tmp_path / "t.csv", content), **options)
    assert str(tmp_path / "t.csv") in str(error.value)
