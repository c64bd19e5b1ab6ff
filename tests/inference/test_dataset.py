"""The detections of a job as a Parquet data set: the rows of the table, in parts that say when they are not whole."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset
import pytest
import soundfile

from ecotf.errors import ConfigError, DataError
from ecotf.inference import dataset
from ecotf.inference.dataset import JOURNAL, read_dataset
from ecotf.inference.job import ClassifierOptions, classify
from ecotf.strangers import from_cell

from .cheap_run import CheapRun

ASKED = ClassifierOptions(formats=("csv", "dataset"))


@pytest.fixture
def season(tmp_path) -> list[Path]:
    """Two sites, one with a name that no partition may have; two nights and a recording without a date."""
    rng, paths = np.random.default_rng(0), []
    for site in ("oak", "a=b & c"):
        for name in ("20260621_221500", "20260621_231500", "20260622_221500", "undated"):
            path = tmp_path / "season" / site / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, 0.1 * rng.standard_normal(4800), 16_000, subtype="PCM_16")
            paths.append(path)
    return paths


def rows(table: pd.DataFrame) -> pd.DataFrame:
    names = ["recording", "start_s", "label", "score"]
    return table[names].sort_values(names, ignore_index=True)


def whole(out: Path) -> pd.DataFrame:
    found = pd.read_csv(out / "detections.csv", keep_default_na=False)
    return rows(found.assign(label=found["label"].map(from_cell)))


def test_the_parts_hold_the_rows_of_the_table_by_site_and_date(season, tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "MOST_ROWS", 5)  # several groups
    out, run = tmp_path / "out", CheapRun(tmp_path / "model.bin")
    classify(run, season[:5], out, ASKED)
    parts = sorted((out / "detections").rglob("*.parquet"))
    classify(run, season, out, ASKED, resume=True)
    assert set(parts) < set((out / "detections").rglob("*.parquet"))  # nothing is written again
    table = read_dataset(out)
    pd.testing.assert_frame_equal(rows(table), whole(out))
    assert set(table["site"]) == {"oak", "a=b & c"}
    assert set(table["date"].dropna()) == {"2026-06-21", "2026-06-22"} and table["date"].isna().any()
    # Other programs read it as what it is.
    theirs = pyarrow.dataset.dataset(out / "detections", partitioning="hive").to_table().to_pandas()
    pd.testing.assert_frame_equal(rows(theirs), whole(out))
    assert set(theirs["site"]) == {"oak", "a=b & c"}


def test_what_a_kill_leaves_is_said_and_put_right(season, tmp_path):
    out, run = tmp_path / "out", CheapRun(tmp_path / "model.bin")
    classify(run, season, out, ASKED)
    journal = out / JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(lines[0] + lines[1][:40])  # killed before it was written
    with pytest.raises(DataError, match=r"part-000000.parquet: is in no line of _parts.jsonl: .*--resume puts right"):
        read_dataset(out)
    classify(run, season, out, ASKED, resume=True)
    pd.testing.assert_frame_equal(rows(read_dataset(out)), whole(out))


def test_a_data_set_that_is_not_whole_or_of_two_models_is_refused(season, tmp_path):
    out, other = tmp_path / "out", tmp_path / "other"
    classify(CheapRun(tmp_path / "model.bin"), season, out, ASKED)
    second = CheapRun(tmp_path / "second.bin")
    second.path.write_bytes(b"trained anew")
    classify(second, season, other, ASKED)
    part = "detections/site=oak/date=2026-06-21/part-000000.parquet"
    kept = (out / part).read_bytes()
    shutil.copy(other / part, out / part)
    with pytest.raises(DataError, match=r"was written by cheap \(checksum \w{8}\), the data set by cheap \(checksum"):
        read_dataset(out)
    (out / part).write_bytes(kept[:-9])
    with pytest.raises(DataError, match=r"part-000000\.parquet: is half written"):
        read_dataset(out)
    (out / part).unlink()
    with pytest.raises(DataError, match=r"part-000000\.parquet: is missing"):
        read_dataset(out)
    with pytest.raises(ConfigError, match="no data set of detections"):
        read_dataset(tmp_path)
    classify(second, season, out, replace(ASKED, formats=("dataset",)), overwrite=True)
    assert len(read_dataset(out)) == len(read_dataset(other))
