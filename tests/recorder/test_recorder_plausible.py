"""What is plausible where and when, and tables that say so."""

from __future__ import annotations

import math

import pytest
from ecotf_recorder.assembly import rules_of
from ecotf_recorder.config import Config, RuleSettings, Site
from ecotf_recorder.errors import ConfigError
from ecotf_recorder.rules.judge import Judge
from ecotf_recorder.rules.plausible import read_plausible
from ecotf_recorder.store.clips import Origin
from ecotf_recorder.store.notebook import Notebook
from recorder_stand_ins import NOON
from recorder_states import Board, labelled, records

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
    found = [labelled(1.0), labelled(2.0, "=Corvus"), labelled(3.0, "Nyctalus noctula")]
    assert (
        judge.push(notebook.begin("a.wav", NOON, None, "r"), Origin("a.wav", NOON, None), found, math.inf) == found[:1]
    )
    assert notebook.kept_out == {"plausible": 2}
    notebook.forget()  # the file turned out to be broken
    assert (notebook.detections, +notebook.kept_out) == (0, {})
    judge.push(notebook.begin("b.wav", NOON, None, "r"), Origin("b.wav", NOON, None), found, math.inf)
    notebook.close()
    assert [row["reason"] for row in records(tmp_path / "kept_out.csv")] == [
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
