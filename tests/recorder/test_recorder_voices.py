"""Clips without human voices, and configs that do not fit the model."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from ecotf_recorder import config_check
from ecotf_recorder.assembly import rules_of, wishes_of
from ecotf_recorder.config import Clips, Config, Privacy, RuleSettings
from ecotf_recorder.rules.judge import Judge
from ecotf_recorder.scoring.held import Detection
from ecotf_recorder.sources.events import Began
from ecotf_recorder.store.clips import ClipKeeper
from ecotf_recorder.store.notebook import Notebook
from ecotf_recorder.store.quota import ClipRoom
from ecotf_recorder.stretch import Stretch, room_for
from recorder_stand_ins import NOON
from recorder_states import Board, labelled, records

RATE = 8000


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


BIRDS = [labelled(at, "owl", 0.6) for at in (3.0, 6.5, 8.4, 12.0, 17.4, 25.0, 37.0, 46.0, 47.9)]


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
    assert [float(row["start_s"]) for row in records(tmp_path / "detections.csv") if row["label"] == "owl"] == [
        one.start_s for one in BIRDS if one.start_s not in lone
    ]
    assert [row["score"] for row in records(tmp_path / "detections.csv") if row["label"] == "Human"] == (
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
