# ruff: noqa: E501 -- tables read better in one line
"""Tables that were misread in silence, and their neighbours: each is read right, or refused by file, row and remedy."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ecotf.commands.make_dataset import main
from ecotf.datasets.importers import import_annotations
from ecotf.datasets.manifest import read_manifest
from ecotf.errors import DataError

CASES = Path(__file__).parents[3] / "shared" / "cases" / "make_cases.py"
RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tSpecies"
CSV = "recording,start_s,end_s,label"


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    if not CASES.is_file():
        pytest.skip("the cases are beside the project only where it is developed")
    folder = tmp_path_factory.mktemp("cases")
    (folder / "tables").mkdir()
    make = f"import sys; sys.path.insert(0, {str(CASES.parent)!r}); import make_cases, pathlib; "
    subprocess.run(
        [sys.executable, "-c", f"{make}make_cases.tables(pathlib.Path({str(folder / 'tables')!r}))"], check=True
    )
    return folder / "tables"


@pytest.fixture
def folder(tmp_path):
    """Two recordings of 0.5 and 2 s."""
    for name, seconds in (("t1", 0.5), ("t2", 2.0)):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(round(seconds * 8000)), 8000)
    return tmp_path


def read(folder, format, content, name=None, **options):
    path = folder / (name or {"raven": "t2.Table.1.selections.txt", "audacity": "t2.txt"}.get(format, "id.csv"))
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return import_annotations(format, path, folder, **options)


def row(number, begin, label="Pippip", more="", low="20000", high="90000", view="Spectrogram 1"):
    return f"{number}\t{view}\t1\t{begin}\t{begin + 0.005}\t{low}\t{high}\t{label}{more}\n"


# ---- the cases, by the command ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "format", "file", "labels"),
    [
        ("raven_quotes", "raven", "", ['"unsure', '"faint'] + ["Pippip"] * 8),
        ("csv_empty_columns", "csv", "calls.csv", ["Pippip"]),
        ("csv_sep_line", "csv", "calls.csv", ["Pippip"]),
        ("kaleidoscope", "kaleidoscope", "id.csv", ["PIPPIP", "PIPNAT", "NoID"]),
        ("csv_labels", "csv", "calls.csv", ["Not Bat", "nocall", "Background", "bat", "Unknown", "NoID", "Pippip",
                                           "=1+$x^{$"]),
    ],
)  # fmt: skip
def test_cases_that_are_read(cases, tmp_path, capsys, case, format, file, labels):
    out = tmp_path / "manifest.csv"
    arguments = ["import", "--format", format, str(cases / case / file), "--output", str(out)]
    assert main([*arguments, "--audio-dir", str(cases / "recordings")]) == 0
    assert f"{len(labels)} annotations" in capsys.readouterr().out
    table = read_manifest(out).table
    assert sorted(table["label"]) == sorted(labels)
    assert (table["end_s"] - table["start_s"]).round(6).eq(0.005).all()


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("raven_two_files_no_offset", "all.selections.txt: its selections are in 2 sound files.*'File Offset .s.'"),
        ("raven_one_bad_of_three", r"t2.Table.3.selections.txt: low_hz is 90000 and high_hz is 20000 \(row 2\)"),
    ],
)
def test_cases_that_are_refused(cases, case, said):
    with pytest.raises(DataError, match=said):
        import_annotations("raven", cases / case, cases / "recordings")


# ---- quotation marks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("last", ['"faint', 'faint"', '"', '""', '"all"', "Pippip"])
def test_marks_in_tables_without_quotation_are_text(folder, last):
    labels = ['"unsure', "Pippip", last]
    manifest = read(folder, "raven", RAVEN + "\n" + "".join(row(n, n / 10, label) for n, label in enumerate(labels)))
    assert manifest.table["label"].tolist() == labels


def test_marks_that_a_spreadsheet_or_r_put_there_come_off(folder):
    excel = RAVEN + "\n" + row(1, 0.1, '"Pip, small"') + row(2, 0.2, '"a ""b"" c"') + row(3, 0.3)
    assert read(folder, "raven", excel).table["label"].tolist() == ["Pip, small", 'a "b" c', "Pippip"]
    r = "\n".join(
        "\t".join(f'"{cell}"' for cell in line.split("\t")) for line in f"{RAVEN}\n{row(1, 0.1)}".splitlines()
    )
    assert read(folder, "raven", r).table["label"].tolist() == ["Pippip"]


@pytest.mark.parametrize(
    "cells",
    [('"unsure', '"faint'), ('"unsure', 'faint"'), ('"', '"'), ('"unsure', "faint"), ('"a" b', "c")],
)
def test_marks_that_swallow_rows_of_a_csv_are_refused(folder, cells):
    lines = [f"t2.wav,{n / 10},{n / 10 + 0.01},{label}" for n, label in enumerate([cells[0], "Pippip", cells[1]])]
    with pytest.raises(
        DataError, match=r"id\.csv: (a quotation mark opens in row 2|quotation marks do not fit in row 2)"
    ):
        read(folder, "csv", "\n".join([CSV, *lines, ""]))


def test_cells_of_several_lines_are_cells(folder):
    manifest = read(folder, "csv", f'{CSV},note\nt2.wav,0,1,x,"seen at dusk,\nin rain"\nt2.wav,1,2,y,\n')
    assert manifest.table["note"].tolist() == ["seen at dusk,\nin rain", ""]


# ---- separators, columns, rows ------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["", "sep=;\n", "SEP=;\r\n", '"sep=;"\n'])
def test_semicolons(folder, head):
    assert len(read(folder, "csv", head + f"{CSV}\nt2.wav,0.1,0.2,x\n".replace(",", ";")).annotations) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"{CSV},,\nt2.wav,0,050,0,055,x\n", r"column 5 has no name, but row 2 has '055' in it"),
        (f"{CSV}\nt2.wav,0,050,0,055,x\n", "row 2 has 6 cells, the header has 4"),
        (f"{CSV}\nt2.wav,0.1,0.2,x\nt2.wav,0.3,0.\n", "row 3 has 3 cells, the header has 4"),
        (f"{CSV},species\nt2.wav,0,1,x,y\n", "'label' and 'species' could both hold the labels.*columns.label="),
        ("recording,start_s,label,end_s,length_s\nt2.wav,0,x,1,1\n", "both end_s and length_s"),
        (f"{CSV}\nt2.wav,0.2,0.1,x\n", r"start_s is 0.2 and end_s is 0.1 \(row 2\)"),
        ("", "the file is empty"),
        ("sep=;\n", "the file is empty"),
    ],
)
def test_columns_and_rows_that_do_not_fit(folder, content, said):
    with pytest.raises(DataError, match=said):
        read(folder, "csv", content)


@pytest.mark.parametrize(
    "content",
    [
        f"{CSV},,\nt2.wav,0,1,x,,\n",
        f"{CSV}\nt2.wav,0,1,x,,\n",
        f"{CSV}\n\nt2.wav,0,1,x\n,,,\n",
        f",{CSV}\n0,t2.wav,0,1,x\n",
        '"","recording","start_s","end_s","label"\n"1","t2.wav",0,1,"x"\n',
        f"\n{CSV}\nt2.wav,0,1,x\n",
        f"{CSV},species\nt2.wav,0,1,x,\n",
        "recording,start_s,length_s,label\nt2.wav,0,1,x\n",
    ],
)
def test_columns_and_rows_that_mean_nothing(folder, content):
    table = read(folder, "csv", content).table
    assert table[["recording", "start_s", "end_s", "label"]].values.tolist() == [["t2.wav", 0, 1, "x"]]


def test_a_start_and_a_length(folder):
    content = "File;Begin;Length;Sp\nt2.wav;50;5;x\n"
    columns = {"recording": "File", "start_s": "Begin", "length_s": "Length", "label": "Sp"}
    table = read(folder, "csv", content, columns=columns, time_unit="ms").table
    assert table[["start_s", "end_s"]].values.tolist() == [[0.05, pytest.approx(0.055)]]


@pytest.mark.parametrize("labels", [("NA", "None", "NaN", "null", "nan")])
def test_labels_that_look_missing_are_labels(folder, labels):
    content = f"{CSV}\n" + "".join(f"t2.wav,{n / 10},{n / 10},{label}\n" for n, label in enumerate(labels))
    assert read(folder, "csv", content).table["label"].tolist() == list(labels)


# ---- numbers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "options", "said"),
    [
        ("0,050", {}, "decimal point is needed.*decimal=,"),
        ("1,234.5", {}, "without separators of thousands"),
        ("20.000", {"decimal": ","}, "decimal comma is needed, without separators of thousands"),
        ("1_0", {}, "a number is needed"),
        ("nan", {}, "a number is needed"),
        ("0x10", {}, "a number is needed"),
        ("00:00:01", {}, "time_unit=h:mm:ss"),
        ("1:05", {"time_unit": "h:mm:ss"}, "a time as h:mm:ss is needed"),
        ("−1", {}, "a number is needed"),
        ("1e999", {}, "a finite number is needed"),
    ],
)
def test_numbers_that_could_be_others_are_refused(folder, cell, options, said):
    with pytest.raises(DataError, match=rf"start_s is .*\(row 2\).*{said}"):
        read(folder, "csv", f"recording;start_s;end_s;label\nt2.wav;{cell};;x\n", **options)


def test_numbers_that_are_said(folder):
    commas = read(folder, "csv", "recording;start_s;end_s;label\nt2.wav;0,050;0,055;x\n", decimal=",").table
    assert commas[["start_s", "end_s"]].values.tolist() == [[0.05, 0.055]]
    clock = read(folder, "csv", f"{CSV}\nt2.wav,0:00:01.5,00:01:00,x\n", time_unit="h:mm:ss").table
    assert clock[["start_s", "end_s"]].values.tolist() == [[1.5, 60]]


# ---- encodings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("format", ["csv", "raven", "audacity"])
def test_encodings_that_say_what_they_are(folder, encoding, format):
    content = {
        "csv": f"{CSV}\nt2.wav,0.1,0.2,Chauve-souris é\n",
        "raven": f"{RAVEN}\n{row(1, 0.1, 'Chauve-souris é')}",
        "audacity": "0.1\t0.2\tChauve-souris é\n",
    }[format]
    assert read(folder, format, content.replace("\n", "\r\n").encode(encoding)).labels == ["Chauve-souris é"]


@pytest.mark.parametrize("encoding", ["latin-1", "windows-1252", "windows-1250", "mac_roman", "cp850"])
def test_encodings_that_do_not_are_refused_until_stated(folder, encoding):
    content = f"{CSV}\nt2.wav,0.1,0.2,Chauve-souris é\n".encode(encoding)
    with pytest.raises(DataError, match=r"line 2 is not UTF-8; save it as UTF-8, or, .* encoding=windows-1252"):
        read(folder, "csv", content)
    assert read(folder, "csv", content, encoding=encoding).labels == ["Chauve-souris é"]


def test_one_accent_is_one_class(folder):
    content = f"{CSV}\nt2.wav,0.1,0.2,\u00e9\nt2.wav,0.2,0.3,e\u0301\n"
    assert read(folder, "csv", content).labels == ["\u00e9"]


# ---- Raven --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (f"{RAVEN}\tBegin File\n{row(1, 0.05, more=chr(9) + 't1.wav')}{row(2, 0.55, more=chr(9) + 't2.wav')}", "2 sound"),
        (f"{RAVEN}\tBegin Path\n{row(1, 0.05, more=chr(9) + 'D:t1.wav')}{row(2, 0.55, more=chr(9) + 't2.wav')}", "2 sound"),
        (f"{RAVEN}\tBegin File\n{row(1, 2.2, more=chr(9) + 't2.wav')}", "row 2 ends at 2.205 s, 't2.wav' at 2 s"),
        (f"{RAVEN}\tBegin File\n{row(1, 0.1, more=chr(9) + 't1.wav')}", "the table of 't2.wav'.* in 't1.wav'"),
        (f"{RAVEN}\tFile Offset (s)\n{row(1, 0.1, more=chr(9) + '0.1')}{row(2, 0.2, more=chr(9))}", r"empty \(row 3\)"),
        (f"{RAVEN}\tAnnotation\n{row(1, 0.1, more=chr(9) + 'Myo')}", "'Species' and 'Annotation'.*label_column"),
        (f"{RAVEN}\n{row(1, 0.1, low='20.000,0')}", r"Low Freq .* is '20.000,0' \(row 2\)"),
    ],
)  # fmt: skip
def test_raven_tables_that_could_mean_two_things(folder, content, said):
    with pytest.raises(DataError, match=said):
        read(folder, "raven", content)


def test_raven_offsets_over_two_files(folder):
    more = "\t{0}.wav\t{1}\t{0}.wav"
    content = f"{RAVEN}\tBegin File\tFile Offset (s)\tEnd File\n" + row(1, 0.05, more=more.format("t1", 0.05))
    manifest = read(folder, "raven", content + row(2, 0.55, more=more.format("t2", 0.05)))
    assert manifest.table[["recording", "start_s"]].values.tolist() == [["t1.wav", 0.05], ["t2.wav", 0.05]]
    across = content + row(2, 0.49, more="\tt1.wav\t0.49\tt2.wav")
    with pytest.raises(DataError, match=r"row 3 begins in one file and ends in another, 't2.wav'"):
        read(folder, "raven", across)


def test_raven_selections_count_once(folder):
    pair = row(1, 0.1, view="Waveform 1", low="0") + row(1, 0.1)
    assert len(read(folder, "raven", f"{RAVEN}\n{pair}").annotations) == 1
    copy = folder / "t2.Table.2.selections.txt"
    copy.write_text(f"{RAVEN}\n{row(1, 0.1)}{row(2, 0.3)}")
    manifest = import_annotations("raven", folder, folder)
    assert len(manifest.annotations) == 2
    assert manifest.notes == ("1 annotations are there twice; each is taken once",)


# ---- Audacity, Kaleidoscope, JSON ---------------------------------------------------------------------------------


def test_scores_behind_audacitys_labels(folder):
    ours = read(folder, "audacity", "0.1\t0.2\tMyotis 0.5 [score 0.9123, call 0.98]\n0.2\t0.3\tMyotis 0.91\n")
    assert ours.labels == ["Myotis 0.5", "Myotis 0.91"]
    assert ours.table["score"].fillna(-1).tolist() == [0.9123, -1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("IN FILE,OFFSET,AUTO ID\nt2.wav,0,x\n", "OFFSET and DURATION are needed together"),
        ("IN FILE,OFFSET,DURATION,AUTO ID\nt2.wav,0,1,\n", "row 2 has no label"),
        ("IN FILE,OFFSET,DURATION,AUTO ID\nt2.wav,1,-0.5,x\n", "must not end before it starts"),
        (f"{CSV}\n", "id.csv or meta.csv has the columns IN FILE"),
    ],
)
def test_kaleidoscope_refused(folder, content, said):
    with pytest.raises(DataError, match=said):
        read(folder, "kaleidoscope", content)


def test_kaleidoscope(folder):
    content = "INDIR,FOLDER,IN FILE,CHANNEL,OFFSET,DURATION,AUTO ID*,MANUAL ID\n"
    content += (
        "D:\\s,,t2.wav,1,0.1,0.1,PIPPIP,\nD:\\s,n,t1.wav,0,0.1,0.1,Noise,\nD:\\s,n,gone.wav,0,0.1,0.1,NoID,A; B\n"
    )
    table = read(folder, "kaleidoscope", content).table
    assert table[["recording", "label", "channel"]].values.tolist() == [
        ["t2.wav", "PIPPIP", 2], ["t1.wav", "Noise", 1], ["n/gone.wav", "A", 1], ["n/gone.wav", "B", 1],
    ]  # fmt: skip
    weak = read(folder, "kaleidoscope", "IN FILE,AUTO ID\nt2.wav,PIPPIP\n").table
    assert weak["start_s"].tolist() == [0] and weak["end_s"].isna().all()
    (folder / "meta.csv").write_text(content)
    with pytest.raises(DataError, match=r"id.csv, meta.csv describe the same recordings"):
        import_annotations("kaleidoscope", folder)


@pytest.mark.parametrize("name", [None, "", 3, ["x"]])
def test_a_label_that_is_no_text_is_refused(folder, name):
    box = {"start_time": 0, "end_time": 1, "low_freq": 0, "high_freq": 1, "class": name}
    entry = {"id": "t2.wav", "annotated": True, "annotation": [box]}
    with pytest.raises(DataError, match="box 1 has no class"):
        read(folder, "batdetect2", json.dumps(entry), "t2.wav.json")


AOEF = {
    "collection_type": "annotation_set",
    "tags": [{"id": 0, "key": "species", "value": "Pippip"}, {"id": 1, "key": "event", "value": "Echolocation"}],
    "recordings": [{"uuid": "r1", "path": "t1.wav", "duration": 0.5}, {"uuid": "r2", "path": "t2.wav", "duration": 2}],
    "sound_events": [
        {"uuid": "s1", "recording": "r2", "geometry": {"type": "BoundingBox", "coordinates": [0.1, 2e4, 0.2, 9e4]}},
        {"uuid": "s2", "recording": "r2", "geometry": {"type": "TimeStamp", "coordinates": 0.3}},
        {"uuid": "s3", "recording": "r2", "geometry": {"type": "Polygon", "coordinates": [[[0.4, 9], [0.5, 7], [0.45, 8]]]}},
    ],
    "clips": [{"uuid": "c1", "recording": "r1"}, {"uuid": "c2", "recording": "r2"}],
    "sound_event_annotations": [{"uuid": f"a{n}", "sound_event": f"s{n}", "tags": [0, 1]} for n in (1, 2, 3)],
    "clip_annotations": [{"uuid": "x1", "clip": "c1"}, {"uuid": "x2", "clip": "c2", "sound_events": ["a1", "a2", "a3"]}],
}  # fmt: skip


def test_annotations_of_soundevent(folder):
    table = read(folder, "aoef", json.dumps({"version": "1.1.0", "data": AOEF}), "a.json", label_key="species").table
    assert table.fillna(-1)[["recording", "start_s", "end_s", "low_hz", "high_hz", "label"]].values.tolist() == [
        ["t2.wav", 0.1, 0.2, 2e4, 9e4, "Pippip"], ["t2.wav", 0.3, 0.3, -1, -1, "Pippip"],
        ["t2.wav", 0.4, 0.5, 7, 9, "Pippip"], ["t1.wav", 0, 0.5, -1, -1, ""],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ({}, {}, "tags have the keys species, event; .* label_key="),
        ({"tags": [{"id": 0, "key": "species", "value": None}]}, {}, "the tag species is None"),
        ({"tags": [{"id": 9, "key": "species", "value": "x"}]}, {}, "tag 0 is not in the file"),
        ({"sound_events": []}, {"label_key": "species"}, "sound_event 's1' is not in the file"),
        ({"collection_type": "recording_set", "sound_event_annotations": [], "clip_annotations": []}, {}, "nothing to read"),
    ],
)  # fmt: skip
def test_soundevent_refused(folder, change, options, said):
    with pytest.raises(DataError, match=said):
        read(folder, "aoef", json.dumps({"version": "1.1.0", "data": AOEF | change}), "a.json", **options)
