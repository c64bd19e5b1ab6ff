"""joined.csv of what recorders heard in folders: the desktop's rows, and nothing lost."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from conftest import RECORDER
from crate import Crate
from ecotf_recorder.audio.guano import write_fields
from ecotf_recorder.store.notebook import FILE_COLUMNS, TABLE_COLUMNS
from enrolled_birds import PITCHES, RATE, enrolled, exported, write, write_examples
from tiny_embedder import tiny_embedder

from deploy.flash.joining import join_tables
from ecotf.errors import DataError
from ecotf.inference.job import ClassifierOptions, classify
from ecotf.inference.joined import COLUMNS
from ecotf.tasks.base import get_task

FILE_S = 4.0
ZONE = "Europe/Brussels"
# Where a tone of an owl or a wren is heard, from the beginning of each group of files, and the names of the files.
NIGHTS = (
    (("owl", 2.6, 9.3), ("wren", 14.9, 16.0), ("owl", 16.0, 17.2)),
    (("owl", 3.0, 5.4),),  # in a folder of its own, of the same time
    (("wren", 3.0, 5.0),),  # two recorders, by their serial numbers
    (("wren", 3.0, 5.0),),  # ten seconds are missing between the two
    (("owl", 3.0, 5.0),),  # the clocks went back between the two
    (("owl", 2.0, 5.0),),  # nothing says when they began
)
NAMES = (
    [f"a/SITE_20260621_2200{second:02}.wav" for second in range(0, 20, 4)],
    ["b/20260621_220000.wav", "b/20260621_220004.wav"],
    ["20260701_220000.wav", "20260701_220004.wav"],
    ["20260801_220000.wav", "20260801_220014.wav"],
    ["20261025_025956.wav", "20261025_020000.wav"],
    ["undated/1.wav", "undated/2.wav"],
)


@pytest.fixture(scope="module")
def card(tmp_path_factory) -> Path:
    """A folder of cut recordings, and some that cannot be used."""
    folder, rng = tmp_path_factory.mktemp("card"), np.random.default_rng(11)
    for calls, names in zip(NIGHTS, NAMES, strict=True):
        sound = np.zeros(round(FILE_S * RATE) * len(names))
        times = np.arange(len(sound)) / RATE
        for name, start, end in calls:  # a phase for which the tiny model's answer does not rise and fall
            tone = 0.2 * np.sin(2 * np.pi * round(PITCHES[name], -3) * times + np.pi / 4)
            sound += tone * (start <= times) * (times < end)
        for name, part in zip(names, np.split(sound, len(names)), strict=True):
            (folder / name).parent.mkdir(exist_ok=True)
            write(folder / name, part, rng)
    for serial, name in zip("78", NAMES[2], strict=True):
        write_fields(folder / name, {"Serial": serial})
    (folder / "20260901_220000.wav").write_bytes((folder / NAMES[0][0]).read_bytes()[:5000])
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run that knows both birds."""
    folder, rng = tmp_path_factory.mktemp("run"), np.random.default_rng(7)
    tiny_embedder(folder)
    write(folder / "quiet.wav", np.zeros(10 * RATE), rng)
    for name in PITCHES:
        write_examples(folder, name, rng)
        made = enrolled(folder, name)
    return made


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def listen(data: Path, model: Path, card: Path, n_files: int) -> None:
    """Let a recorder with a folder as its source hear all of it."""
    config = data.parent / "config.toml"
    config.write_text(
        f'state_dir = "{data}"\nmodel = "{model}"\n[source]\nkind = "folder"\nfolder = "{card}"\nsettle_s = 0.1\n'
        f'time_zone = "{ZONE}"\n[clock]\ntrusted = true\n'
    )
    words = [sys.executable, "-m", "ecotf_recorder", "run", "--config", str(config)]
    process = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(RECORDER)}, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 300
    while not (data / "files.csv").exists() or len(table(data / "files.csv")) < n_files:
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_a_folder_gives_the_rows_of_the_desktop(card, run, make_device, run_flash_device, monkeypatch, tmp_path):
    files = sorted(card.rglob("*.wav"))
    options = ClassifierOptions(formats=("csv", "joined"), time_zone=ZONE)
    classify(get_task("clips").load(run), files, tmp_path / "desktop", options)

    recorder, crate = make_device("oak"), Crate()
    data = recorder.state / "data"
    listen(data, exported(run, tmp_path / "bundle") / "model.tflite", card, len(files))
    crate.roots["oak"] = recorder.root
    monkeypatch.setattr("deploy.flash.fetching.connect", crate.connect)
    (tmp_path / "crate.yaml").write_text("oak: pi@10.0.0.1\n")
    season = tmp_path / "season"
    words = ["fetch", "--devices", tmp_path / "crate.yaml", "--output", season, "--no-sudo", "--root", recorder.root]
    status, output, _ = run_flash_device(*words)
    assert status == 0, output

    mine, theirs = table(season / "joined.csv"), table(tmp_path / "desktop" / "joined.csv")
    assert tuple(mine[0]) == ("recorder", *COLUMNS) and {row["recorder"] for row in mine} == {"oak"}
    for row in theirs:
        for column in ("recording", "last_recording"):
            row[column] = str(Path(row[column]).relative_to(card))
    mine, theirs = (sorted(rows, key=lambda row: (row["recording"], float(row["start_s"]))) for rows in (mine, theirs))
    plain = ("recording", "label", "last_recording", "recordings", "gap_s")
    assert [[row[name] for name in plain] for row in mine] == [[row[name] for name in plain] for row in theirs]
    for name, within in (("start_s", 2e-6), ("end_s", 2e-6), ("low_hz", 0.11), ("high_hz", 0.11), ("score", 1.1e-3)):
        np.testing.assert_allclose([float(r[name]) for r in mine], [float(r[name]) for r in theirs], atol=within)
    moments = [[datetime.fromisoformat(row["time"]) for row in rows if row["time"]] for rows in (mine, theirs)]
    assert moments[0] == moments[1] and len(moments[0]) == len(mine) - 2
    over = {row["recording"]: int(row["recordings"]) for row in mine if row["recordings"] != "1"}
    assert over == {NAMES[0][0]: 3, NAMES[1][0]: 2}, "the wren ends where an owl begins"
    assert sum(int(row["recordings"]) for row in mine) == len(table(season / "detections.csv")) > len(mine)
    assert [row["recording"] for row in table(season / "files.csv") if row["status"] == "corrupt"]


def file_row(name: str, began: str = "2026-06-21T22:00:00.000", status: str = "done", seconds: object = 60.0) -> list:
    return [name, status, "", seconds, 1, began, ""]


def detection(name: str, start: object = 59.0, end: float = 60.0) -> list:
    return [name, start, end, 400.0, 900.0, "owl", 0.5, 0.6, "", "not known"]


FOLLOWING = [file_row("a.wav"), file_row("b.wav", "2026-06-21T22:01:00.000")]
OVER = [detection("a.wav"), detection("b.wav", 0.0, 1.0)]


def fetched(season: Path, name: str, **tables: list) -> None:
    """What came from a recorder; ``older`` in the name of a table stands for one that was put aside."""
    folder = season / name
    folder.mkdir(parents=True)
    (folder / "fetched.json").write_text(json.dumps({"recorder": name}))
    for stem, rows in tables.items():
        kind, _, older = stem.partition("_older")
        header = FILE_COLUMNS if kind == "files" else TABLE_COLUMNS
        with open(folder / f"{kind}{older and f'.older-{older}'}.csv", "w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([header, *rows])


def over(season: Path) -> list[list[int]]:
    """Over how many recordings the events of each recorder go."""
    join_tables(season)
    found: dict[str, list[int]] = {}
    for row in table(season / "joined.csv"):
        found.setdefault(row["recorder"], []).append(int(row["recordings"]))
    return list(found.values())


@pytest.mark.parametrize(
    ("files", "detections", "expected"),
    [
        (FOLLOWING, OVER, [2]),
        ([FOLLOWING[0], file_row("b.wav", "2026-06-21T22:01:00.000Z")], OVER, [1, 1]),  # one zone is not known
        ([FOLLOWING[0], file_row("b.wav", "")], OVER, [1, 1]),
        (FOLLOWING[:1], OVER, [1, 1]),  # an older recorder heard the other one
        ([*FOLLOWING, file_row("c.wav", "2026-06-21T22:01:00.000", "silent")], OVER, [1, 1]),  # which one follows?
        ([*FOLLOWING, file_row("c.wav", "2026-06-21T22:01:00.000", "short", 0.01)], OVER, [1, 1]),
        ([*FOLLOWING, file_row("c.wav", "", "corrupt", "")], OVER, [2]),
        ([file_row("a.wav", status="unsupported"), *FOLLOWING], OVER, [2]),  # by the model before this one
        ([*FOLLOWING, file_row("a.wav", "2026-07-01T22:00:00.000")], [*OVER, detection("a.wav", 5.0, 6.0)], [1, 1, 1]),
        (FOLLOWING, [detection(f"20260621T2000{n:02}.000Z") for n in range(30)] + OVER, [1] * 30 + [2]),
        (FOLLOWING, [OVER[0], detection("a.wav", 2.0, 3.0), OVER[1]], [1, 2]),  # a recorder finds them in any order
    ],
)
def test_which_are_joined(tmp_path, files, detections, expected):
    fetched(tmp_path, "oak", files=files, detections=detections)
    assert over(tmp_path) == [expected]


def test_recorders_are_not_mixed_and_live_sound_is_a_row_each(tmp_path):
    fetched(tmp_path, "oak", files=FOLLOWING[:1], detections=OVER[:1])
    fetched(tmp_path, "pond", files=FOLLOWING[1:], detections=OVER[1:])
    fetched(tmp_path, "tower", files=[], detections=[detection("20260621T200000.000Z", n, n + 1) for n in range(2500)])
    assert over(tmp_path) == [[1], [1], [1] * 2500]
    assert [float(row["start_s"]) for row in table(tmp_path / "joined.csv")[2:]] == list(range(2500))


def test_where_no_recorder_reads_files_nothing_is_written(tmp_path):
    fetched(tmp_path, "tower", files=[], detections=[detection("20260621T200000.000Z")])
    fetched(tmp_path, "older", detections=OVER)
    assert join_tables(tmp_path) == {} and not (tmp_path / "joined.csv").exists()


def test_what_was_heard_again_counts_once(tmp_path):
    """After a loss of its database a recorder hears a folder again; another model may find other events."""
    others = [detection("a.wav", 58.0), detection("b.wav", 0.0, 3.0)]
    fetched(tmp_path, "oak", files=FOLLOWING, detections=OVER, files_older1=FOLLOWING, detections_older1=OVER)
    fetched(tmp_path, "pond", files=FOLLOWING, detections=OVER, files_older1=FOLLOWING, detections_older1=others)
    assert over(tmp_path) == [[2], [2, 2]]


@pytest.mark.parametrize(
    ("tables", "complaint"),
    [
        (
            {"detections": [detection("a.wav", "soon")]},
            "detections.csv: start_s of 'a.wav' is 'soon', and should be a",
        ),
        (
            {"files": [file_row("a.wav", seconds="1:00")]},
            "files.csv: duration_s of 'a.wav' is '1:00', and should be a",
        ),
        (
            {"files": [file_row("a.wav", "noon")]},
            "files.csv: began of 'a.wav' is 'noon', and should be a date",
        ),
    ],
)
def test_a_cell_that_is_none_is_one_line(tmp_path, tables, complaint):
    fetched(tmp_path, "oak", **{"files": FOLLOWING, "detections": OVER} | tables)
    with pytest.raises(DataError, match=complaint):
        join_tables(tmp_path)
    assert not (tmp_path / "joined.csv").exists()


def test_memory_does_not_grow_with_the_season(tmp_path, monkeypatch):
    """Of a recording without an event at its border it keeps some bytes, and of live sound nothing."""

    def peak(n: int) -> int:
        season = tmp_path / str(n)
        files = [file_row(f"{k:06}.wav", f"2026-06-21T{k // 3600:02}:{k // 60 % 60:02}:{k % 60:02}") for k in range(n)]
        heard = [detection(f"{k:06}.wav", 5.0, 6.0) for k in range(n)]
        live = [detection("20260621T200000.000Z", k, k + 1) for k in range(n)]
        fetched(season, "oak", files=files, detections=[*heard, *live])
        tracemalloc.start()
        join_tables(season)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    monkeypatch.setattr("deploy.flash.joining._AT_ONCE", 50)
    peak(10)
    assert peak(4_500) - peak(500) < 100 * 4_000
