"""What is reported: hits, plausibility, and clips without voices; nothing is lost, however it is cut or killed."""

from __future__ import annotations

import csv
import math
import random
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ecotf_recorder import config_check
from ecotf_recorder.assembly import rules_of, wishes_of
from ecotf_recorder.config import Clips, Config, Privacy, RuleSettings, Site
from ecotf_recorder.errors import ConfigError
from ecotf_recorder.rules.judge import Judge, Rules
from ecotf_recorder.rules.plausible import read_plausible
from ecotf_recorder.scoring.held import Detection
from ecotf_recorder.sources.events import Began
from ecotf_recorder.store.clips import ClipKeeper, Origin
from ecotf_recorder.store.notebook import Notebook
from ecotf_recorder.store.quota import ClipRoom
from ecotf_recorder.stretch import Stretch, room_for
from ecotf_recorder.times.clock import Clock, iso_time
from recorder_stand_ins import right_since_2020

NOON = 1_782_043_200.0  # 2026-06-21T12:00Z
RATE = 8000
LABELS = ("bat", "Myotis myotis", "Nyctalus noctula")


def call(start_s: float, label: str = "bat", score: float = 0.9) -> Detection:
    return Detection(start_s, start_s + 0.005, 30_000.0, 60_000.0, label, score, score)


class Board:
    """A board whose clock is right; its steady clock begins anew with every boot."""

    def __init__(self) -> None:
        self.now, self.boots, self.is_set = 0.0, 0, True
        self.boot()

    def boot(self) -> None:
        self.boots, self._born = self.boots + 1, self.now - 20

    @property
    def steady(self) -> float:
        return self.now - self._born

    def clock(self) -> Clock:
        wall = lambda: NOON + self.now if self.is_set else self.steady  # noqa: E731
        return Clock(lambda: self.steady, wall, f"boot-{self.boots}", right_since_2020)


def table(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def told(folder: Path) -> list[tuple[str, str, str]]:
    """Every row of both tables: time, label, and where it stands."""
    found = [(row["time"], row["label"], "") for row in table(folder / "detections.csv")]
    return sorted(found + [(row["time"], row["label"], row["rule"]) for row in table(folder / "kept_out.csv")])


def kept(folder: Path) -> list[tuple[float, str, str]]:
    """The same from the database."""
    file = sqlite3.connect(folder / "detections.sqlite")
    assert file.execute("SELECT COUNT(*) FROM waiting").fetchone() == (0,)
    query = "SELECT time, label, '' FROM detections UNION ALL SELECT time, label, rule FROM kept_out"
    return sorted((iso_time(row[0]), *row[1:]) for row in file.execute(query))


def have_company(calls: list[Detection], hits: int, within_s: float) -> list[bool]:
    """The rule, as the manual says it."""
    times = {label: sorted(one.start_s for one in calls if one.label == label) for label in LABELS}

    def has(one: Detection) -> bool:
        near = times[one.label]
        groups = (near[i : i + hits] for i in range(len(near) - hits + 1))
        return any(group[-1] - group[0] <= within_s and group[0] <= one.start_s <= group[-1] for group in groups)

    return [has(one) for one in calls]


@pytest.mark.parametrize("seed", range(8))
def test_hits_are_the_rule_however_sound_is_cut_killed_or_powered_off(tmp_path, seed):
    draw, board = random.Random(seed), Board()
    rules = Rules(*((2, 1.0005), (3, 4.0005), (5, 8.0005))[seed % 3])
    calls = sorted(call(round(draw.uniform(0, 60), 3), draw.choice(LABELS)) for _ in range(80))
    company = have_company(calls, rules.hits, rules.within_s)
    expected = [
        (iso_time(NOON + one.start_s), one.label, "" if has else "hits")
        for one, has in zip(calls, company, strict=True)
    ]
    assert 10 < sum(company) < 70
    late: list[Detection] = []  # found by the model after one that begins later
    is_up, kills = False, 0
    while board.now < 65 or not is_up:
        if not is_up:
            notebook, is_up = Notebook(tmp_path, clock := board.clock()), True
            judge, origin = Judge(rules, notebook, clock, live=True), None
        if origin is None or draw.random() < 0.2:
            origin = Origin(f"night {board.now}", NOON + board.now, board.steady, "synchronised")
            began, stretch = board.now, notebook.begin(origin.recording, origin.wall, origin.steady, "r")
        at, board.now = board.now, board.now + draw.uniform(0.05, 3)
        new = [*late, *(one for one in calls if at <= one.start_s < board.now)]
        settled = max(began, board.now - 0.5)
        late = [one for one in new if one.start_s > settled and draw.random() < 0.5]
        given = [one._replace(start_s=one.start_s - began) for one in new if one not in late]
        judge.push(stretch, origin, given, settled - began)
        if not late and draw.random() < 0.3:
            notebook.commit()
            notebook.queue("DELETE FROM waiting", ())  # what a kill leaves in memory
            notebook.database.close()
            is_up, kills = False, kills + 1
            if draw.random() < 0.5:
                board.boot()
    judge.pass_time(math.inf)
    notebook.close()
    assert kills > 1
    assert told(tmp_path) == sorted(expected) == kept(tmp_path)


def test_what_waits_for_company_gets_its_time_when_the_clock_is_set(tmp_path):
    board, rules = Board(), Rules(2, 30.0)
    for steps in ("set", "kill and set", "set and kill", "boot"):
        board.is_set, folder = False, tmp_path / steps
        folder.mkdir()
        notebook = Notebook(folder, clock := board.clock())
        judge = Judge(rules, notebook, clock, live=True)
        origin = Origin(clock.name(board.steady), None, board.steady, "not set")
        stretch = notebook.begin(origin.recording, None, board.steady, "r")
        for start_s in (1.0, 2.0, 3.0):
            judge.push(stretch, origin, [call(start_s, LABELS[int(start_s) % 2])], start_s)
        for step in steps.split(" and "):
            if step == "set":
                board.is_set = True
                clock.check()
                judge.redate()
                notebook.commit()
                list(notebook.dating())
            else:
                notebook.commit()
                notebook.database.close()
                board.now += 100
                board.boot() if step == "boot" else None
                notebook = Notebook(folder, clock := board.clock())
                judge = Judge(rules, notebook, clock, live=True)
        judge.pass_time(math.inf)
        notebook.close()
        rows = told(folder)
        assert [row[2] for row in sorted(rows, key=lambda row: row[1:])] == ["", "", "hits"]
        times = {row[0] for row in rows}
        assert len(times) == 3 if steps != "boot" else times == {""}, steps
        named = {row["recording"][:5] for name in ("detections", "kept_out") for row in table(folder / f"{name}.csv")}
        assert named == ({"unset"} if steps == "boot" else {"20260"})


def test_no_rule_any_more_reports_what_waited(tmp_path):
    board = Board()
    for rules in (Rules(3, 30.0), Rules()):
        notebook = Notebook(tmp_path, clock := board.clock())
        judge = Judge(rules, notebook, clock, live=True)
        if rules.hits > 1:
            origin = Origin("night", NOON, board.steady, "synchronised")
            assert judge.push(notebook.begin("night", NOON, board.steady, "r"), origin, [call(1.0)], 1.5) == []
            assert judge.n_waiting == 1
        notebook.close()
    assert told(tmp_path) == [(iso_time(NOON + 1), "bat", "")] == kept(tmp_path)


PLAUSIBLE = """\
label;first_month;last_month;place
Myotis myotis;11;2;
Nyctalus noctula;;;Bois de*
"Pipistrellus; of the house";6;6;
"""


def test_what_is_not_plausible_is_kept_out_with_its_reason(tmp_path):
    path = tmp_path / "plausible.csv"
    path.write_text(PLAUSIBLE, encoding="utf-8-sig")
    for site, wall, reasons in (
        ("bois de Lauzelle", NOON, ["not plausible in month 6", "", "", "not in the table of plausible labels", ""]),
        (
            "Ferme",
            NOON + 86400 * 200,
            ["", "not plausible at this place", "not plausible in month 1", "not in the", ""],
        ),
        ("Ferme", None, ["", "not plausible at this place", "", "not in the", ""]),
    ):
        plausible = read_plausible(path, Site(site), ["bat"])
        labels = ["Myotis myotis", "Nyctalus noctula", "Pipistrellus; of the house", "Corvus corax", "bat"]
        for label, reason in zip(labels, reasons, strict=True):
            said = plausible.why_not(label, wall)
            assert said.startswith(reason) and bool(said) == bool(reason)
    path.write_text("label\n*\n")
    assert read_plausible(path, Site()).why_not("Corvus corax", NOON) == ""
    path.write_text(PLAUSIBLE)
    config = Config(state_dir=str(tmp_path), site=Site("Ferme"), rules=RuleSettings(plausible=str(path)))
    rules, problem = rules_of(config)
    assert problem == ""
    notebook = Notebook(tmp_path, clock := Board().clock())
    judge = Judge(rules, notebook, clock, live=False)
    found = [call(1.0), call(2.0, "=Corvus"), call(3.0, "Nyctalus noctula")]
    assert (
        judge.push(notebook.begin("a.wav", NOON, None, "r"), Origin("a.wav", NOON, None), found, math.inf) == found[:1]
    )
    assert notebook.kept_out == {"plausible": 2}
    notebook.forget()  # the file turned out to be broken
    assert (notebook.detections, +notebook.kept_out) == (0, {})
    judge.push(notebook.begin("b.wav", NOON, None, "r"), Origin("b.wav", NOON, None), found, math.inf)
    notebook.close()
    assert [row["reason"] for row in table(tmp_path / "kept_out.csv")] == [
        "not in the table of plausible labels", "not plausible at this place",
    ]  # fmt: skip
    assert Notebook(tmp_path, clock).kept_out == {"plausible": 2}
    path.write_bytes(b"\xff")
    rules, problem = rules_of(config)  # a season is not lost for a damaged table
    assert rules.plausible is None
    assert problem.endswith("is not UTF-8; save it as 'CSV UTF-8'; every label is taken for plausible")


@pytest.mark.parametrize(
    ("latitude", "longitude", "labels"),
    [(50.7, 4.6, {"a", "all", "south of 60"}), (50.7, 7.0, {"all", "south of 60"}), (60.5, 4.6, {"all"}),
     (-17.0, 179.5, {"fiji", "all", "south of 60"}), (-17.0, -179.5, {"fiji", "all", "south of 60"}),
     (-17.0, 170.0, {"all", "south of 60"}), (51.0, 6.4, {"a", "all", "south of 60"})],
)  # fmt: skip
def test_a_label_is_plausible_within_bounds(tmp_path, latitude, longitude, labels):
    path = tmp_path / "plausible.csv"
    path.write_text(
        "label;south;north;west;east\na;49,5;51.0;2.5;6.4\nfiji;-20;-15;177;-178\nall;;;;\nsouth of 60;;60;;\n"
    )
    plausible = read_plausible(path, Site("", latitude, longitude))
    assert {label for label in ("a", "fiji", "all", "south of 60") if not plausible.why_not(label, None)} == labels


def test_bounds_the_wrong_way_round(tmp_path):
    (tmp_path / "p.csv").write_text("label,south,north\na,51,50\n")
    with pytest.raises(ConfigError, match="line 2: south 51 is north of north 50"):
        read_plausible(tmp_path / "p.csv", Site("", 50.5, 4.0))


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "its first line must name the columns label,"), ("name,place\na,b\n", "its first line must name"),
     ("label\n", "names no label"), ("label,place\n,x\n", "line 2: needs a label"), ("label\na,b\n", "at most 1 cells"),
     ("label,first_month\na,3\n", "line 2: '' is no month"), ('label\n"a\n', "line 2: unexpected end of data"),
     ("label,first_month,last_month\na,3-Nov,4\n", "'3-Nov' is no month"), ("label,label\na,b\n", "its first line"),
     ("label,north\na,91\n", "north '91' is no number of degrees from -90 to 90"),
     ("label,west\na,x\n", "west 'x' is no number"), ("label,east\na,nan\n", "east 'nan' is no number"),
     ("label,south\na,50\n", "line 2: has coordinates; set site.latitude and site.longitude")],
)  # fmt: skip
def test_mistakes_in_the_table_are_one_line(tmp_path, text, said):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_plausible(tmp_path / "p.csv", Site())


class Scripted:
    """A stream of a model that finds what a test wrote down, ``settles`` seconds after it was heard."""

    def __init__(self, found: list[Detection], settles: float) -> None:
        self._found, self._settles, self.samples, self.silent = list(found), settles, 0, False

    def push(self, sound: np.ndarray) -> list[Detection]:
        self.samples += len(sound)
        return self._out(self.settled_s)

    def finish(self) -> list[Detection]:
        return self._out(math.inf)

    @property
    def settled_s(self) -> float:
        return max(0.0, self.samples / RATE - self._settles)

    def _out(self, until: float) -> list[Detection]:
        out = [one for one in self._found if one.start_s <= until]
        self._found = [one for one in self._found if one.start_s > until]
        return out


VOICES = [Detection(10.0, 15.0, 0.0, 4e3, "Human", 0.4, 0.4), Detection(40.0, 45.0, 0.0, 4e3, "Human", 0.9, 0.9)]
BIRDS = [call(at, "owl", 0.6) for at in (3.0, 6.5, 8.4, 12.0, 17.4, 25.0, 37.0, 46.0, 47.9)]


@pytest.mark.parametrize("hits", [1, 2])
@pytest.mark.parametrize("piece", [0.1, 1.7, 60.0])
def test_no_clip_holds_a_voice(tmp_path, monkeypatch, piece, hits):
    """Voices count from a lower score on than they are reported from; a margin of 2 s around each is dropped, too."""
    facts = SimpleNamespace(
        sample_rate_hz=RATE, thresholds={"Human": 0.5, "owl": 0.3}, species=["Human", "owl"], kind=""
    )
    privacy = Privacy("drop", ("Human",), 0.2, 2.0)
    config = Config(clips=Clips(longest_s=3.0), privacy=privacy, rules=RuleSettings(hits, 5.0))
    wishes, rules = wishes_of(config, facts), rules_of(config)[0]
    found, asked = sorted([*VOICES, *BIRDS]), {}

    def open_stream(model, thresholds, *_):
        asked.update(thresholds)
        return Scripted(found, 5.0)

    monkeypatch.setattr("ecotf_recorder.stretch.open_stream", open_stream)
    notebook = Notebook(tmp_path, clock := Board().clock())
    clips = ClipKeeper(ClipRoom(tmp_path / "clips", notebook.database, 1e9, 0), notebook.database, clock, RATE, {})
    recent = room_for(wishes, RATE, max(5.0, piece) + rules.delay_s + 2.0)
    judge = Judge(rules, notebook, clock, live=False)
    began = Began(name="a.wav", wall=NOON)
    stretch = Stretch(began, SimpleNamespace(facts=facts, id="r"), wishes, notebook, clips, recent, clock, judge)
    sound = np.arange(60 * RATE).astype(np.int16)
    for at in range(0, len(sound), round(piece * RATE)):
        stretch.push(sound[at : at + round(piece * RATE)])
    stretch.finish()
    notebook.close()
    assert asked == {"Human": 0.2, "owl": 0.3}
    lone = [17.4, 25.0, 37.0] if hits == 2 else []
    assert [float(row["start_s"]) for row in table(tmp_path / "detections.csv") if row["label"] == "owl"] == [
        one.start_s for one in BIRDS if one.start_s not in lone
    ]
    assert [row["score"] for row in table(tmp_path / "detections.csv") if row["label"] == "Human"] == (
        ["0.9"] if hits == 1 else []
    )
    names = [path.name for path in sorted((tmp_path / "clips").rglob("*.wav"))]
    starts = [float(name[9:11]) * 3600 + float(name[11:13]) * 60 + float(name[13:19]) - 12 * 3600 for name in names]
    assert starts == pytest.approx([at - 0.5 for at in (3.0, 6.5, 25.0, 37.0, 47.9) if at not in lone])
    assert clips.with_voices == (5 if hits == 1 else 3)


def test_a_config_that_does_not_fit_the_model_is_said(tmp_path):
    facts = SimpleNamespace(
        sample_rate_hz=48_000, species=["Human vocal", "Strix aluco"], thresholds={}, kind="segments", takes="int16"
    )
    fine = Config(privacy=Privacy("drop", ("Human vocal",), 0.1), rules=RuleSettings(3, 60.0))
    assert config_check.no_clips_because(fine, facts) == ""
    for config, said in (
        (
            Config(privacy=Privacy("drop", ("human vocal",))),
            "does not know 'human vocal'; it knows Human vocal; no clips",
        ),
        (Config(rules=RuleSettings(2, 600.0), clips=Clips(longest_s=30.0)), "at most 64 MB: lower rules.within_s"),
    ):
        if config.rules.hits > 1:
            facts.sample_rate_hz = 384_000
        assert said in config_check.no_clips_because(config, facts)
    facts.kind = "peaks"
    assert "privacy.least_score is for models of segments" in config_check.no_clips_because(fine, facts)
    assert config_check.no_clips_because(Config(clips=Clips(keep=False), privacy=fine.privacy), facts) == ""
