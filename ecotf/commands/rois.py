"""``ecotf dataset rois``: recordings in; clips of their regions of interest, a manifest and a contact sheet out."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecotf.commands.console import INTERRUPTED, complaints, log, plain, progress_bar
from ecotf.commands.jobs import channel_of, check_job, log_counts, status_of, tell_outcome
from ecotf.errors import ConfigError

if TYPE_CHECKING:
    from ecotf.regions.job import CutSummary
    from ecotf.regions.wanted import WantedCut

ABOUT = "cut regions of interest out of recordings, and sort out noise by species"
EXAMPLES = """\
examples:
  rois recordings/ --output rois/
  rois manifest.csv --output rois/ regions.high_hz=8000 clip.seconds=2
  rois recordings/ --output rois/ --settings darksound_v2 tail=keep
  rois recordings/ --output rois/ --resume cluster=hdbscan --keep all

A region is what stands out of the background. Its species is that of the manifest's annotation that it lies in, or the
name of the recording's folder. Of each species, the biggest cluster of regions stays; the others get the label noise.
OUTPUT holds the clips, manifest.csv, features.csv, contact_sheet.html and ledger.csv, where every file ends up as done,
salvaged, short, silent, corrupt, unsupported or failed, with the reason. --resume continues a job, also with other
recordings, and sorts anew with other settings of cluster, cluster_by, scale and keep.

settings (key=value): those of --settings darksound_v1 or darksound_v2 are the published ones; without, the band is 250
to 5000 Hz, all of a recording is looked at, and clips are 3 s of 16-bit sound at 48 kHz:
  sample_rate, filter_order, longest_s, chunk_s, tail, margin_s, margin_hz, shapes, cluster, cluster_by, scale, keep,
  regions.{low_hz, high_hz, n_fft, overlap, range_db, background_rows, high_db, low_db, join_s, join_hz, most_ratio,
  least_s}, clip.{seconds, sample_rate, fade_s, format}

exit status: 0 all done, 1 some files could not be used, 2 nothing could be done
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("recordings", nargs="+", help="files, folders or patterns; or one manifest (.csv, .parquet)")
    parser.add_argument("--output", metavar="FOLDER", type=Path, required=True, help="where clips are written")
    parser.add_argument(
        "--settings", dest="named", metavar="NAME|FILE", help="darksound_v1, darksound_v2 or a YAML file"
    )
    parser.add_argument(
        "--keep", choices=("biggest", "all"), help="the clusters of a species that are signal (biggest)"
    )
    parser.add_argument("--label", metavar="SPECIES", help="of all recordings, instead of their folders' names")
    parser.add_argument("--sheet", type=int, metavar="N", help="most regions on the contact sheet; 0: no sheet (300)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes that cut (2)")
    parser.add_argument("--time-expansion", type=float, metavar="FACTOR", help="if the recordings' metadata do not say")
    parser.add_argument("--channel", default="mix", help="mix, or a number from 1 (mix)")
    parser.add_argument("--salvage", action="store_true", help="use the beginning of recordings that are cut off")
    parser.add_argument("--resume", action="store_true", help="continue the job in the output folder")
    parser.add_argument("--overwrite", action="store_true", help="replace the job in the output folder")
    parser.set_defaults(run=run, settings=[])


def run(options: argparse.Namespace) -> int:
    """Cut regions."""
    from ecotf.inference.ledger import NAME

    _check(options)
    try:
        summary, problems = _cut(options)
    except KeyboardInterrupt:
        complaints.print("stopped; what was finished is kept. The same command with --resume continues.")
        return INTERRUPTED
    for line in summary.lines:
        log(line)
    log_counts(summary.counts)
    log(f"regions:  {summary.regions}, {summary.kept} kept, {summary.regions - summary.kept} left out as noise")
    if summary.regions:
        log(f"manifest: {options.output / 'manifest.csv'}")
    if summary.shown:
        hidden = f" ({summary.shown} of {summary.regions} regions)" if summary.shown < summary.regions else ""
        log(f"sheet:    {options.output / 'contact_sheet.html'}{hidden}")
    log(f"ledger:   {options.output / NAME}")
    return status_of(summary.counts, problems)


def _check(options: argparse.Namespace) -> None:
    """Raise `ConfigError` for options that cannot go together; tell settings from recordings."""
    given = [text for text in options.recordings if "=" in text and not os.path.exists(text)]
    options.settings = [*given, *options.settings]
    options.recordings = [text for text in options.recordings if text not in given]
    if not options.recordings:
        raise ConfigError("no recording to cut: give files, folders, or a manifest")
    for name, least in (("workers", 1), ("sheet", 0)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise ConfigError(f"--{name} {value}: allowed: {least} or more")
    check_job(options, "clips are of one channel")


def _cut(options: argparse.Namespace) -> tuple[CutSummary, bool]:
    from ecotf.regions.config import read_roi_config
    from ecotf.regions.job import CutOptions, cut_regions

    keep = [] if options.keep is None else [f"keep={options.keep}"]
    config = read_roi_config(options.named, [*options.settings, *keep])
    wanted, problems = _wanted(options)
    chosen: dict[str, Any] = {"workers": options.workers, "salvage": options.salvage}
    if options.sheet is not None:
        chosen["sheet"] = options.sheet
    with progress_bar() as bar:
        task = bar.add_task("cutting", total=len(wanted))
        told = tell_outcome(bar, task)
        summary = cut_regions(
            wanted, options.output, config, CutOptions(channel_of(options.channel), **chosen),  # type: ignore[arg-type]
            options.resume, options.overwrite, lambda recording, outcome, regions: told(recording, outcome),
        )  # fmt: skip
    return summary, problems


def _wanted(options: argparse.Namespace) -> tuple[list[WantedCut], bool]:
    from ecotf.audio.discover import find_recordings, shown_name
    from ecotf.datasets.manifest import read_manifest
    from ecotf.regions.labels import folder_labels
    from ecotf.regions.wanted import wanted_files, wanted_of_manifest

    if any(Path(text).suffix.lower() in (".csv", ".parquet") for text in options.recordings):
        if len(options.recordings) > 1:
            raise ConfigError(f"{options.recordings[0]}: give one manifest, or recordings: one of the two")
        if options.label is not None:
            raise ConfigError("--label is for recordings; a manifest has labels of its own")
        return wanted_of_manifest(read_manifest(options.recordings[0]), options.time_expansion), False
    found = find_recordings(options.recordings)
    for argument, reason in found.problems:
        complaints.print(plain(f"{shown_name(argument)}: {reason}"))
    if found.passed_over:
        complaints.print(plain(found.passed_over_text))
    if not found.recordings:
        raise ConfigError("no recording to cut")
    labels = folder_labels(options.recordings, found.recordings)
    if options.label is not None:
        labels = dict.fromkeys(labels, options.label)
    return wanted_files(labels, options.time_expansion), bool(found.problems)
