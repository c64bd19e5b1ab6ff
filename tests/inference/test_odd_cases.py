"""The odd files that people have reported, through the job: what the ledger says of each, and what is found in it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from ecotf.audio.discover import find_recordings, shown_name
from ecotf.inference.job import ClassifierOptions, classify
from ecotf.inference.ledger import Entry, read_ledger

from .cheap_run import CheapRun

CASES = Path(__file__).parents[3] / "shared" / "cases" / "make_cases.py"
pytestmark = pytest.mark.skipif(not CASES.exists(), reason="the odd files are made by a script beside the project")
PLAIN = ClassifierOptions()


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cases")
    subprocess.run([sys.executable, CASES, folder], check=True)
    return folder


@pytest.fixture(scope="module")
def heard(cases, tmp_path_factory) -> tuple[dict[str, Entry], pd.DataFrame]:
    """The ledger by file name, and the detections, of all sound files."""
    out = tmp_path_factory.mktemp("heard")
    run = CheapRun(out / "model.bin")
    classify(run, find_recordings([cases / "sound"]).recordings, out / "out", replace(PLAIN, formats=("csv", "raven")))
    table = pd.read_csv(out / "out" / "detections.csv", keep_default_na=False)
    return {Path(row.recording).name: row for row in read_ledger(out / "out" / "ledger.csv")}, table


@pytest.mark.parametrize("name", ["header_half.wav", "header_44.wav", "rf64_half.wav"])
def test_a_header_that_promises_less(heard, name):
    rows, _ = heard
    assert (rows[name].status, rows[name].n_detections) == ("done", rows["plain.wav"].n_detections)
    assert "its header promises" in rows[name].reason and "it holds 2.000 s" in rows[name].reason


@pytest.mark.parametrize("name", ["header_7fffffff.wav", "preallocated.wav", "bw64.wav", "ending.wave", "ending.caf",
                                  "ending.au"])  # fmt: skip
def test_read_like_any_other(heard, name):
    rows, _ = heard
    assert (rows[name].status, rows[name].n_detections) == ("done", rows["plain.wav"].n_detections)


def test_a_rate_of_0(heard):
    row = heard[0]["rate_0.wav"]
    assert row.status in ("corrupt", "unsupported") and "its header gives a sample rate of 0" in row.reason


@pytest.mark.parametrize(
    ("name", "time"),
    [
        ("20220331T094900-0300_Rec.wav", "2022-03-31T09:49:00.000-03:00"),
        ("5DCDA8E0.WAV", "2019-11-14T19:20:00.000+00:00"),
        ("2026-06-21_22-15-00.wav", "2026-06-21T22:15:00.000"),
        ("wamd_zone.wav", "2024-05-01T00:00:00.000+05:00"),
        ("guano_year_1.wav", ""),
    ],
)
def test_every_detection_is_dated(heard, name, time):
    rows, table = heard
    mine = table[table["recording"] == rows[name].recording]
    assert rows[name].status == "done" and mine["time"].iloc[0] == time
    if not time:
        assert "is left out" in rows[name].reason
    if len(time) == len("2026-06-21T22:15:00.000"):
        assert "its time zone is not known" in rows[name].reason


@pytest.mark.parametrize(("choice", "channels"), [(2, {2}), ("each", {2}), (1, set()), ("mix", {""})])
def test_bats_on_the_right(cases, tmp_path, choice, channels):
    run = CheapRun(tmp_path / "model.bin")
    asked = replace(PLAIN, channel=choice, formats=("csv", "raven"))
    classify(run, [cases / "sound" / "bats_on_the_right.wav"], tmp_path / "out", asked)
    table = pd.read_csv(tmp_path / "out" / "detections.csv", keep_default_na=False)
    assert set(table["channel"]) == channels
    raven = pd.read_csv(next((tmp_path / "out").glob("*.selections.txt")), sep="\t")
    assert set(raven["Channel"]) == {number or 1 for number in channels}


def test_names(cases, tmp_path):
    run, every = CheapRun(tmp_path / "model.bin"), ("csv", "raven", "audacity", "audiotagger", "parquet")
    recordings = find_recordings([cases / "names"]).recordings
    for _ in range(2):
        result = classify(run, recordings, tmp_path / "out", replace(PLAIN, formats=every), resume=True)
        assert result.counts["done"] == 4 == sum(result.counts.values())
    names = {row.recording for row in read_ledger(tmp_path / "out" / "ledger.csv")}
    assert names == set(map(shown_name, recordings))
    assert any(name.endswith(r"for\xeat.wav") for name in names)
    assert set(pd.read_csv(tmp_path / "out" / "detections.csv")["recording"]) == names
