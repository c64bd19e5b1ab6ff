"""What goes wrong in a season: each is one clear line, and the rest of the season goes on."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from simulated_season import FILE_S, Season, make_season, write_job, write_sites

from ecotf.commands.main import main
from ecotf.errors import ConfigError, DataError
from ecotf.inference.formats import Call
from ecotf.inference.ledger import Entry
from ecotf.surveying.sun import sun_time
from ecotf.surveying.survey import Survey, SurveyOptions, make_survey

EVENING = datetime(2026, 6, 1, 22)
CALL = Call(10.0, 10.005, 3e4, 8e4, "Myotis daubentonii", 0.9, 0.9)


@pytest.fixture
def sites(tmp_path) -> Path:
    return write_sites(tmp_path / "sites.csv", recorder=False)


def entry(
    name: str, began: datetime | str, recorder: str = "", status: str = "done", duration_s: float = FILE_S
) -> Entry:
    text = began if isinstance(began, str) else f"{began.isoformat(timespec='milliseconds')}+02:00"
    return Entry(name, status, "", duration_s, path=f"/{name}", files=name, began=text, recorder=recorder)  # type: ignore[arg-type]


def nights(site: str, count: int = 5, recorder: str = "", first: datetime = EVENING, name: str = "") -> list[Entry]:
    """One recording a night, in a folder of the site."""
    times = [first + timedelta(days=night) for night in range(count)]
    return [entry(f"{site}/{name}{time:%Y%m%d_%H%M%S}.wav", time, recorder) for time in times]


def survey_of(tmp_path: Path, sites: Path, entries: list[Entry], **options: object) -> Survey:
    job = write_job(tmp_path / "detections", [(one, [CALL] if one.status == "done" else []) for one in entries])
    return make_survey([job], sites, SurveyOptions(**options))  # type: ignore[arg-type]


def only(notes: tuple[str, ...], *words: str) -> str:
    """The one line that holds these words."""
    found = [line for line in notes if all(word in line for word in words)]
    assert len(found) == 1, notes
    assert "\n" not in found[0]
    return found[0]


def test_recordings_without_a_date_are_counted_and_left_out(tmp_path, sites):
    undated = [entry("dyke/REC0001.wav", ""), entry("dyke/REC0002.wav", "")]
    survey = survey_of(tmp_path, sites, [*nights("dyke"), *undated])
    assert survey.left_out == {"no date": 2}
    assert survey.effort.loc["dyke"].tolist() == [0.5] * 5 and len(survey.detections) == 5
    listed = survey.recordings[survey.recordings["left_out"] == "no date"]
    assert listed["recording"].tolist() == ["dyke/REC0001.wav", "dyke/REC0002.wav"]


def test_only_undated(tmp_path, sites):
    with pytest.raises(DataError, match=r"none of 1 recordings can be used: 1 no date"):
        survey_of(tmp_path, sites, [entry("dyke/REC0001.wav", "")])


@pytest.mark.parametrize(("began", "reason"), [("1998-06-02T22:00:00.000+02:00", "before 2000"),
                                               ("2091-06-02T22:00:00.000+02:00", "in the future")])  # fmt: skip
def test_years_that_cannot_be(tmp_path, sites, began, reason):
    survey = survey_of(tmp_path, sites, [*nights("dyke"), entry("dyke/REC0001.wav", began)])
    assert survey.left_out == {reason: 1} and survey.effort.shape == (6, 5)


def test_a_clock_that_went_back(tmp_path, sites):
    """Files of a counter: the clock falls back for three of them, is set right, and the longest series stays."""
    times = [EVENING + timedelta(days=night) for night in range(10)]
    shown = [time - timedelta(days=40) if night in (4, 5, 6) else time for night, time in enumerate(times)]
    entries = [entry(f"dyke/REC{number:04d}.wav", time, "A1") for number, time in enumerate(shown)]
    survey = survey_of(tmp_path, sites, [*entries, *nights("pond", first=EVENING - timedelta(days=40))])
    assert survey.left_out == {"clock went back": 3}
    assert only(survey.notes, "goes back").startswith("dyke (recorder A1): the clock of 3 recordings goes back")
    assert survey.effort.loc["dyke"].sum() == 3.5


def test_one_recorder_over_itself(tmp_path, sites):
    entries = [
        *nights("dyke", recorder="A1"),
        entry("dyke/second/20260603_221000.wav", EVENING + timedelta(days=2, minutes=10), "A1"),
    ]
    survey = survey_of(tmp_path, sites, entries)
    assert survey.left_out == {"overlap": 2}
    assert "2 recordings lie over each other" in only(survey.notes, "dyke (recorder A1)")


def test_two_recorders_with_one_name(tmp_path, sites):
    """Both are kept, said, and a second that both recorded counts once."""
    later = EVENING + timedelta(minutes=10)
    entries = [*nights("dyke", recorder="A1"), *nights("dyke", recorder="B2", name="b_", first=later)]
    survey = survey_of(tmp_path, sites, entries)
    line = only(survey.notes, "dyke")
    assert "2 recorders, A1 (5), B2 (5), 10 of them at the same time" in line and "column recorder" in line
    np.testing.assert_allclose(survey.effort.loc["dyke"], 40 / 60)
    assert survey.left_out == {} and len(survey.detections) == 10
    unknown = [*nights("dyke"), *nights("dyke", name="b_", first=later)]
    survey = survey_of(tmp_path / "unknown", sites, unknown)
    assert "two recorders with one name, or a clock" in only(survey.notes, "dyke")


def test_recorders_that_the_table_names_are_fine(tmp_path, sites):
    table = pd.read_csv(sites).assign(recorder="")
    table.loc[table["site"] == "dyke", "recorder"] = "A1;B2"
    table.to_csv(sites, index=False)
    entries = [*nights("x", recorder="A1"), *nights("y", recorder="B2", first=EVENING + timedelta(minutes=10))]
    survey = survey_of(tmp_path, sites, entries)
    assert survey.notes == () and set(survey.recordings["site_by"]) == {"recorder"}


def test_copies_count_once(tmp_path, sites):
    copies = [
        one._replace(recording=f"dyke/copy/{one.recording[5:]}", path=f"/copy/{one.recording}")
        for one in nights("dyke", 2)
    ]
    survey = survey_of(tmp_path, sites, [*nights("dyke"), *copies])
    assert survey.left_out == {"copy": 2} and len(survey.detections) == 5
    only(survey.notes, "dyke: 2 recordings are there twice")


def test_sites_that_the_table_does_not_know(tmp_path, sites, capsys):
    job = write_job(
        tmp_path / "detections", [(one, []) for one in [*nights("dyke"), *nights("bog", 3), *nights("fen", 1)]]
    )
    status = main(["survey", str(job), "--sites", str(sites), "--output", str(tmp_path / "survey")])
    said = capsys.readouterr().err.splitlines()
    assert status == 1
    assert said[0].startswith("bog: 3 recordings of no site in ") and said[1].startswith("fen: 1 recording of no site")
    recordings = pd.read_csv(tmp_path / "survey" / "recordings.csv")
    assert (recordings["left_out"] == "no site").sum() == 4


def test_where_two_rules_disagree(tmp_path, sites):
    entries = [entry("dyke/pond_20260601_220000.wav", EVENING)]
    with pytest.raises(DataError, match=r"its folder says 'dyke', its file name says 'pond'.*--site-by recorder"):
        survey_of(tmp_path, sites, entries)
    survey = survey_of(tmp_path / "again", sites, entries, site_by="name")
    assert survey.recordings["site"].tolist() == ["pond"]


def test_without_a_time_zone(tmp_path, sites):
    entries = [one._replace(began=one.began[:23]) for one in nights("dyke")]
    survey = survey_of(tmp_path, sites, entries)
    assert survey.effort.loc["dyke"].tolist() == [0.5] * 5
    assert survey.covariates["hour_from_sunset"].isna().all(axis=None)
    assert "5 recordings say no time zone (dyke)" in only(survey.notes, "--time-zone")
    known = survey_of(tmp_path / "known", sites, entries, time_zone="Europe/Brussels")
    assert known.notes == () and known.covariates["hour_from_sunset"].loc["dyke"].between(0.2, 0.6).all()


def test_a_clock_in_utc_far_from_greenwich(tmp_path, sites):
    """One hour after sunset in Colombia is after midnight in UTC: with the zone it is the evening's date."""
    pd.read_csv(sites).assign(latitude=4.6, longitude=-74.1).to_csv(sites, index=False)
    entries = [
        one._replace(began=f"2026-06-{2 + night:02d}T00:10:00.000+00:00") for night, one in enumerate(nights("dyke"))
    ]
    only(survey_of(tmp_path, sites, entries).notes, "hours from the sun's time", "--time-zone")
    survey = survey_of(tmp_path / "known", sites, entries, time_zone="America/Bogota", day="midnight")
    assert survey.notes == () and survey.occasions.names[0] == "2026-06-01"


def test_clocks_that_change_with_the_season(tmp_path, sites):
    """The night of 25 October 2026 has an hour twice: that is no jump, and no hour is lost."""
    times = [f"2026-10-25T{hour:02d}:30:00.000+00:00" for hour in (0, 1)]
    entries = [entry(f"dyke/{number}.wav", time, "A1", duration_s=3600.0) for number, time in enumerate(times)]
    survey = survey_of(tmp_path, sites, entries, time_zone="Europe/Brussels")
    assert survey.notes == () and survey.effort.loc["dyke"].tolist() == [2.0]
    assert survey.hours["recorded_s"].sum() == 7200.0


def test_two_models(tmp_path, sites):
    one = write_job(tmp_path / "one", [(e, []) for e in nights("dyke")])
    other = write_job(tmp_path / "other", [(e, []) for e in nights("pond")], model="b" * 64)
    with pytest.raises(DataError, match=r"one and .*other were written in different ways: model bats/field"):
        make_survey([one, other], sites)
    gated = write_job(tmp_path / "gated", [(e, []) for e in nights("pond")], gate=True)
    with pytest.raises(DataError, match="gate False and True"):
        make_survey([one, gated], sites)
    same = write_job(tmp_path / "same", [(e, []) for e in nights("pond")])
    assert make_survey([one, same], sites).effort.loc[["dyke", "pond"]].to_numpy().sum() == 5.0


def test_half_written(tmp_path, sites):
    job = write_job(tmp_path / "detections", [(one, [CALL]) for one in nights("dyke")])
    with (job / "ledger.csv").open("a") as file:
        file.write('dyke/20260606_220000.wav,done,"half a r')
    with (job / "job.jsonl").open("a") as file:
        file.write('{"recording": "dyke/20260606')
    survey = make_survey([job], sites)
    assert survey.effort.loc["dyke"].tolist() == [0.5] * 5
    assert len([line for line in survey.notes if "last row is half written" in line]) == 2
    rows = (job / "job.jsonl").read_text().splitlines()
    (job / "job.jsonl").write_text("\n".join(rows[:3]) + "\n")
    with pytest.raises(ConfigError, match=r"job\.jsonl lacks 3 recordings of ledger\.csv"):
        make_survey([job], sites)
    (job / "job.jsonl").write_text("\n".join([*rows[:2], "{", *rows[3:]]) + "\n")
    with pytest.raises(ConfigError, match=r"job\.jsonl: line 3 is damaged"):
        make_survey([job], sites)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("site,latitude\ndyke,50\n", "column 'longitude' is missing; needed are site, latitude, longitude"),
        ("site,latitude,longitude\n", "no site in it"),
        ("site,latitude,longitude\ndyke,50,4\ndyke,51,4\n", "site 'dyke' comes twice"),
        ("site,latitude,longitude\ndyke,50.5N,4\n", "latitude '50.5N' of site 'dyke'"),
        ("site,latitude,longitude\ndyke,50,400\n", "longitude '400' of site 'dyke'.*-180 to 180"),
        ("site,latitude,longitude,time_zone\ndyke,50,4,Mars\n", "time zone 'Mars'"),
        (
            "site,latitude,longitude,recorder\na,5,4,X1\nb,5,4,X2;X1\n",
            "recorder 'X1' is given for two sites, 'a' and 'b'",
        ),
        (",latitude,longitude\na,5,4\n", "column 'site' is missing"),
    ],
)
def test_tables_of_sites_that_cannot_be(tmp_path, sites, text, said):
    sites.write_text(text)
    with pytest.raises(DataError, match=said):
        survey_of(tmp_path, sites, nights("dyke"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"day": "dusk"}, "allowed are noon"), ({"occasion": "month"}, "allowed are day, week"),
        ({"occasion": "0d"}, "allowed are day"), ({"pass_gap_s": 0}, "pass gap 0"), ({"score": 2.0}, "from 0 to 1"),
        ({"time_zone": "Mars"}, "time zone 'Mars'"), ({"site_by": "luck"}, "allowed are data, recorder"),
    ],
)  # fmt: skip
def test_options_that_cannot_be(tmp_path, sites, options, said):
    with pytest.raises(ConfigError, match=said):
        survey_of(tmp_path, sites, nights("dyke"), **options)


def test_folders_that_are_none(tmp_path, sites, capsys):
    (tmp_path / "empty").mkdir()
    for folder, said in ((tmp_path / "empty", "no folder of detections"), (tmp_path / "none", "no such folder")):
        with pytest.raises(ConfigError, match=said):
            make_survey([folder], sites)
    job = write_job(tmp_path / "detections", [(one, []) for one in nights("dyke")])
    with pytest.raises(ConfigError, match="is there and is no survey"):
        main(["survey", str(job), "--sites", str(sites), "--output", str(job)])
    with pytest.raises(ConfigError, match="--sites is missing"):
        main(["survey", str(job), "--output", str(tmp_path / "survey")])


def test_an_older_ledger_takes_dates_from_names(tmp_path):
    season: Season = make_season(tmp_path)
    path = season.folder / "ledger.csv"
    rows = [line.rsplit(",", 2)[0] for line in path.read_text().splitlines()]
    path.write_text("\n".join(rows) + "\n")
    survey = make_survey([season.folder], season.sites, SurveyOptions(time_zone="+02:00"))
    assert survey.left_out == {"clock jumped": 40}
    assert survey.states.loc["mill", "2026-06-15"] == "broken" and survey.effort.loc["dyke"].sum() == 59.0


@pytest.mark.parametrize(
    ("latitude", "longitude", "day", "rises", "sets"),
    [
        # As printed for these cities: almanac times of day, of the zone of the place, here in UTC.
        (51.5074, -0.1278, "2024-06-20", "2024-06-20T03:43", "2024-06-20T20:21"),
        (51.5074, -0.1278, "2024-12-21", "2024-12-21T08:04", "2024-12-21T15:53"),
        (40.7128, -74.006, "2024-06-20", "2024-06-20T09:25", "2024-06-21T00:31"),
        (-33.8688, 151.2093, "2024-12-21", "2024-12-20T18:41", "2024-12-21T09:05"),
    ],
)
def test_sunset_and_sunrise(latitude, longitude, day, rises, sets):
    days = np.array([day], "datetime64[D]")
    for what, expected in (("sunrise", rises), ("sunset", sets)):
        found = sun_time(days, latitude, longitude, what)[0]
        assert abs(found - np.datetime64(expected, "s")) <= np.timedelta64(60, "s"), (what, found)


def test_the_sun_that_does_not_set():
    assert np.isnat(sun_time(np.array(["2024-06-20"], "datetime64[D]"), 69.65, 18.96)).all()
