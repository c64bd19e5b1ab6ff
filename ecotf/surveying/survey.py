"""From folders of detections and a table of sites to the tables of a survey."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from ecotf.errors import ConfigError, DataError
from ecotf.surveying.clocks import check_clocks
from ecotf.surveying.covariates import covariates_of, sunsets_of
from ecotf.surveying.effort import STATE_OF, days_of, hours_of
from ecotf.surveying.history import Occasions, days_of_occasion, effort_of, history_of, observations_of, passes_of
from ecotf.surveying.inputs import Found, read_inputs
from ecotf.surveying.sites import Sites, place, positions, read_sites
from ecotf.surveying.times import add_times, day_of


@dataclass(frozen=True)
class SurveyOptions:
    """How a survey is made.

    Attributes
    ----------
    day
        ``noon``: a night is one day, that of its evening; or ``midnight``.
    occasion
        ``day``, ``week`` (from Monday) or ``7d`` (from the first day).
    pass_gap_s
        Calls of a species that follow each other by less are one pass.
    score
        Detections below it do not count; None takes all that the classifier kept.
    time_zone
        Of sites whose row has none.
    site_by
        The one rule for sites, of `ecotf.surveying.sites.WAYS`; None: all that agree.
    longest_gap_days
        A part of a recorder's files further than this from its others, when no other site recorded, is of a clock
        that jumped.
    clips
        How many of the best clips the page plays.
    """

    day: str = "noon"
    occasion: str = "day"
    pass_gap_s: float = 1.0
    score: float | None = None
    time_zone: str | None = None
    site_by: str | None = None
    longest_gap_days: float = 30.0
    clips: int = 100

    def check(self) -> None:
        """Raise `ConfigError` for what cannot be."""
        from ecotf.audio.beginning import time_zone_of

        if self.day not in ("noon", "midnight"):
            raise ConfigError(f"day {self.day!r}: allowed are noon (a night is one day) and midnight")
        days_of_occasion(self.occasion)
        for name, value in (("pass gap", self.pass_gap_s), ("longest gap", self.longest_gap_days)):
            if not 0 < value < float("inf"):
                raise ConfigError(f"{name} {value:g}: a number above 0 is needed")
        if self.score is not None and not 0 <= self.score <= 1:
            raise ConfigError(f"score {self.score:g}: a score is from 0 to 1")
        if self.clips < 0:
            raise ConfigError(f"clips {self.clips}: 0 or more are needed")
        if self.time_zone is not None:
            time_zone_of(self.time_zone)


@dataclass(frozen=True)
class Survey:
    """The tables of a survey; times are those of the clock at the site.

    Attributes
    ----------
    recordings
        Every file that was looked at, with ``site``, ``local``, ``utc``, ``day``, ``state`` (recorded, silent or
        broken) and ``left_out`` (why it is not in the tables below; empty).
    detections
        Those that count, with ``site``, ``local``, ``day`` and ``begins`` (a pass begins here).
    hours, days
        Effort (`ecotf.surveying.effort`).
    effort, states
        Hours recorded, and the state, by site and occasion.
    observations
        What was found, by site, occasion and label.
    histories
        1, 0 and NA by site and occasion, for each label.
    covariates
        Tables of the same shape.
    notes
        What must be said, a line each.
    unknown_sites
        A line for each place that is of no site.
    """

    sites: Sites
    options: SurveyOptions
    recordings: pd.DataFrame
    detections: pd.DataFrame
    occasions: Occasions
    hours: pd.DataFrame
    days: pd.DataFrame
    effort: pd.DataFrame
    states: pd.DataFrame
    observations: pd.DataFrame
    histories: dict[str, pd.DataFrame]
    covariates: dict[str, pd.DataFrame]
    models: dict[str, dict[str, Any]]
    notes: tuple[str, ...] = ()
    unknown_sites: tuple[str, ...] = field(default=())

    @property
    def labels(self) -> list[str]:
        """What was found, in order of the alphabet."""
        return list(self.histories)

    @property
    def time_expansion(self) -> float | None:
        """What the user stated of all recordings; None: what their metadata say."""
        return next((model.get("time_expansion") for model in self.models.values()), None)

    @property
    def left_out(self) -> dict[str, int]:
        """How many recordings are not in the history, by the reason."""
        counts = self.recordings["left_out"].value_counts()
        return {str(reason): int(count) for reason, count in counts.items() if reason}


def make_survey(
    folders: Sequence[Path], sites: Path, options: SurveyOptions | None = None, now: datetime | None = None
) -> Survey:
    """Make the tables of a survey.

    Parameters
    ----------
    folders
        Job folders of ``ecotf classify``.
    sites
        The table of sites.
    now
        A recording that begins a day later has a wrong clock; by default the time of this computer.

    Raises
    ------
    ConfigError
        A folder or an option that cannot be.
    DataError
        Folders of different models, a wrong table of sites, or no recording that has a site and a date.
    """
    options = options or SurveyOptions()
    options.check()
    return survey_of(read_inputs(folders), read_sites(sites), options, now or datetime.now())


def survey_of(found: Found, sites: Sites, options: SurveyOptions, now: datetime) -> Survey:
    """Make the tables of a survey from what was found (`ecotf.surveying.inputs.Found`)."""
    recordings = found.recordings.copy()
    notes = list(found.notes)
    if not len(recordings):
        raise DataError("no recording in these folders")
    # The times first: what an older ledger does not say of the recorder, the file does.
    _say_recorders(recordings)
    placed = place(recordings, sites, options.site_by)
    recordings["site"] = placed.sites
    recordings["site_by"] = placed.ways
    notes += add_times(recordings, sites, options.time_zone, now)
    checked = check_clocks(recordings, sites, options.longest_gap_days)
    notes += checked.notes
    recordings["state"] = recordings["status"].map(STATE_OF)
    recordings["left_out"] = recordings["fault"].where(recordings["fault"] != "", checked.faults)
    recordings.loc[recordings["site"] == "", "left_out"] = "no site"
    recordings = recordings.drop(columns="fault")
    recordings["day"] = day_of(recordings["local"], options.day)
    used = recordings[recordings["left_out"] == ""]
    if not len(used):
        counts = ", ".join(f"{count} {reason}" for reason, count in recordings["left_out"].value_counts().items())
        raise DataError(f"none of {len(recordings)} recordings can be used: {counts}")
    sunsets = sunsets_of(positions(sites), used["day"].min(), used["day"].max() + pd.Timedelta(days=1))
    hours = hours_of(used, options.day, sunsets)
    first = min(used["day"].min(), hours["day"].min())
    last = max(used["day"].max(), hours["day"].max())
    occasions = Occasions.of(options.occasion, first, last)
    days = days_of(hours, sites.names, pd.date_range(first, last))
    effort, states = effort_of(hours, sites.names, occasions)
    detections = _dated(found.detections, used, options)
    observations = observations_of(detections, occasions)
    labels = sorted(detections["label"].unique())
    return Survey(
        sites, options, recordings, detections, occasions, hours, days, effort, states, observations,
        {label: history_of(observations, label, effort) for label in labels},
        covariates_of(hours, effort, occasions), found.models, tuple(notes), placed.unknown,
    )  # fmt: skip


def _say_recorders(recordings: pd.DataFrame) -> None:
    """Fill in times and serial numbers that an older ledger does not have, from the files that are still there."""
    from ecotf.audio.provenance import read_provenance

    began, recorders = list(recordings["began"]), list(recordings["recorder"])
    for row, (path, recording) in enumerate(zip(recordings["path"], recordings["recording"], strict=True)):
        if began[row]:
            continue
        origin = read_provenance(path)
        if not origin.time:  # the real path of a link may have another name
            origin = read_provenance(recording)
        began[row], recorders[row] = origin.time, recorders[row] or origin.recorder
    recordings["began"], recordings["recorder"] = began, recorders


def _dated(detections: pd.DataFrame, used: pd.DataFrame, options: SurveyOptions) -> pd.DataFrame:
    """Give the detections of used recordings their site, time and day."""
    own = detections if options.score is None else detections[detections["score"] >= options.score]
    facts = used.set_index("path")[["site", "local", "utc", "moment"]]
    own = own[own["path"].isin(facts.index)].drop(columns="time").reset_index(drop=True)
    own = own.join(facts, on="path")
    start = pd.to_timedelta(own["start_s"], unit="s")
    own["end_moment"] = own["moment"] + pd.to_timedelta(own["end_s"], unit="s")
    for name in ("local", "utc", "moment"):
        own[name] = own[name] + start
    own["day"] = day_of(own["local"], options.day)
    own["begins"] = passes_of(own, options.pass_gap_s)
    return own
