"""fetch: several recorders at once, one of which is lost in the middle; only what is new comes, and nothing is lost."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from crate import Crate, Line
from ecotf_recorder.releases.fetching import send_file, tell_files

HEADER = "recording,start_s,end_s,low_hz,high_hz,label,score,detection_score,time,time_quality\n"


def row(name: str, start: float = 1.0) -> str:
    return f"{name},{start},{start + 0.1},1.0,2.0,Myotis,0.9,0.9,2026-06-21T12:00:00.000+00:00,synchronised\n"


@pytest.fixture
def crate(monkeypatch, make_device) -> Crate:
    made = Crate()
    rng = np.random.default_rng(0)
    for name in ("oak", "pond"):
        recorder = make_device(name)
        data = recorder.state / "data"
        (data / "clips" / "20260621").mkdir(parents=True)
        (data / "clips" / "20260621" / "a_Myotis_0.900.wav").write_bytes(rng.bytes(700_000))
        (data / "detections.csv").write_text(HEADER + "".join(row(name, i) for i in range(3)))
        (data / "kept_out.csv").write_text(HEADER + row(name, 7))
        (data / "gaps.csv").write_text("time,seconds,reason,time_quality\n,3.0,=unplugged,not set\n")
        (data / "health.json").write_text("{}")
        (data / "detections.sqlite").write_bytes(b"left there")
        made.roots[name] = recorder.root
    monkeypatch.setattr("deploy.flash.fetching.connect", made.connect)
    return made


@pytest.fixture
def fetch(crate, run_flash_device, tmp_path):
    (tmp_path / "crate.yaml").write_text("oak: pi@10.0.0.1\npond: pi@10.0.0.2\nfar away: pi@10.0.0.3\n")
    words = ["fetch", "--devices", tmp_path / "crate.yaml", "--output", tmp_path / "season", "--no-sudo",
             "--root", crate.roots["oak"]]  # fmt: skip
    return lambda *more: run_flash_device(*words, *more)


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_crate_comes_home_and_a_lost_one_goes_on(crate, fetch, tmp_path):
    season = tmp_path / "season"
    crate.lost_after["pond"] = 2
    status, output, _ = fetch()
    assert status == 1 and "1 of 3 recorders well, 2 not" in output
    assert "no answer within 5 s" in output and "the connection broke" in output
    assert not list((season / "pond" / "clips").rglob("a_*.wav")), "half a clip bears no name"
    cut = crate.came["pond"]
    del crate.lost_after["pond"]
    fetch()
    for name in ("oak", "pond"):
        data, here = crate.roots[name] / "var/lib/ecotf/data", season / name
        theirs = {path.relative_to(data) for path in data.rglob("*") if path.is_file()} - {Path("detections.sqlite")}
        ours = {path.relative_to(here) for path in here.rglob("*") if path.is_file() and path.name[0] != "."}
        assert ours == theirs | {Path("fetched.json")}
        assert all((here / path).read_bytes() == (data / path).read_bytes() for path in theirs)
    assert 0 < cut < crate.came["pond"] < crate.came["oak"] + 100, "what came before the cut does not come again"
    found = table(season / "detections.csv")
    assert [(one["recorder"], one["recording"], one["start_s"]) for one in found] == [
        (name, name, f"{i}") for name in ("oak", "pond") for i in range(3)
    ]
    assert [one["reason"] for one in table(season / "gaps.csv")] == ["=unplugged"] * 2
    assert [one["recorder"] for one in table(season / "kept_out.csv")] == sorted({one["recorder"] for one in found})
    before = dict(crate.came)
    fetch()
    assert crate.came == before, "nothing is new"
    with open(crate.roots["oak"] / "var/lib/ecotf/data/detections.csv", "a") as file:
        file.write(row("oak", 9))
    fetch()
    assert crate.came["oak"] - before["oak"] < 300, "the new row alone"
    assert len(table(season / "detections.csv")) == 7


def test_tables_that_change_and_begin_anew(crate, fetch, tmp_path):
    """Rows that get their time take the place of those without; a table that began anew loses none."""
    theirs, here = crate.roots["oak"] / "var/lib/ecotf/data/detections.csv", tmp_path / "season" / "oak"
    undated = HEADER + row("unset-clock-abcd1234-1.000").replace(
        "2026-06-21T12:00:00.000+00:00,synchronised", ",not set"
    )
    theirs.write_text(undated)
    fetch("--no-clips")
    assert not (here / "clips").exists()
    theirs.write_text(HEADER + row("20260621T120000.000Z") + row("20260621T120000.000Z", 5))
    fetch("--no-clips")
    assert [one["recording"] for one in table(here / "detections.csv")] == ["20260621T120000.000Z"] * 2
    theirs.rename(theirs.with_name("detections.older-1.csv"))
    theirs.write_text(HEADER + row("next", 77))
    fetch("--no-clips")
    assert sorted(path.name for path in here.glob("det*.csv")) == [
        "detections.csv", "detections.kept-1.csv", "detections.older-1.csv",
    ]  # fmt: skip
    found = [one["start_s"] for one in table(tmp_path / "season" / "detections.csv") if one["recorder"] == "oak"]
    assert sorted(found) == ["1.0", "5", "77"]


def test_files_that_begin_anew_and_a_cell_that_is_none(crate, fetch, tmp_path):
    """Rows of files may be alike in all but names; what is wrong with one keeps no other table from being made."""
    theirs, season = crate.roots["oak"] / "var/lib/ecotf/data/files.csv", tmp_path / "season"
    header = "recording,status,reason,duration_s,n_detections,began,serial\n"
    (tmp_path / "crate.yaml").write_text("oak: pi@10.0.0.1\n")
    for name in ("a.wav", "b.wav"):
        theirs.write_text(header + f"{name},done,,60.0,0,2026-06-21T22:00:00.000,\n")
        status, output, _ = fetch("--no-clips")
        assert status == 0 and "joined.csv: 3 rows" in output
    assert {one["recording"] for one in table(season / "files.csv")} == {"a.wav", "b.wav"}
    before = (season / "joined.csv").read_text()
    theirs.write_text(header + "b.wav,done,,60.0,0,noon,\n")
    status, output, _ = fetch("--no-clips")
    assert status == 1 and "joined.csv is not written anew" in output and "began of 'b.wav' is 'noon'" in output
    assert len(table(season / "files.csv")) == 3 and (season / "joined.csv").read_text() == before


@pytest.mark.parametrize(
    "line",
    [
        {"step": "file", "name": "../../evil", "size": 3, "changed_ns": 1},
        {"step": "file", "name": "/evil", "size": 3, "changed_ns": 1},
        {"step": "file", "name": ".hidden", "size": 3, "changed_ns": 1},
        {"step": "file", "name": "a\nb", "size": 3, "changed_ns": 1},
        {"step": "file", "name": "detections.csv", "size": "many", "changed_ns": 1},
    ],
)
def test_a_name_that_leads_elsewhere_is_nonsense(crate, fetch, tmp_path, monkeypatch, line):
    def run(self, words, hear, stop=None, root=False, **_):
        for said in (line, {"step": "files"}):
            hear(json.dumps(said))
        return 0, ""

    monkeypatch.setattr(Line, "run", run)
    status, output, _ = fetch()
    assert status == 1 and output.count("answers nonsense") == 2
    assert {path.name for path in (tmp_path / "season" / "oak").iterdir()} == {".lock"}


def test_bytes_that_are_others_are_not_kept(crate, fetch, tmp_path, monkeypatch):
    real = Line.run

    def run(self, words, hear, *more, **_):
        return real(self, words, lambda line: hear(line.replace('"sha256": "', '"sha256": "0')), *more)

    monkeypatch.setattr(Line, "run", run)
    status, output, _ = fetch()
    assert status == 1 and "its checksum is not the recorder's; fetch again" in output
    monkeypatch.undo()


def test_what_the_recorder_sends_is_its_own_alone(tmp_path):
    """Its user may put a link or a pipe there; neither is followed, nor waited for."""
    data, secret = tmp_path / "data", tmp_path / "secret"
    (data / "clips").mkdir(parents=True)
    secret.write_text("root's alone")
    (data / "detections.csv").symlink_to(secret)
    (data / "clips" / "inner").symlink_to(tmp_path)
    (data / "gaps.csv").write_text("fine")
    assert [line["name"] for line in tell_files(data)] == ["gaps.csv"]
    for name in ("detections.csv", "clips/inner/secret", "../secret", str(secret), "clips"):
        with pytest.raises(Exception, match=r"no file of a recorder|no plain file|Too many levels|Not a directory"):
            list(send_file(data, name, 0, "", 99))
