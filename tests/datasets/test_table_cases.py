"""Tables that were misread in silence, and their neighbours: each is read right, or refused by file, row and remedy."""

import subprocess
import sys
from pathlib import Path

import pytest

from ecotf.commands.make_dataset import main
from ecotf.datasets.importers import import_annotations
from ecotf.datasets.manifest import read_manifest
from ecotf.errors import DataError

from .odd_tables import CSV, RAVEN, read, row

CASES = Path(__file__).parents[3] / "shared" / "cases" / "make_cases.py"


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
