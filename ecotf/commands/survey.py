"""``ecotf survey``: detections and a table of sites in; effort, detection histories, pictures and a page out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ecotf.commands.console import complaints, console, log, make_parser, plain
from ecotf.errors import ConfigError

if TYPE_CHECKING:
    from ecotf.surveying.survey import Survey, SurveyOptions

EXAMPLES = """\
examples:
  ecotf survey detections/ --sites sites.csv --output survey/
  ecotf survey spring/ summer/ --sites sites.csv --output survey/ --occasion week --time-zone Europe/Brussels
  ecotf survey detections/ --sites sites.csv --output survey/ --day midnight --score 0.8 --exchange camtrap-dp,aoef
  ecotf survey survey/ --sql "SELECT label, count(*) FROM detections GROUP BY label"

sites.csv has the columns site, latitude and longitude; if wanted recorder (serial numbers, several apart by ;), folder
(patterns) and time_zone; any others are covariates. A recording is of the site that its recorder's number, a folder
with the site's name, or the beginning of its file's name tells; where two disagree, --site-by says which counts.

OUTPUT holds effort (what was recorded, silent, broken and nothing, by site, day and hour), history/ (1, 0, and NA
where nothing was recorded), observations, covariates/ and tables/ (Parquet). What cannot be used is counted and said:
recordings without a date, of unknown sites, of clocks that jumped.

exit status: 0 all used, 1 some recordings are left out, 2 nothing could be done
"""


def main(arguments: Sequence[str]) -> int:
    """Make a survey."""
    parser = make_parser("survey", "Make effort, detection histories and pictures of a season.", EXAMPLES)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="what `ecotf classify` wrote")
    parser.add_argument("--sites", type=Path, metavar="FILE", help="the table of sites (CSV)")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where the survey is written")
    parser.add_argument("--day", default="noon", help="noon: a night is one day, of its evening's date; or midnight")
    parser.add_argument("--occasion", default="day", help="day, week (from Monday) or a number of days as 7d (day)")
    parser.add_argument(
        "--pass-gap", type=float, default=1.0, metavar="S", help="calls closer than this are a pass (1)"
    )
    parser.add_argument("--score", type=float, help="only detections from this score on")
    parser.add_argument("--time-zone", metavar="ZONE", help="of the sites: Europe/Brussels or +02:00")
    parser.add_argument("--site-by", metavar="RULE", help="recorder, folder or name alone (all, which must agree)")
    parser.add_argument(
        "--longest-gap", type=float, default=30.0, metavar="DAYS", help="within one recorder, if it is alone (30)"
    )
    parser.add_argument("--clips", type=int, default=100, metavar="N", help="most clips to hear on the page (100)")
    parser.add_argument("--exchange", default="", metavar="NAMES", help="comma-separated: camtrap-dp, pamdp, aoef")
    parser.add_argument("--sql", metavar="QUERY", help="ask the tables of a survey, or of detections; prints CSV")
    parser.add_argument("--overwrite", action="store_true", help="replace the survey in the output folder")
    options = parser.parse_args(arguments)
    if options.sql is not None and options.sites is None and options.output is None:
        return _asked(options)
    return _survey(options)


def _survey(options: argparse.Namespace) -> int:
    from ecotf.surveying.exchange import check_exchange
    from ecotf.surveying.folder import check_output, write_survey
    from ecotf.surveying.survey import make_survey

    for name in ("sites", "output"):
        if getattr(options, name) is None:
            raise ConfigError(f"--{name} is missing; a survey needs a table of sites and a folder to write to")
    exchange = [name.strip() for name in options.exchange.split(",") if name.strip()]
    check_exchange(exchange)
    check_output(options.output, options.overwrite)
    survey = make_survey(options.folders, options.sites, chosen(options))
    notes = write_survey(survey, options.output, exchange, options.overwrite)
    _summarise(survey, notes, options.output)
    if options.sql is not None:
        options.folders = [options.output]
        _asked(options)
    return 1 if survey.left_out else 0


def chosen(options: argparse.Namespace) -> SurveyOptions:
    """Read the options of the command line."""
    from ecotf.surveying.survey import SurveyOptions

    return SurveyOptions(
        day=options.day,
        occasion=options.occasion,
        pass_gap_s=options.pass_gap,
        score=options.score,
        time_zone=options.time_zone,
        site_by=options.site_by,
        longest_gap_days=options.longest_gap,
        clips=options.clips,
    )


def _asked(options: argparse.Namespace) -> int:
    """Print what a question in SQL gives, as CSV."""
    from ecotf.inference.formats import csv_text
    from ecotf.strangers import on_one_line
    from ecotf.surveying.query import ask

    columns, rows = ask(options.folders, options.sql)
    if columns:
        table = [columns, *rows]
        if console.is_terminal:
            table = [[on_one_line(cell) if isinstance(cell, str) else cell for cell in row] for row in table]
        console.print(csv_text(table), end="", markup=False)
    return 0


def _summarise(survey: Survey, notes: Sequence[str], output: Path) -> None:
    for line in (*survey.unknown_sites, *survey.notes, *notes):
        complaints.print(plain(line))
    days = survey.days
    counts = ", ".join(f"{int((days['state'] == state).sum())} {state}" for state in sorted(set(days["state"])))
    log(f"recordings: {len(survey.recordings)}" + "".join(f", {n} {why}" for why, n in survey.left_out.items()))
    log(f"days:       {days['day'].min():%Y-%m-%d} to {days['day'].max():%Y-%m-%d}; of sites and days {counts}")
    log(f"effort:     {days['recorded_h'].sum():.1f} hours at {len(survey.sites.names)} sites")
    log(f"found:      {len(survey.labels)} labels, {len(survey.detections)} detections")
    log(f"survey:     {output}")
