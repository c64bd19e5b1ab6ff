"""From recordings to a survey: what the job notes of time and recorder is what the survey goes by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from ecotf.audio.metadata import write_guano
from ecotf.inference.job import ClassifierOptions, classify
from ecotf.inference.ledger import read_ledger
from ecotf.surveying.folder import write_survey
from ecotf.surveying.survey import make_survey

from .cheap_run import CheapRun

RATE = 32_000


def record(path: Path, level: float = 0.1, guano: dict[str, str] | None = None) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = level * np.random.default_rng(1).standard_normal(RATE)
    soundfile.write(path, samples, RATE, subtype="PCM_16")
    if guano:
        write_guano(path, guano)
    return str(path)


def test_a_job_becomes_a_survey(tmp_path):
    season = tmp_path / "season"
    stamp = {"Timestamp": "2026-06-01T23:00:00+02:00", "Serial": "S4U01"}
    recordings = [
        record(season / "card" / "one.wav", guano=stamp),
        record(season / "card" / "undated.wav", guano={"Serial": "S4U01"}),
        record(season / "heath" / "20260602_020000.wav"),
        record(season / "heath" / "20260602_220000.wav", level=0.0),
    ]
    broken = season / "heath" / "20260603_220000.wav"
    broken.write_bytes(b"RIFF")
    output = tmp_path / "detections"
    asked = ClassifierOptions(formats=("dataset",), time_zone="+02:00")
    classify(CheapRun(tmp_path / "model"), [*recordings, str(broken)], output, asked)
    noted = {Path(entry.recording).name: (entry.began, entry.recorder) for entry in read_ledger(output / "ledger.csv")}
    assert noted == {
        "one.wav": ("2026-06-01T23:00:00.000+02:00", "S4U01"), "undated.wav": ("", "S4U01"),
        "20260602_020000.wav": ("2026-06-02T02:00:00.000+02:00", ""),
        "20260602_220000.wav": ("2026-06-02T22:00:00.000+02:00", ""),
        "20260603_220000.wav": ("2026-06-03T22:00:00.000+02:00", ""),
    }  # fmt: skip

    sites = tmp_path / "sites.csv"
    sites.write_text("site;latitude;longitude;recorder\ndyke;50.5;4.6;S4U01\nheath;50.6;4.7;\n")
    survey = make_survey([output], sites)
    assert survey.states.loc["heath"].tolist() == ["recorded", "silent", "broken"]
    assert survey.states.loc["dyke"].tolist() == ["recorded", "nothing", "nothing"]
    assert survey.left_out == {"no date": 1}
    assert len(survey.labels) > 0 and survey.effort.loc["dyke", "2026-06-01"] * 3600 == 1.0
    write_survey(survey, tmp_path / "survey", ["camtrap-dp", "pamdp", "aoef"])
    assert (tmp_path / "survey" / "survey.html").read_text(encoding="utf-8").count("<audio") > 0
    assert len(list((tmp_path / "survey" / "history").iterdir())) == len(survey.labels)
