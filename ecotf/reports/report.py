"""Write the report: one HTML file with figures, pictures and sounds inside, which asks nothing of a network."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ecotf.errors import ConfigError
from ecotf.files import atomic_file
from ecotf.reports import MOST_CLIPS
from ecotf.reports.cards import cards
from ecotf.reports.charts import class_bars, training_curves
from ecotf.reports.page import html_page
from ecotf.reports.shown_run import ShownRun, differences, read_runs
from ecotf.reports.tables import confusion, overview, thresholds, unfitted
from ecotf.reports.text import quoted

_NAME = "report.html"


def write_report(folders: Sequence[Path], output: Path, clips: int = MOST_CLIPS, overwrite: bool = False) -> Path:
    """Write a report of runs of any task.

    Parameters
    ----------
    folders
        Complete run folders; each once.
    output
        A file that ends in ``.html``, or a folder for ``report.html``.
    clips
        How many clips to listen to, all runs together; from 0.
    overwrite
        Replace a report that is there.

    Returns
    -------
    The file.

    Raises
    ------
    ConfigError
        A folder is no run, half written or given twice; ``output`` is there already, or a wrong number of clips.

    Examples
    --------
    >>> write_report([Path("runs/bats/field/2026-06-21_22-15-00")], Path("report"))  # doctest: +SKIP
    PosixPath('report/report.html')
    """
    if clips < 0:
        raise ConfigError(f"clips = {clips}: at least 0 is needed")
    file = output if output.suffix.lower() == ".html" else output / _NAME
    if output != file and output.exists() and not output.is_dir():
        raise ConfigError(f"{output}: a file; give a folder, or a name that ends in .html")
    if file.is_dir():
        raise ConfigError(f"{file}: a folder; give another --output")
    if file.exists() and not overwrite:
        raise ConfigError(f"{file} is there already; give another --output, or --overwrite")
    runs = read_runs(folders, clips)
    page = html_page("Report on " + ", ".join(run.name for run in runs), _body(runs))
    with atomic_file(file) as partial:
        partial.write_text(page, encoding="utf-8")
    return file


def _body(runs: Sequence[ShownRun]) -> str:
    from ecotf import __version__

    made = f"made by ecotf {__version__} on {datetime.now():%Y-%m-%d %H:%M}"
    warnings = "".join(f'<p class="warning">{quoted(sentence)}</p>' for sentence in differences(runs))
    parts = [
        f'<h1>{"How good is this run?" if len(runs) == 1 else "Runs side by side"}</h1><p class="made">{made}</p>',
        warnings,
        overview(runs),
        "<p><small>[low, high]: 95 % interval over recordings or groups. – : nothing to compute it from.</small></p>",
        "<h2>Classes</h2>",
        class_bars(runs),
        "<h2>Training</h2>",
        training_curves(runs),
        "<p><small>Each stage or network begins with a dot. Losses of different stages or recipes can be of different "
        "kinds and cannot be compared.</small></p>",
        _confusions(runs),
        "<h2>Thresholds</h2>",
        thresholds(runs),
        *[unfitted(run) for run in runs],
        _clips(runs),
    ]
    return "".join(parts)


def _confusions(runs: Sequence[ShownRun]) -> str:
    inside = "".join(confusion(run) for run in runs)
    return f"<h2>Which class was taken for which</h2>{inside}" if inside else ""


def _clips(runs: Sequence[ShownRun]) -> str:
    if not any(run.material.mistakes for run in runs):
        return ""
    return (
        "<h2>What the model got most wrong</h2>"
        '<p class="keys"><kbd>space</kbd> plays and stops, <kbd>←</kbd> <kbd>→</kbd> go to the next clip; a click into '
        "a spectrogram plays from there. The annotation can be wrong, too: listen.</p>"
        + "".join(cards(run) for run in runs if run.material.mistakes)
    )
