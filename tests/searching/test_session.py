"""Sessions of accepted and rejected hits: decisions that a kill does not lose, what they teach, and where they go."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_archive import has_owl, tiny_archive

import ecotf
from ecotf.commands.search import main
from ecotf.errors import ConfigError, DataError
from ecotf.review.server import PageServer
from ecotf.searching.begin import begin_session
from ecotf.searching.export import export_manifest, training_command
from ecotf.searching.find import Asked, Wanted
from ecotf.searching.learning import fit, learning_curve, next_round, taught_by
from ecotf.searching.picks import Shares, farthest_first
from ecotf.searching.reviewed import ReviewedHits
from ecotf.searching.session import Session, open_session


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    tiny_archive(folder, nights=6)
    return folder


@pytest.fixture
def session(place, tmp_path) -> Session:
    asked = Asked((place / "owl.wav",))
    return begin_session(place / "embeddings", tmp_path / "owls", asked, Wanted(12), "Ninox boobook")[0]


def decide_all(session: Session) -> None:
    """Decide on the last round as it really is."""
    for pick in session.waiting:
        session.decide("accept" if has_owl(session.embeddings, pick.row) else "reject", pick.row)


def test_decisions_teach_and_the_next_picks_are_new(session):
    decide_all(session)
    assert sum(session.answers.values()) == 12
    with pytest.raises(DataError, match="no hit was rejected yet, and a head learns from both kinds"):
        next_round(session)
    session.decide("undo")
    session.decide("reject", session.shown[-1])
    made = next_round(session, 10)
    assert [pick.why for pick in made.picks] == ["best"] * 4 + ["margin"] * 3 + ["diverse"] * 2 + ["random"]
    assert len(set(session.shown)) == 22
    again = open_session(session.folder)
    assert again.rounds == session.rounds and again.answers == session.answers
    np.testing.assert_array_equal(fit(again).predict(session.queries), fit(session).predict(session.queries))
    margin = [abs(pick.score - 0.5) for pick in made.picks if pick.why == "margin"]
    left = np.setdiff1d(np.arange(len(session.embeddings)), session.shown)
    head = fit(session)
    assert max(margin) <= np.abs(head.predict(session.embeddings.rows(left))[:, 0] - 0.5).min() + 1e-6


def test_the_curve_says_when_to_stop(session):
    assert learning_curve(session).advice == "decide on more hits: 0 so far, and the curve begins at 8"
    decide_all(session)
    assert "two recordings that were rejected; there are 0" in learning_curve(session).advice
    for row in np.setdiff1d(np.arange(0, 240, 9), session.shown):
        session.answers[int(row)] = has_owl(session.embeddings, int(row))
    curve = learning_curve(session)
    assert [point.decisions for point in curve.points] == sorted({point.decisions for point in curve.points})
    assert curve.points[-1].decisions == len(session.answers)
    assert curve.points[-1].ap > 0.9 and curve.gain is not None
    assert curve.stop == (curve.gain[2] < 0.02) and curve.advice.startswith("stop" if curve.stop else "go on")
    wrong = dict(
        zip(session.answers, np.random.default_rng(0).permutation(list(session.answers.values())), strict=True)
    )
    session.answers = wrong
    assert learning_curve(session).points[-1].ap < 0.7  # judged on recordings that the head has not seen


def test_no_recording_is_judged_by_a_head_that_saw_it(session, monkeypatch):
    from ecotf.searching import learning

    decide_all(session)
    for row in range(0, 240, 9):
        session.answers.setdefault(row, False)
    seen = []
    real = learning.fit
    monkeypatch.setattr(learning, "fit", lambda one, taught: seen.append(taught) or real(one, taught))
    folds = learning.held_back(np.array(list(session.answers.values()))[:, None], taught_by(session).groups[1:], 1979)
    learning._held_out_scores(session, taught_by(session), folds, 1000)
    for fold, taught in zip(folds, seen, strict=True):
        assert not set(taught.groups) & set(taught_by(session).groups[1:][fold])


def test_a_session_that_a_kill_cut_short_is_begun_anew(session, place):
    (session.folder / "session.json").unlink()
    (session.folder / "decisions.jsonl").unlink()
    asked = Asked((place / "owl.wav",))
    again, _ = begin_session(place / "embeddings", session.folder, asked, Wanted(12), "Ninox boobook")
    assert again.rounds[0].picks == session.rounds[0].picks and len(again.rounds) == 1


def test_shares_and_farthest_first():
    assert Shares(best=1, margin=1, diverse=1, random=0).counts(8) == {
        "best": 3,
        "margin": 3,
        "diverse": 2,
        "random": 0,
    }
    rows = np.eye(3)[[0, 0, 1, 2]] + 0.01
    assert set(farthest_first(rows, np.eye(3)[:1], 2)) == {2, 3}
    assert len(farthest_first(rows, rows, 9)) == 4


def test_the_manifest_trains_a_head_on_the_same_embedder(session, tmp_path):
    with pytest.raises(ConfigError, match="no hit was accepted yet"):
        export_manifest(session, tmp_path / "owls.csv")
    decide_all(session)
    for row in (0, 40 + 32, 80 + 4, 120 + 28, 160 + 12, 239):  # four of them are of the wren
        session._shown.add(row)
        session.decide("reject", row)
    made = export_manifest(session, tmp_path / "owls.csv")
    assert (made.accepted, made.rejected, made.lines) == (12, 6, ())
    with pytest.raises(ConfigError, match="is there already"):
        export_manifest(session, tmp_path / "owls.csv")
    table = ecotf.read_manifest(tmp_path / "owls.csv").table
    assert table["group"].nunique() == 6 and set(table["label"]) == {"", "Ninox boobook"}
    clip = tmp_path / table["recording"].iloc[0]
    sound, rate = soundfile.read(clip)
    assert len(sound) / rate == 0.25
    command = training_command(session, tmp_path / "owls.csv").split()
    assert command[:4] == ["ecotf", "train", "--recipe", "tagging/transfer"] and command[5] == str(
        tmp_path / "owls.csv"
    )
    model = ecotf.train("tagging/transfer", command[5], tmp_path / "runs", settings=command[6:], log=lambda line: None)
    hits = ecotf.search(session.embeddings, model=model.run.path, class_name="Ninox boobook", top=15)
    assert all(has_owl(session.embeddings, row) for row in hits["row"])
    gone = tmp_path / "gone"
    shutil.copytree(session.folder, gone)
    other = open_session(gone)
    other.embeddings.__dict__["paths"] = {}
    with pytest.raises(DataError, match="the recordings of all accepted hits have vanished"):
        export_manifest(other, tmp_path / "other.csv")
    assert not (tmp_path / "other.csv").exists() and not (tmp_path / "other_clips").exists()


def test_the_page_gives_what_it_shows_and_takes_decisions(session):
    page = ReviewedHits(session)
    hits = page.view("hits", {})["hits"]
    assert [hit["clip"] for hit in hits] == session.shown
    assert hits[0]["time"].startswith("2026-06-2")
    clip = page.clip(hits[0]["clip"])
    assert clip.place.path.exists() and clip.band_hz == (0.0, 8000.0)
    told = page.decide({"what": "accept", "row": hits[0]["clip"]})
    assert told["state"]["accepted"] == 1 and told["state"]["left"] == 11
    undone = page.decide({"what": "undo"})
    assert undone["row"] == hits[0]["clip"] and undone["state"]["accepted"] == 0 and not undone["state"]["undo"]
    for wrong in (
        {"what": "accept", "row": 10**6},
        {"what": "accept", "row": "3"},
        {"what": "accept"},
        {"what": "sing"},
    ):
        with pytest.raises(DataError):
            page.decide(wrong)
    with pytest.raises(DataError, match="there is no clip 240"):
        page.clip(240)


def test_one_at_a_time_and_what_is_no_session(session, place, tmp_path):
    with PageServer(ReviewedHits(session)), pytest.raises(ConfigError, match="is in use"):
        main(["next", str(session.folder)])
    with pytest.raises(ConfigError, match="holds a session already"):
        main([str(place / "embeddings"), "--like", str(place / "owl.wav"), "--output", str(session.folder)])
    with pytest.raises(ConfigError, match="is not empty, and no session"):
        main([str(place / "embeddings"), "--like", str(place / "owl.wav"), "--output", str(place)])
    with pytest.raises(ConfigError, match="no session"):
        open_session(place)
    with pytest.raises(ConfigError, match="picks"):
        main([str(place / "embeddings"), "--like", str(place / "owl.wav"), "--output", str(tmp_path / "x"),
              "--set", "picks=0"])  # fmt: skip
    facts = json.loads((session.folder / "session.json").read_text())
    (session.folder / "session.json").write_text(json.dumps(facts | {"rows": 7}))
    with pytest.raises(ConfigError, match="was made anew since this session began"):
        open_session(session.folder)


@pytest.mark.parametrize("moment", ["deciding", "learning"])
def test_a_kill_loses_nothing(session, moment):
    code = (
        "import sys\nfrom ecotf.searching.session import open_session\n"
        "from ecotf.searching.learning import next_round\n"
        "session = open_session(sys.argv[1])\n"
        "rows = session.shown\n"
        "if sys.argv[2] == 'learning':\n"
        "    for n, row in enumerate(rows): session.decide('reject' if n % 2 else 'accept', row)\n"
        "    print(len(session.answers), flush=True)\n"
        "    while True: print(next_round(session, 4).number, flush=True)\n"
        "n = 0\n"
        "while True:\n"
        "    session.decide('accept' if n % 3 else 'reject', rows[n % len(rows)]); n += 1; print(n, flush=True)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(session.folder), moment], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert child.stdout is not None
    said = [int(child.stdout.readline()) for _ in range(3 if moment == "learning" else 40)]
    time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    said += [int(line) for line in child.stdout.read().splitlines()]
    child.wait()
    after = open_session(session.folder)
    if moment == "deciding":
        assert len(after.journal.decisions) in (said[-1], said[-1] + 1)
        return
    assert len(after.answers) == said[0] == 12
    assert after.rounds[-1].number >= said[-1]
    assert len(set(after.shown)) == len(after.shown)
    kept = after.rounds
    next_round(after, 4)
    assert open_session(session.folder).rounds[: len(kept)] == kept
