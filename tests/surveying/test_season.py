"""A simulated season with known truth: every cell of effort and history, and what is said of the rest."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from simulated_season import FIRST, JUMPED, NIGHTS, SITES, SPECIES, Season

from ecotf.surveying.history import Occasions
from ecotf.surveying.survey import SurveyOptions, make_survey

DAYS = [f"{day:%Y-%m-%d}" for day in pd.date_range(FIRST, periods=NIGHTS)]


def truth(season: Season, what: str) -> pd.DataFrame:
    values = getattr(season, what)
    return pd.DataFrame([[values[site, night] for night in range(NIGHTS)] for site in SITES], SITES, DAYS)


def seen(season: Season, label: str) -> pd.DataFrame:
    """1 where the label was heard, 0 where it was not, NaN where nothing was recorded."""
    found = truth(season, "seen").map(lambda calls: float(label in calls))
    return found.where(truth(season, "hours") > 0)


def test_every_cell_of_the_effort(season, written):
    effort = pd.read_csv(written / "effort.csv", index_col="site")
    np.testing.assert_allclose(effort, truth(season, "hours"))
    states = pd.read_csv(written / "states.csv", index_col="site")
    assert (states.to_numpy() == truth(season, "state").to_numpy()).all()
    assert list(states.index) == list(SITES) and list(states) == DAYS
    days = pd.read_csv(written / "effort_days.csv")
    assert len(days) == len(SITES) * NIGHTS
    assert days["silent_h"].sum() == 4.0 and days["broken"].sum() == 80 + 2
    partly = days[(days["site"] == "dyke") & (days["day"] == DAYS[3])].iloc[0]
    assert (partly["state"], partly["recorded_h"], partly["broken"]) == ("recorded", 1.0, 2)
    hours = pd.read_csv(written / "effort_hours.csv")
    assert sorted(hours["hour"].unique()) == [0, 2, 4, 22]


@pytest.mark.parametrize("label", SPECIES)
def test_every_cell_of_the_history(season, written, label):
    table = pd.read_csv(written / "history" / f"{label.replace(' ', '_')}.csv", index_col="site")
    pd.testing.assert_frame_equal(table.astype(float), seen(season, label), check_names=False)
    assert table.isna().to_numpy().sum() == 4 + 1 + 20 + 2 + 10
    assert (table == 1).to_numpy().any() and (table == 0).to_numpy().any()


def test_weeks(season):
    """An occasion of several nights is known as soon as one of them is, and lacks only where none is."""
    survey = make_survey([season.folder], season.sites, SurveyOptions(occasion="7d"))
    for label in SPECIES:
        days = seen(season, label)
        weeks = days.T.groupby(np.arange(NIGHTS) // 7).max().T
        np.testing.assert_array_equal(survey.histories[label].astype(float), weeks)
    hours = truth(season, "hours").T.groupby(np.arange(NIGHTS) // 7).sum().T
    np.testing.assert_allclose(survey.effort, hours)
    assert survey.occasions.names == DAYS[::7]
    assert Occasions.of("week", pd.Timestamp("2026-06-03"), pd.Timestamp("2026-06-08")).names == DAYS[0:8:7]


def test_every_observation(season, written):
    table = pd.read_csv(written / "observations.csv", float_precision="round_trip")
    expected = {
        (site, DAYS[night], label): calls
        for (site, night), found in season.seen.items()
        for label, calls in found.items()
    }
    assert len(table) == len(expected)
    for row in table.itertuples():
        calls = expected[row.site, row.occasion, row.label]
        assert (row.n, row.score) == (len(calls), max(call.score for call in calls))
        assert row.start_s in {call.start_s for call in calls if call.score == row.score}


def test_passes(season, survey):
    """Calls of a pass are 0.1 s apart in the simulation: a pass begins where there is none in the second before."""
    for (site, night), found in season.seen.items():
        for label, calls in found.items():
            own = survey.detections
            own = own[(own["site"] == site) & (own["label"] == label) & (own["day"] == DAYS[night])]
            assert len(own) == len(calls)
    quiet = survey.detections.sort_values(["site", "label", "moment"])
    gaps = quiet.groupby(["site", "label"])["moment"].diff().dt.total_seconds()
    assert int(survey.detections["begins"].sum()) == int((gaps.isna() | (gaps > 1.0)).sum())


def test_the_clock_that_jumped_is_said(written, survey):
    left_out = pd.read_csv(written / "recordings.csv")
    jumped = left_out[left_out["left_out"] == "clock jumped"]
    assert len(jumped) == 4 * len(JUMPED) and set(jumped["site"]) == {"orchard"}
    (line,) = survey.notes
    assert line.startswith("orchard (recorder 24F30004): 40 recordings of 2026-01-")
    assert "its clock jumped; left out of the history (--longest-gap" in line
    assert line in json.loads((written / "survey.json").read_text())["notes"]


def test_covariates(season, survey):
    """Effort in the middle of the night, in June at 50 degrees north: three to four hours after a sunset at ten."""
    after = survey.covariates["hour_from_sunset"]
    whole = truth(season, "hours") == 2.0
    assert after.isna().equals(~(survey.effort > 0))
    # 22:15, 0:15, 2:15 and 4:15 in the mean, less 21:45 to 22:05.
    assert after.where(whole).stack().dropna().between(3.2, 3.6).all()
    assert survey.covariates["day_of_year"].loc["dyke"].tolist() == list(range(152, 182))
    for name in ("day_of_year", "hour_from_sunset"):
        scaled = survey.covariates[f"{name}_z"].to_numpy()
        assert np.nanmean(scaled) == pytest.approx(0, abs=1e-9) and np.nanstd(scaled) == pytest.approx(1)
        np.testing.assert_allclose(survey.covariates[f"{name}_z2"], scaled**2)


def test_midnight_cuts_a_night_in_two(season):
    survey = make_survey([season.folder], season.sites, SurveyOptions(day="midnight"))
    assert survey.occasions.names == [*DAYS, "2026-07-01"]
    assert survey.effort.loc["dyke"].tolist()[:3] == [0.5, 2.0, 2.0]
