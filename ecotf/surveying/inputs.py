"""Read what was listened to and what was found, whatever kind of folder it is in, as the same two tables.

A kind of folder is one entry of :data:`KINDS`: a file that it is known by, and a function that gives `Found`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ecotf.errors import ConfigError, DataError
from ecotf.inference import ledger, question, records
from ecotf.inference.formats import Call
from ecotf.inference.ledger import SETTLED, read_ledger
from ecotf.inference.question import Question
from ecotf.inference.records import read_records

RECORDING_COLUMNS = (
    "recording", "path", "status", "reason", "duration_s", "n_detections", "began", "recorder", "site", "source",
    "sample_rate",
)  # fmt: skip
DETECTION_COLUMNS = ("path", "recording", *Call._fields)
_OPTIONS = ("threshold", "unnamed", "gate", "channel", "time_expansion")


@dataclass(frozen=True)
class Found:
    """What one or several folders hold.

    Attributes
    ----------
    recordings
        One row for each file that was looked at: ``recording`` (its name as given), ``path`` (the real path, by which
        it is known; the name where there is none), ``status`` and ``reason`` as in the ledger, ``duration_s`` (NaN
        where not known), ``n_detections``, ``began`` (ISO 8601, with a zone where that is known; empty), ``recorder``
        (serial number; empty), ``site`` (where the folder says it; empty), ``source`` (the folder), ``sample_rate``
        (real Hz; 0 where not known).
    detections
        ``path`` and ``recording`` as above, and the fields of `ecotf.inference.formats.Call`.
    models
        What was asked of which models, by folder: two that differ cannot be put together.
    notes
        What must be said, a line each.
    """

    recordings: pd.DataFrame
    detections: pd.DataFrame
    models: dict[str, dict[str, Any]]
    notes: tuple[str, ...] = ()


def read_inputs(folders: Sequence[Path]) -> Found:
    """Read folders of detections.

    Raises
    ------
    ConfigError
        A folder is not there or of no kind that is known, or a file in it is damaged.
    DataError
        Two folders were written by different models, or in different ways.
    """
    parts = [_read(folder) for folder in dict.fromkeys(folders)]
    if not parts:
        raise ConfigError("no folder of detections is given")
    models = {name: model for part in parts for name, model in part.models.items()}
    _refuse_different(models)
    notes = [note for part in parts for note in part.notes]
    recordings = pd.concat([part.recordings for part in parts], ignore_index=True)
    # Of a file that several jobs looked at, the job that could use it counts.
    settled = recordings["status"].isin(SETTLED)
    chosen = recordings.assign(settled=settled).sort_values("settled", ascending=False, kind="stable")
    chosen = chosen.drop_duplicates("path").sort_index().drop(columns="settled")
    twice = len(recordings) - len(chosen)
    if twice:
        notes.append(f"{_count(twice, 'recording')} in several folders: each is taken once")
    kept = set(zip(chosen["path"], chosen["source"], strict=True))
    detections = [
        part.detections[[(path, source) in kept for path in part.detections["path"]]]
        for part in parts
        for source in part.recordings["source"].unique()
    ]
    found = [table for table in detections if len(table)] or [_no_detections()]
    return Found(chosen.reset_index(drop=True), pd.concat(found, ignore_index=True), models, tuple(notes))


def _read(folder: Path) -> Found:
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; give folders that `ecotf classify` wrote")
    for mark, read in KINDS.items():
        if next(folder.glob(mark), None) is not None:
            return read(folder)
    known = ", ".join(KINDS)
    raise ConfigError(f"{folder}: no folder of detections (looked for {known}); give one that `ecotf classify` wrote")


def read_job(folder: Path) -> Found:
    """Read the job folder of ``ecotf classify``; a row that a kill cut off is left out and said."""
    asked = Question.read(folder)
    if asked.replacing:
        raise ConfigError(f"{folder}: a job in it was being replaced and did not finish; run `ecotf classify` again")
    if not (folder / ledger.NAME).exists():
        raise ConfigError(f"{folder}: {ledger.NAME} is missing; run `ecotf classify` with --resume")
    rows = [
        (one.recording, one.path or one.recording, one.status, one.reason, one.duration_s, one.n_detections,
         one.began, one.recorder, "", str(folder))
        for one in read_ledger(folder / ledger.NAME)
    ]  # fmt: skip
    recordings = pd.DataFrame(rows, columns=list(RECORDING_COLUMNS[:-1]))
    notes = []
    settled = set(recordings.loc[recordings["status"].isin(SETTLED), "path"])
    rates: dict[str, int] = {}
    unlisted, found = 0, []
    for record in read_records(folder / records.NAME) if (folder / records.NAME).exists() else ():
        path = record.path or record.recording
        if path not in settled:
            unlisted += 1
            continue
        rates[path] = record.sample_rate
        found += [(path, record.recording, *call) for call in record.calls]
    if unlisted:
        notes.append(
            f"{folder}: {_count(unlisted, 'recording')} of {records.NAME} not in the ledger, left out; `ecotf classify "
            "--resume` settles what a kill interrupted"
        )
    recordings["sample_rate"] = [rates.get(path, 0) for path in recordings["path"]]
    if rates.keys() != settled:
        lacking = _count(len(settled - rates.keys()), "recording")
        raise ConfigError(
            f"{folder}: {records.NAME} lacks {lacking} of {ledger.NAME}, so it is half written or damaged; run `ecotf "
            "classify` again"
        )
    for name in (ledger.NAME, records.NAME):
        if (folder / name).exists() and not _ends_whole(folder / name):
            notes.append(f"{folder / name}: its last row is half written, left out")
    detections = pd.DataFrame(found, columns=list(DETECTION_COLUMNS)) if found else _no_detections()
    model: dict[str, Any] = {"runs": sorted(asked.runs.values()), "title": asked.answers}
    model |= {name: asked.options.get(name) for name in _OPTIONS}
    return Found(recordings, detections, {str(folder): model}, tuple(notes))


KINDS: dict[str, Callable[[Path], Found]] = {question.NAME: read_job}
"""How a folder is known (a pattern of a file in it), and what reads it."""


def _refuse_different(models: dict[str, dict[str, Any]]) -> None:
    first, *others = models.items()
    for name, model in others:
        for key in ("runs", *_OPTIONS):
            one, two = first[1].get(key), model.get(key)
            if one != two:
                what = "model" if key == "runs" else key.replace("_", " ")
                one, two = (first[1]["title"], model["title"]) if key == "runs" else (one, two)
                sums = f" (checksums {first[1]['runs']} and {model['runs']})" if key == "runs" and one == two else ""
                raise DataError(
                    f"{first[0]} and {name} were written in different ways: {what} {one} and {two}{sums}; scores and "
                    "zeros of the two do not compare, so make one survey of each"
                )


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _no_detections() -> pd.DataFrame:
    numbers = {"start_s", "end_s", "low_hz", "high_hz", "score", "detection_score"}
    table = pd.DataFrame(columns=list(DETECTION_COLUMNS))
    return table.astype({name: float for name in DETECTION_COLUMNS if name in numbers})


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
