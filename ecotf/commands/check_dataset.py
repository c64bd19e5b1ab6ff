"""Check a data set before training: every problem of every recording, and the contents of the set."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from rich.table import Table

from ecotf.audio.recording import open_recording
from ecotf.commands.console import complaints, console, log, plain, progress_bar
from ecotf.datasets.against_audio import check_recordings
from ecotf.datasets.doubles import without_doubles
from ecotf.datasets.manifest import Manifest
from ecotf.datasets.splits import describe_gaps
from ecotf.errors import DataError, RecordingError
from ecotf.wording import counted


def check_dataset(manifest: Manifest) -> int:
    """Open every recording and print what does not fit, then a summary.

    Returns
    -------
    The exit status: 0 all fine, 1 some recordings have problems, 2 none can be used.

    Raises
    ------
    DataError
        There are no recordings.
    """
    if not manifest.recordings:
        raise DataError("the manifest names no recording")
    durations: dict[str, float] = {}
    problems: dict[str, str] = {}
    groups = manifest.table.groupby("recording", sort=False)
    with progress_bar() as bar:
        for recording, rows in bar.track(groups, total=len(groups), description="opening recordings"):
            name = str(recording)
            path = manifest.path_of(name)
            try:
                opened = open_recording(path, time_expansion=manifest.time_expansion_of(name))
                durations[name] = opened.duration_s
                check_recordings(Manifest(rows, manifest.root), durations)
            except RecordingError as error:
                problems[name] = f"{path}: {error.status}: {error}"
            except DataError as error:
                problems[name] = str(error)
    for problem in problems.values():
        complaints.print(plain(problem))
    print_summary(manifest, durations)
    for sentence in (*filter(None, [without_doubles(manifest).told]), *describe_gaps(manifest)):
        log(sentence)
    if problems:
        log(f"{len(problems)} of {len(manifest.recordings)} recordings have problems")
    else:
        log(f"all {len(manifest.recordings)} recordings can be used")
    return 0 if not problems else 1 if len(problems) < len(manifest.recordings) else 2


def print_summary(manifest: Manifest, durations: Mapping[str, float]) -> None:
    """Print what a manifest holds, label by label.

    Parameters
    ----------
    durations
        Real seconds of the recordings whose length is known; empty to say nothing about it.
    """
    table = Table("label", "annotations", "recordings", "groups", "median length", title="annotations")
    for label, rows in manifest.annotations.groupby("label"):
        length_s = float((rows["end_s"] - rows["start_s"]).median())
        length = "" if np.isnan(length_s) else f"{1000 * length_s:.1f} ms"
        groups, recordings = rows["group"].nunique(), rows["recording"].nunique()
        table.add_row(plain(label), str(len(rows)), str(recordings), str(groups), length)
    if table.row_count:
        console.print(table)
    empty = len(manifest.recordings) - manifest.annotations["recording"].nunique()
    labels = counted(len(manifest.labels), "label")
    log(
        f"{len(manifest.recordings)} recordings in {len(manifest.groups)} groups, {empty} of them without annotations; "
        f"{len(manifest.annotations)} annotations of {labels}"
    )
    if durations:
        seconds = list(durations.values())
        log(
            f"{sum(seconds) / 60:.1f} minutes of sound in {len(seconds)} recordings, "
            f"each {min(seconds):.2f} to {max(seconds):.2f} s"
        )
