import csv
import errno
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from ecotf.errors import ConfigError, DataError, EcotfError
from ecotf.inference.formats import REQUIRED
from ecotf.inference.tables import COLUMNS
from ecotf.inference.writers import JOURNAL, WRITERS, DetectionWriter, common_folder, write_detections

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


def test_names_that_differ_only_in_their_ending(tmp_path):
    names = [str(tmp_path / "in" / name) for name in ("a.wav", "a.flac", "a.WAV", "a.flac.wav")]
    for order in (names, names[::-1]):  # whatever the order of the work, the places stay
        out = tmp_path / f"out{order is names}"
        with DetectionWriter(out, ["raven"], tmp_path / "in", names) as writer:
            for name in order:
                writer.add(name, calls(name, (0.0, 1.0, 1.0, 2.0, Path(name).name, 0.5)), 1000.0)
        species = {path.name: pd.read_csv(path, sep="\t")["Species"].item() for path in out.iterdir()}
        assert species == {
            "a.selections.txt": "a.wav",
            "a.flac.selections.txt": "a.flac",
            "a.WAV.selections.txt": "a.WAV",
            "a.flac.wav.selections.txt": "a.flac.wav",
        }


def test_recordings_outside_the_root_do_not_meet(tmp_path):
    with DetectionWriter(tmp_path / "out", ["audacity"], tmp_path / "in") as writer:
        for name in ("in/r.wav", "x/r.wav", "y/r.wav"):
            writer.add(str(tmp_path / name), calls(""), 1000.0)
    assert len(files_below(tmp_path / "out")) == 3
    assert all(path.is_relative_to(tmp_path / "out") for path in writer.written)


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
        DetectionWriter(tmp_path / "out", formats, tmp_path)
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match="no output format"):
        DetectionWriter(tmp_path / "out", [], tmp_path)


def test_a_table_that_does_not_fit(tmp_path):
    with pytest.raises(DataError, match="lack column 'score'"):
        write_detections(calls("a").drop(columns="score"), tmp_path, ["csv"], {})
    with pytest.raises(DataError, match=r"name 'b\.wav', which is not among the 1 recordings"):
        write_detections(calls("b.wav", (0, 1, 1, 2, "x", 0.5)), tmp_path, ["csv"], {"a.wav": 1.0})
    assert files_below(tmp_path) == []


def test_names_that_are_not_utf8(tmp_path):
    name = os.fsdecode(b"for\xeat.wav")
    with DetectionWriter(tmp_path, ALL, tmp_path) as writer:
        writer.add(str(tmp_path / name), calls("", (0.0, 1.0, NAN, NAN, "Pip", 0.5)), 1000.0)
    assert b"for\xeat.wav," in (tmp_path / "detections.csv").read_bytes()
    assert pd.read_parquet(tmp_path / "detections.parquet")["recording"].item().endswith("for�t.wav")
    assert os.path.exists(tmp_path / os.fsdecode(b"for\xeat-sceneRect.csv"))


# Streaming, kills, full disks


def test_nothing_under_a_final_name_until_the_end(tmp_path):
    writer = DetectionWriter(tmp_path, ["csv", "parquet", "raven"], tmp_path)
    writer.add("a.wav", calls("", (0.0, 1.0, 1.0, 2.0, "Pip", 0.5)), 1000.0)
    assert {path for path in files_below(tmp_path) if path.startswith("det")} == {JOURNAL}
    assert len((tmp_path / JOURNAL).read_text().splitlines()) == 2
    writer.close()
    assert not (tmp_path / JOURNAL).exists()
    assert {"detections.csv", "detections.parquet"} <= set(files_below(tmp_path))


def test_an_error_in_the_job_leaves_the_journal(tmp_path):
    with pytest.raises(KeyboardInterrupt), DetectionWriter(tmp_path, ["csv"], tmp_path) as writer:
        writer.add("a.wav", calls("", (0.0, 1.0, 1.0, 2.0, "Pip", 0.5)), 1000.0)
        raise KeyboardInterrupt
    assert files_below(tmp_path) == [JOURNAL]


def test_a_killed_job_goes_on_without_doubles(tmp_path):
    """Killed after b was written but before the ledger knew: b is done again, and must not appear twice."""
    child = """
import os, signal, sys
import pandas as pd
from ecotf.inference.writers import DetectionWriter
writer = DetectionWriter(sys.argv[1], ["csv", "parquet"], sys.argv[1])
row = pd.DataFrame([dict(start_s=0.0, end_s=1.0, low_hz=1.0, high_hz=2.0, label="Pip", score=0.5)])
writer.add("a.wav", row, 1000.0)
writer.add("b.wav", row, 1000.0)
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", child, str(tmp_path)], check=False).returncode == -signal.SIGKILL
    with open(tmp_path / JOURNAL, "a") as file:
        file.write("c.wav,0.5,0.")
    with DetectionWriter(tmp_path, ["csv", "parquet"], tmp_path, keep={"a.wav"}) as writer:
        for name in ("b.wav", "c.wav"):
            writer.add(name, calls("", (2.0, 3.0, 1.0, NAN, "Myo", 0.25)), 1000.0)
    for table in (pd.read_csv(tmp_path / "detections.csv"), pd.read_parquet(tmp_path / "detections.parquet")):
        assert table["recording"].tolist() == ["a.wav", "b.wav", "c.wav"]
        assert table["label"].tolist() == ["Pip", "Myo", "Myo"]
        assert math.isnan(table["high_hz"][2])
    assert files_below(tmp_path) == ["detections.csv", "detections.parquet"]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_new_recordings_join_a_finished_job(tmp_path, form):
    for keep, name in ((None, "a.wav"), ({"a.wav"}, "b.wav")):
        with DetectionWriter(tmp_path, [form], tmp_path, keep=keep) as writer:
            writer.add(name, calls("", (0.1, 1.0, NAN, 2.0, "NA", 0.5)), 1000.0)
    path = tmp_path / f"detections.{form}"
    table = pd.read_csv(path, keep_default_na=False) if form == "csv" else pd.read_parquet(path)
    assert table["recording"].tolist() == ["a.wav", "b.wav"]
    assert table["label"].tolist() == ["NA", "NA"]


def test_resuming_where_the_detections_are_gone(tmp_path):
    with pytest.raises(ConfigError, match="2 recordings are finished but their detections are not there"):
        DetectionWriter(tmp_path, ["csv"], tmp_path, keep={"a.wav", "b.wav"})


def test_a_full_disk_while_collecting(tmp_path, monkeypatch):
    writer = DetectionWriter(tmp_path, ["csv"], tmp_path)
    writer.add("a.wav", calls("", (0.0, 1.0, 1.0, 2.0, "Pip", 0.5)), 1000.0)
    before = (tmp_path / JOURNAL).read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EcotfError, match=r"disk full while writing .*detections\.csv\.partial"):
        writer.add("b.wav", calls("", (0.0, 1.0, 1.0, 2.0, "Pip", 0.5)), 1000.0)
    assert (tmp_path / JOURNAL).read_bytes() == before


def test_a_full_disk_at_the_end_keeps_the_journal(tmp_path, monkeypatch):
    writer = DetectionWriter(tmp_path, ["parquet"], tmp_path)
    writer.add("a.wav", calls("", (0.0, 1.0, 1.0, 2.0, "Pip", 0.5)), 1000.0)

    def full(self, table):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(EcotfError, match=r"disk full while writing .*detections\.parquet"):
        writer.close()
    assert files_below(tmp_path) == [JOURNAL]


def test_parquet_is_written_in_row_groups(tmp_path, monkeypatch):
    monkeypatch.setattr("ecotf.inference.tables._ROW_GROUP", 100)
    rng = np.random.default_rng(0)
    with DetectionWriter(tmp_path, ["parquet"], tmp_path) as writer:
        scores = rng.random((5, 50))
        for index, some in enumerate(scores):
            rows = [(0.0, 1.0, 1.0, 2.0, "Pip", score) for score in some]
            writer.add(f"{index}.wav", calls("", *rows), 1000.0)
    assert pq.ParquetFile(tmp_path / "detections.parquet").num_row_groups == 3
    np.testing.assert_array_equal(pd.read_parquet(tmp_path / "detections.parquet")["score"], scores.ravel())
