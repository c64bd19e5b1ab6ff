"""``ecotf report``: runs side by side as one HTML file, with the clips that they got most wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ecotf.commands.console import log, make_parser
from ecotf.errors import ConfigError
from ecotf.reports import MOST_CLIPS

EXAMPLES = """\
examples:
  ecotf report runs/birds/small/2026-06-21_22-15-00
  ecotf report runs/birds/small/2026-06-21_22-15-00 --output report/
  ecotf report RUN_A RUN_B RUN_C --output comparison.html --clips 20

The report is one file that needs no other and no network: figures with intervals, average precision by class, training
curves, thresholds, and the clips that the models got most wrong, to look at and listen to. Open it in a browser.
"""


def main(arguments: Sequence[str]) -> int:
    """Read the runs and write the report."""
    parser = make_parser("report", "Compare trained models, and hear what they got wrong.", EXAMPLES)
    parser.add_argument("runs", nargs="+", metavar="RUN", type=Path, help="run folders, of any task")
    parser.add_argument(
        "--output", metavar="PLACE", type=Path,
        help="a folder, or a file that ends in .html (of one run: its report.html)",
    )  # fmt: skip
    parser.add_argument(
        "--clips", metavar="N", type=int, default=MOST_CLIPS, help=f"how many clips to listen to ({MOST_CLIPS})"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a report that is there")
    options = parser.parse_args(arguments)
    output = options.output
    if output is None:
        if len(options.runs) > 1:
            raise ConfigError("report: several runs are one report; say where it goes with --output PLACE")
        output = options.runs[0] / "report.html"
    from ecotf.reports.report import write_report

    file = write_report(options.runs, output, options.clips, options.overwrite)
    log(f"report:    {file} ({file.stat().st_size / 1e6:.1f} MB); open it in a browser")
    return 0
