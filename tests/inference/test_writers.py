import csv
import errno
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from ecotf.errors import ConfigError, DataError, DiskFullError
from ecotf.inference.formats import REQUIRED
from ecotf.inference.places import common_folder
from ecotf.inference.tables import COLUMNS
from ecotf.inference.writers import WRITERS, write_detections

ALL = list(WRITERS)
NAN = float("nan")


def calls(recording: str, *rows: tuple) -> pd.DataFrame:
    """A table without what a detector may not know; rows with all columns of ours may be given too."""
    names = list(COLUMNS if rows and len(rows[0]) == len(COLUMNS) - 1 else ("recording", *REQUIRED))
    return pd.DataFrame([(recording, *row) for row in rows], columns=names)


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def night(tmp_path):
    """Two sites whose recordings have the same names, one recording without calls, one unknown band."""
    a, b, c = (str(tmp_path / "night" / name) for name in ("site1/r.wav", "site2/r.wav", "site2/quiet.flac"))
    table = pd.concat(
        [
            calls(a, (0.1 + 0.2, 0.305, 44000.0, 61000.5, "Pip50", 0.91237, 0.987654, 2, "2026-06-21T22:15:00+02:00"),
                  (1.0, 1.0, NAN, NAN, "NA", 0.5, NAN, None, "")),
            calls(b, (0.0156, 0.0201, NAN, 52000.0, "Myosp, small", 1.0, 1.0, 1, "")),
        ],
        ignore_index=True,
    ).astype({"channel": "Int64"})  # fmt: skip
    return table, {a: 384000.0, b: 256000.0, c: 96000.0}, (a, b, c)


def test_every_format_of_every_recording(tmp_path, night):
    table, recordings, _ = night
    out = tmp_path / "out"
    written = write_detections(table, out, ALL, recordings)
    assert files_below(out) == sorted(
        ["detections.csv", "detections.parquet", "classification_result.csv"]
        + [
            f"{name}{ending}"
            for name in ("site1/r", "site2/r", "site2/quiet")
            for ending in (".selections.txt", ".labels.txt", "-sceneRect.csv", ".aoef.json")
        ]
    )
    assert sorted(str(path.relative_to(out)) for path in written) == files_below(out)


def test_csv_and_parquet_hold_the_same_numbers(tmp_path, night):
    table, recordings, _ = night
    write_detections(table, tmp_path / "out", ["csv", "parquet"], recordings)
    parquet = pd.read_parquet(tmp_path / "out" / "detections.parquet")
    pd.testing.assert_frame_equal(parquet, table, check_dtype=False, check_exact=True)
    text = pd.read_csv(
        tmp_path / "out" / "detections.csv", dtype={"label": str, "channel": "Int64"}, keep_default_na=False,
        na_values={"low_hz": "", "high_hz": "", "detection_score": "", "channel": ""}, float_precision="round_trip",
    )  # fmt: skip
    pd.testing.assert_frame_equal(text, table, check_dtype=False, check_exact=True)


def test_published_csv(tmp_path, night):
    table, recordings, _ = night
    write_detections(table, tmp_path / "out", ["published_csv"], recordings)
    assert (tmp_path / "out" / "classification_result.csv").read_text() == (
        "file_name,predicted_time,predicted_species,predicted_prob\n"
        "site1/r.wav,0.300,Pip50,0.912\n"
        "site1/r.wav,1.000,NA,0.500\n"
        'site2/r.wav,0.016,"Myosp, small",1.000\n'
    )


def test_raven(tmp_path, night):
    table, recordings, (a, b, _) = night
    write_detections(table, tmp_path / "out", ["raven"], recordings)
    found = pd.read_csv(tmp_path / "out/site1/r.selections.txt", sep="\t", keep_default_na=False)
    assert list(found.columns)[:7] == [
        "Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)",
    ]  # fmt: skip
    assert found["Selection"].tolist() == [1, 2]
    assert found["View"].tolist() == ["Spectrogram 2", "Spectrogram 1"]
    assert found["Channel"].tolist() == [2, 1]  # a mix of channels is channel 1: Raven needs a number
    assert found["Detection Score"].tolist() == ["0.9877", ""]
    assert found["Date Time"].tolist() == ["2026-06-21T22:15:00+02:00", ""]
    assert found["Begin Time (s)"].tolist() == [0.3, 1.0]
    assert found["File Offset (s)"].tolist() == [0.3, 1.0]
    assert found["High Freq (Hz)"].tolist() == [61000.5, 192000.0]  # an unknown edge is the recording's
    assert found["Low Freq (Hz)"].tolist() == [44000.0, 0.0]
    assert found["Begin Path"].tolist() == [a, a]
    assert found["Begin File"].tolist() == ["r.wav", "r.wav"]
    assert found["Species"].tolist() == ["Pip50", "NA"]
    assert (tmp_path / "out/site2/quiet.selections.txt").read_text().count("\n") == 1
    other = pd.read_csv(tmp_path / "out/site2/r.selections.txt", sep="\t")
    assert other["Begin Path"].tolist() == [b]


def test_audacity(tmp_path, night):
    table, recordings, _ = night
    write_detections(table, tmp_path / "out", ["audacity"], recordings)
    assert (tmp_path / "out/site1/r.labels.txt").read_text() == (
        "0.300000\t0.305000\tPip50 [score 0.9124, call 0.9877, channel 2]\n\\\t44000.000000\t61000.500000\n"
        "1.000000\t1.000000\tNA [score 0.5000]\n"
    )
    assert "\\\t-1.000000\t52000.000000\n" in (tmp_path / "out/site2/r.labels.txt").read_text()
    assert (tmp_path / "out/site2/quiet.labels.txt").read_text() == ""


def test_audiotagger(tmp_path, night):
    table, recordings, _ = night
    write_detections(table, tmp_path / "out", ["audiotagger"], recordings)
    header = (
        "Filename,Label,LabelTimeStamp,Spec_NStep,Spec_NWin,Spec_x1,Spec_y1,Spec_x2,Spec_y2,LabelStartTime_Seconds,"
        "LabelEndTime_Seconds,LabelArea_DataPoints,ClassifierConfidence\n"
    )
    assert (tmp_path / "out/site2/quiet-sceneRect.csv").read_text() == header
    with open(tmp_path / "out/site1/r-sceneRect.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["Filename"], first["Label"], first["LabelArea_DataPoints"]) == ("r.wav", "Pip50", "")
    assert (first["Spec_NStep"], first["Spec_NWin"], first["Spec_y1"]) == ("0.001", "0.003", "0")
    assert float(first["Spec_y2"]) == 384000 * 0.003 / 2
    assert (first["Spec_x1"], first["Spec_x2"]) == ("300", "305")
    assert float(second["LabelEndTime_Seconds"]) == pytest.approx(1.001)


def test_a_tab_in_a_label_shifts_nothing(tmp_path):
    table = calls("a.wav", (0.0, 1.0, 1.0, 2.0, "Pip\t50\nsocial", 0.5))
    write_detections(table, tmp_path, ["raven", "audacity"], {"a.wav": 1000.0})
    assert pd.read_csv(tmp_path / "a.selections.txt", sep="\t")["Species"].tolist() == ["Pip␉50␊social"]
    assert (tmp_path / "a.labels.txt").read_text().startswith("0.000000\t1.000000\tPip␉50␊social [score 0.5000]\n")


def test_no_detections_at_all(tmp_path):
    write_detections(calls(""), tmp_path, ["csv", "parquet", "published_csv"], {"a.wav": 1000.0})
    assert (tmp_path / "detections.csv").read_text() == ",".join(COLUMNS) + "\n"
    schema = pq.read_schema(tmp_path / "detections.parquet")
    assert schema.names == list(COLUMNS) and str(schema.field("score").type) == "double"


def test_common_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert common_folder(["n/a/1.wav", "n/b/2.wav"]) == tmp_path / "n"
    assert common_folder(["n/a/1.wav"]) == tmp_path / "n" / "a"
    assert common_folder([]) == tmp_path


# Bad input


@pytest.mark.parametrize("formats", [["csv", "excel"], ["Raven"]])
def test_unknown_format(tmp_path, formats):
    with pytest.raises(
        ConfigError, match=f"'{formats[-1]}' is unknown; known formats: csv, parquet, published_csv, ra"
    ):
        write_detections(calls(""), tmp_path / "out", formats, {})
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match="no output format"):
        write_detections(calls(""), tmp_path / "out", [], {})


def test_a_table_that_does_not_fit(tmp_path):
    with pytest.raises(DataError, match="lack column 'score'"):
        write_detections(calls("a").drop(columns="score"), tmp_path, ["csv"], {})
    with pytest.raises(DataError, match=r"name 'b\.wav', which is not among the 1 recordings"):
        write_detections(calls("b.wav", (0, 1, 1, 2, "x", 0.5)), tmp_path, ["csv"], {"a.wav": 1.0})
    assert files_below(tmp_path) == []


def test_parquet_is_written_in_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr("ecotf.inference.tables._ROW_GROUP", 100)
    scores = np.random.default_rng(0).random(250)
    table = calls("a.wav", *((0.0, 1.0, 1.0, 2.0, "Pip", score) for score in scores))
    write_detections(table, tmp_path, ["parquet"], {"a.wav": 1000.0})
    assert pq.ParquetFile(tmp_path / "detections.parquet").num_row_groups == 3
    np.testing.assert_array_equal(pd.read_parquet(tmp_path / "detections.parquet")["score"], scores)


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(self, table):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(DiskFullError, match=r"disk full while writing .*detections\.parquet"):
        write_detections(calls("a.wav", (0.0, 1.0, 1.0, 2.0, "x", 0.5)), tmp_path, ["parquet"], {"a.wav": 1.0})
    assert files_below(tmp_path) == []
