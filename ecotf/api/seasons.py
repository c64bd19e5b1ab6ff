"""Make the tables of a season."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecotf.api.given import PathLike, names_of, one_or_many, options_of
from ecotf.errors import ConfigError

if TYPE_CHECKING:
    from ecotf.surveying.survey import Survey


def survey(
    folders: PathLike | Sequence[PathLike],
    sites: PathLike,
    output: PathLike | None = None,
    *,
    exchange: str | Sequence[str] = (),
    overwrite: bool = False,
    **options: Any,
) -> Survey:
    """Make effort, detection histories and covariates of a season; as the command ``ecotf survey``.

    Parameters
    ----------
    folders
        What `classify` wrote, of one model.
    sites
        A CSV file with the columns ``site, latitude, longitude`` and, if wanted, ``recorder``, ``folder``,
        ``time_zone`` and covariates.
    output
        A folder for the tables, pictures and the page; None writes nothing.
    exchange
        Formats for others in it: ``camtrap-dp``, ``pamdp``, ``aoef``.
    overwrite
        Replace the survey in ``output``.
    options
        Fields of `ecotf.surveying.survey.SurveyOptions`: ``day``, ``occasion``, ``pass_gap_s``, ``score``,
        ``time_zone``, ``site_by``, ``longest_gap_days``, ``clips``.

    Returns
    -------
    The tables: ``effort``, ``states``, ``histories``, ``observations``, ``covariates`` and others; ``notes`` and
    ``left_out`` say what could not be used.

    Raises
    ------
    ConfigError
        A folder or an option that cannot be.
    DataError
        Folders of different models, a wrong table of sites, or no recording that has a site and a date.

    Examples
    --------
    >>> found = ecotf.survey(SEASON, SITES)
    >>> found.effort.loc["dyke", "2026-06-01"], found.states.loc["mill", "2026-06-15"]
    (2.0, 'broken')
    """
    from ecotf.surveying.exchange import check_exchange
    from ecotf.surveying.folder import check_output, write_survey
    from ecotf.surveying.survey import SurveyOptions, make_survey

    chosen, formats = options_of(SurveyOptions, "survey", options), names_of(exchange)
    check_exchange(formats)
    if output is not None:
        check_output(Path(output), overwrite)
    elif formats:
        raise ConfigError(f"survey: exchange = {', '.join(formats)} needs an output folder to write to")
    made = make_survey([Path(folder) for folder in one_or_many(folders)], Path(sites), chosen)
    if output is not None:
        write_survey(made, Path(output), formats, overwrite)
    return made
