"""Decisions: what each does, that a journal gives the same state again, and that nothing impossible is kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_clusters import tiny_clusters

from ecotf.errors import ConfigError, DataError
from ecotf.review.clusters import ReviewedClusters, read_naming
from ecotf.review.journal import Journal, in_force, read_decisions
from ecotf.review.naming import Naming

FOUND = np.array([0, 0, 0, 1, 1, 2, 2, 2, -1])


def test_what_each_decision_does():
    naming = Naming(FOUND)
    for decision in (
        {"what": "name", "cluster": 1, "name": " Ninox \u00a0 boobook "},
        {"what": "merge", "clusters": [1], "into": 0},
        {"what": "split", "cluster": 2, "into": [[5], [7]]},
        {"what": "noise", "cluster": 3},
        {"what": "move", "clips": [8], "to": 0},
        {"what": "move", "clips": [6, 4], "to": "new"},
        {"what": "move", "clips": [7], "to": -1},
    ):
        naming.decide(decision)
    assert naming.cluster.tolist() == [0, 0, 0, 0, 5, 3, 5, -1, 0]
    assert naming.names == {0: "Ninox boobook"} and naming.noise == {3} and naming.clusters == [0, 3, 5]
    assert naming.to_undo == "move of 1 clip"
    naming.decide({"what": "name", "cluster": 3, "name": "rain"})
    naming.decide({"what": "name", "cluster": 0, "name": ""})
    assert naming.names == {3: "rain"} and naming.noise == frozenset()
    for _ in range(9):
        naming.decide({"what": "undo"})
    assert naming.cluster.tolist() == FOUND.tolist() and not naming.names and naming.to_undo == ""


@pytest.mark.parametrize(
    "decision",
    [
        {"what": "undo"}, {"what": "rename"}, {},
        {"what": "name", "cluster": 9, "name": "a"}, {"what": "name", "cluster": -1, "name": "a"},
        {"what": "name", "cluster": 0, "name": "a\x00b"}, {"what": "name", "cluster": 0, "name": 7},
        {"what": "name", "cluster": 0, "name": "a" * 201},
        {"what": "name", "cluster": True, "name": "a"}, {"what": "name", "cluster": 0, "name": "\ud800"},
        {"what": "merge", "clusters": [0], "into": 0}, {"what": "merge", "clusters": [], "into": 0},
        {"what": "merge", "clusters": [1, 1], "into": 0}, {"what": "merge", "clusters": [1, 7], "into": 0},
        {"what": "split", "cluster": 0, "into": [[0, 1, 2]]}, {"what": "split", "cluster": 0, "into": [[0], [0]]},
        {"what": "split", "cluster": 0, "into": [[3]]}, {"what": "split", "cluster": 0, "into": [[]]},
        {"what": "move", "clips": [99], "to": 0}, {"what": "move", "clips": [0], "to": 7},
        {"what": "move", "clips": [1.0], "to": 0}, {"what": "move", "clips": "all", "to": 0},
    ],
)  # fmt: skip
def test_what_is_impossible_changes_nothing(decision):
    naming = Naming(FOUND)
    with pytest.raises(DataError):
        naming.decide(decision)
    assert (naming.cluster == FOUND).all() and naming.to_undo == "" and not naming.names and not naming.noise


NUMBERS = st.integers(-1, 6)
DECISIONS = st.one_of(
    st.fixed_dictionaries({"what": st.just("name"), "cluster": NUMBERS, "name": st.sampled_from(["", "a", "b"])}),
    st.fixed_dictionaries({"what": st.just("merge"), "clusters": st.lists(NUMBERS, max_size=2), "into": NUMBERS}),
    st.fixed_dictionaries({
        "what": st.just("split"), "cluster": NUMBERS,
        "into": st.lists(st.lists(st.integers(0, 8), min_size=1, max_size=2), min_size=1, max_size=2),
    }),
    st.fixed_dictionaries({"what": st.just("noise"), "cluster": NUMBERS}),
    st.fixed_dictionaries({
        "what": st.just("move"), "clips": st.lists(st.integers(0, 8), max_size=3), "to": NUMBERS | st.just("new"),
    }),
    st.just({"what": "undo"}),
)  # fmt: skip


@given(st.lists(DECISIONS, max_size=25))
def test_replay_gives_the_same_state(decisions):
    """Also after undoing: the state is that of the decisions in force, and no name is of a cluster without clips."""
    live, kept = Naming(FOUND), []
    for decision in decisions:
        try:
            live.decide(decision)
            kept.append(decision)
        except DataError:
            pass
        assert live.names.keys() | live.noise <= set(live.clusters) and not live.names.keys() & live.noise
    for again in (Naming.replayed(FOUND, kept), Naming.replayed(FOUND, in_force(kept))):
        assert (again.cluster == live.cluster).all()
        assert (again.names, again.noise, again.to_undo) == (live.names, live.noise, live.to_undo)


def test_a_torn_last_line_is_dropped_and_said(tmp_path):
    path = tmp_path / "decisions.jsonl"
    journal = Journal(path, "digest")
    for name in ("a", "b"):
        journal.append({"what": "name", "cluster": 0, "name": name})
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    decisions, note = read_decisions(path, "digest")
    assert [one["name"] for one in decisions] == ["a"] and "the 1 before it" in note
    assert path.read_bytes() == whole[:-3]  # who only reads changes nothing: a page may be writing
    journal = Journal(path, "digest")
    assert "cut off by a kill" in journal.note
    journal.append({"what": "undo"})
    decisions, note = read_decisions(path, "digest")
    assert [one["what"] for one in decisions] == ["name", "undo"] and note == ""
    path.write_bytes(whole[:10])
    assert Journal(path, "digest").decisions == []


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda text: text.replace('"format": 1', '"format": 9'), "format 9"),
        (lambda text: text.replace("digest", "other"), "other clips"),
        (lambda text: text.replace("decisions about", "songs of"), "no journal"),
        (lambda text: text.replace('"what"', "what"), "line 2 is damaged"),
        (lambda text: text.replace('"what"', '"who"'), "line 2 is no decision"),
    ],
)
def test_other_journals_are_refused(tmp_path, change, message):
    path = tmp_path / "decisions.jsonl"
    Journal(path, "digest").append({"what": "undo"})
    path.write_text(change(path.read_text()))
    with pytest.raises(ConfigError, match=message):
        Journal(path, "digest")


@pytest.fixture
def reviewed(tmp_path: Path) -> ReviewedClusters:
    return ReviewedClusters(tiny_clusters(tmp_path))


def test_the_views_of_the_page(reviewed):
    facts, state = reviewed.view("facts", {}), reviewed.view("state", {})
    assert facts["clips"] == facts["shown"] == 16 and facts["dated"]
    assert [(one["cluster"], one["clips"]) for one in state["clusters"]] == [(0, 8), (1, 4)] and state["left"] == 4
    points = reviewed.view("points", {})
    clips = reviewed.clusters.clips
    assert np.frombuffer(points, "<f4")[:32].tolist() == clips["x"].tolist() + clips["y"].tolist()
    assert np.frombuffer(points, "<i4")[32:].tolist() == list(range(16))
    assert np.frombuffer(reviewed.view("assigned", {}), "<i4").tolist() == clips["cluster"].tolist()
    card = reviewed.view("card", {"cluster": "0"})
    assert card["clips"] == 8 and card["near"] == [1] and sum(card["hours"]) == 8 and card["hours"][21] == 4
    assert card["sites"]["different"] == 2 and card["recordings"]["different"] == 2
    # The surest clips come first, one of each recording at a time.
    assert [item["probability"] for item in card["central"][:2]] == [1.0, 1.0]
    assert len({item["recording"] for item in card["central"][:2]}) == 2
    shown = [item["clip"] for item in card["central"] + card["doubtful"]]
    assert sorted(shown) == np.flatnonzero(clips["cluster"] == 0).tolist()
    assert reviewed.view("clips", {"cluster": "-1", "from": "1"})["all"] == 4
    assert json.dumps(card)
    for name, query in (("card", {"cluster": "7"}), ("card", {}), ("nothing", {})):
        with pytest.raises(Exception, match=r"there is no cluster|a number is needed|no view"):
            reviewed.view(name, query)


def test_split_clusters_inside_and_replays_without_clustering(reviewed, monkeypatch):
    reviewed.decide({"what": "merge", "clusters": [1], "into": 0})
    answer = reviewed.decide({"what": "split", "cluster": 0})
    assert answer["moved"] and answer["parts"] == 2
    found = reviewed.clusters.clips["cluster"].to_numpy()
    now = np.frombuffer(reviewed.view("assigned", {}), "<i4")
    assert [len(set(now[found == one].tolist())) for one in (0, 1)] == [1, 1]  # as the two pitches are
    monkeypatch.setattr("ecotf.review.clusters.split_in_parts", None)
    naming, note = read_naming(reviewed.clusters)
    assert (naming.cluster == now).all() and note == ""
    again = ReviewedClusters(reviewed.clusters)
    assert again.view("state", {}) == reviewed.view("state", {})


def test_a_decision_that_cannot_be_kept_is_taken_back(reviewed, monkeypatch):
    reviewed.decide({"what": "name", "cluster": 0, "name": "low"})
    before = reviewed.view("state", {})

    def full(_: bytes) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(reviewed._journal._file, "append", full)
    for decision in ({"what": "noise", "cluster": 1}, {"what": "undo"}):
        with pytest.raises(OSError, match="disk full"):
            reviewed.decide(decision)
        assert reviewed.view("state", {}) == before


def test_decisions_about_other_clips_are_refused(reviewed, tmp_path):
    reviewed.decide({"what": "name", "cluster": 0, "name": "low"})
    other = tiny_clusters(tmp_path / "other", clips_each=3)
    (other.folder / "decisions.jsonl").write_bytes((reviewed.folder / "decisions.jsonl").read_bytes())
    with pytest.raises(ConfigError, match="about other clips"):
        ReviewedClusters(other)
