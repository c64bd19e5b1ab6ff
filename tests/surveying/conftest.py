"""One simulated season, its survey, and the folder that the command writes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulated_season import Season, make_recording, make_season

from ecotf.commands.main import main
from ecotf.inference.formats import Call
from ecotf.surveying.page import best_clips
from ecotf.surveying.survey import Survey, make_survey


@pytest.fixture(scope="session")
def season(tmp_path_factory) -> Season:
    return make_season(tmp_path_factory.mktemp("season"))


@pytest.fixture(scope="session")
def survey(season) -> Survey:
    return make_survey([season.folder], season.sites)


@pytest.fixture(scope="session")
def written(season, survey, tmp_path_factory) -> Path:
    """What the command writes where the best clips of one site are still there."""
    for row in best_clips(survey).to_dict("records"):
        if row["site"] == "forest":
            make_recording(Path(row["path"]), [Call(row["start_s"], row["end_s"], 3e4, 8e4, row["label"], 1.0)])
    output = tmp_path_factory.mktemp("out") / "survey"
    options = ["--sites", str(season.sites), "--output", str(output), "--exchange", "camtrap-dp,pamdp,aoef"]
    assert main(["survey", str(season.folder), *options]) == 1  # a clock jumped
    return output
