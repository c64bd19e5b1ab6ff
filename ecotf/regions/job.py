"""Cut regions of interest out of many recordings into a folder; account for every file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ecotf.audio.channels import ChannelChoice
from ecotf.errors import ConfigError, DataError, RecordingStatus
from ecotf.inference.ledger import SETTLED
from ecotf.inference.outcome import Outcome
from ecotf.parallel.processes import Died, results_of
from ecotf.regions.config import RoiConfig
from ecotf.regions.cut import CutJob, CutResult, cut_recording
from ecotf.regions.folder import CutFolder, CutRecord, asked_of
from ecotf.regions.sheet import MOST_SHOWN, write_sheet
from ecotf.regions.tables import write_tables
from ecotf.regions.wanted import WantedCut, copies_among

Report = Callable[[str, Outcome, int], None]
"""A function that takes each recording, its result, and how many regions it has, when it is finished."""


@dataclass(frozen=True)
class CutOptions:
    """What a user may choose besides the settings.

    Attributes
    ----------
    channel
        ``mix``, or a channel's number, counted from 1.
    salvage
        Use the beginning of recordings that are cut off.
    workers
        How many processes cut.
    sheet
        How many regions the contact sheet shows at most; 0 writes none.
    """

    channel: ChannelChoice = "mix"
    salvage: bool = False
    workers: int = 2
    sheet: int = MOST_SHOWN


@dataclass(frozen=True)
class CutSummary:
    """The result of a job.

    Attributes
    ----------
    counts
        Number of recordings of each status, with those that an earlier job finished.
    regions, kept
        Regions in the whole folder, and how many of them are signal.
    shown
        How many of them the contact sheet shows.
    lines
        About each species, for people to read.
    """

    counts: dict[RecordingStatus, int]
    regions: int
    kept: int
    shown: int
    lines: list[str] = field(repr=False)


def cut_regions(
    wanted: Sequence[WantedCut],
    output: str | Path,
    config: RoiConfig,
    options: CutOptions | None = None,
    resume: bool = False,
    overwrite: bool = False,
    report: Report | None = None,
) -> CutSummary:
    """Cut regions of interest, and write clips, manifest, features and ledger into a folder.

    An error inside one recording is noted in the ledger with the reason; the others continue. A full disk ends the
    job, and so does Ctrl-C; what was finished is kept.

    Parameters
    ----------
    wanted
        From `ecotf.regions.wanted`.
    output
        A folder for this job alone.
    resume
        Continue the job in ``output``: finished recordings are kept unless their files have changed. The settings that
        sort regions may change; those that cut may not.
    overwrite
        Replace the job in ``output``.

    Raises
    ------
    ConfigError
        ``output`` holds another job.
    DataError
        Two equal files lie on two sides of the split.
    DiskFullError
        The disk is full.
    """
    options = options or CutOptions()
    if resume and overwrite:
        raise ConfigError("--resume continues a job and --overwrite replaces it: choose one")
    asked = asked_of(config, {"channel": options.channel, "salvage": options.salvage})
    by_path = {one.waiting.path: one for one in wanted}
    with CutFolder(Path(output), asked, resume, overwrite) as folder:
        waiting = folder.look_up([one.waiting for one in wanted])
        known = [record.path for record in folder.records() if record.regions]
        copies = copies_among(by_path, known)
        _refuse_two_sides(copies, by_path)
        counts = dict(folder.settled)
        jobs: dict[str, CutJob] = {}
        failed: dict[str, Outcome] = {}

        def settle(result: CutResult) -> None:
            one = by_path[result.path]
            if result.outcome.status not in SETTLED:
                failed[result.path] = result.outcome
            folder.settle(one.waiting, _record(one, jobs.get(result.path), result), result.outcome)
            counts[result.outcome.status] += 1
            if report is not None:
                report(one.waiting.name, result.outcome, len(result.regions))

        for place in waiting:
            one = by_path[place.path]
            if place.path in copies:
                continue
            jobs[place.path] = CutJob(
                place.file, place.path, os.fspath(folder.folder / folder.place(place, one.label)), one.label,
                one.annotations, one.time_expansion, options.channel, options.salvage, config,
            )  # fmt: skip
        for result in results_of(cut_recording, list(jobs.values()), options.workers, _died):
            settle(result)
        for path in [place.path for place in waiting if place.path in copies]:
            first = by_path.get(copies[path])
            named = first.waiting.name if first else copies[path]
            alike = Outcome("done", f"the same file as {named}; it is cut once")
            settle(CutResult(path, failed.get(copies[path], alike), []))
        table, lines = write_tables(folder, config)
        shown = write_sheet(folder.folder, table, config, options.channel, options.sheet)
        return CutSummary(counts, len(table), int(table["kept"].sum()), shown, lines)


def _record(one: WantedCut, job: CutJob | None, result: CutResult) -> CutRecord:
    try:
        found = os.stat(one.waiting.path)
        size, changed_ns = found.st_size, found.st_mtime_ns
    except (OSError, ValueError):
        size, changed_ns = 0, 0
    place = "" if job is None or not result.regions else "/".join(Path(job.folder).parts[-3:])
    duration_s = result.outcome.duration_s
    return CutRecord(
        one.waiting.name, one.waiting.path, size, changed_ns, result.outcome.status, result.outcome.reason,
        duration_s if duration_s == duration_s else 0.0, one.group, one.split, place, one.time_expansion,
        result.regions,
    )  # fmt: skip


def _died(job: CutJob, end: Died) -> CutResult:
    return CutResult(job.path, Outcome("failed", f"cutting it ended the process {end.how}"), [])


def _refuse_two_sides(copies: dict[str, str], by_path: dict[str, WantedCut]) -> None:
    for copy, first in copies.items():
        if copy in by_path and first in by_path and by_path[copy].split != by_path[first].split:
            one, other = by_path[first], by_path[copy]
            raise DataError(
                f"{one.waiting.name!r} ({one.split or 'no split'}) and {other.waiting.name!r} "
                f"({other.split or 'no split'}) are one file, on two sides of the split; take one of them out of the "
                "manifest"
            )
