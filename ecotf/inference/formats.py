"""The detections of one recording, in the files that people open beside it: Raven, Audacity, AudioTagger."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ecotf.datasets.text import one_line
from ecotf.strangers import as_cell

if TYPE_CHECKING:
    import pandas as pd

AUDIOTAGGER_COLUMNS = (
    "Filename", "Label", "LabelTimeStamp", "Spec_NStep", "Spec_NWin", "Spec_x1", "Spec_y1", "Spec_x2", "Spec_y2",
    "LabelStartTime_Seconds", "LabelEndTime_Seconds", "LabelArea_DataPoints", "ClassifierConfidence",
)  # fmt: skip
_RAVEN_COLUMNS = (
    "Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)",
    "Begin Path", "Begin File", "File Offset (s)", "Species", "Score", "Detection Score", "Date Time",
)  # fmt: skip
_STEP_S, _WINDOW_S = 0.001, 0.003  # AudioTagger draws its spectrogram with these; boxes are in its columns and rows


class Call(NamedTuple):
    """One row of a detections table.

    Attributes
    ----------
    start_s, end_s, low_hz, high_hz
        Seconds of real time and hertz; NaN for an edge that is not known.
    label, score
        What it is, and how sure that is.
    detection_score
        How sure it is that there is a call or event at all; NaN where it is not known.
    channel
        Counted from 1; None where the channels were mixed.
    time
        Date and time of the start (ISO 8601); empty where the recording does not say it.
    """

    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    label: str
    score: float
    detection_score: float = math.nan
    channel: int | None = None
    time: str = ""


REQUIRED = ("start_s", "end_s", "low_hz", "high_hz", "label", "score")
"""The columns that a table of detections must have; of the others of :class:`Call` each may be absent."""


def calls_of(table: pd.DataFrame) -> list[Call]:
    """Return the rows of a detections table as plain values."""
    columns = [list(table[name]) for name in REQUIRED]
    columns.append([float(score) for score in _or_nothing(table, "detection_score", math.nan)])
    columns.append([None if channel is None else int(channel) for channel in _or_nothing(table, "channel", None)])
    columns.append([str(time) for time in _or_nothing(table, "time", "")])
    return [Call._make(row) for row in zip(*columns, strict=True)]


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Write rows as CSV with ``\\n`` at their ends; quotation keeps every cell as it is, also one with line breaks.

    Text that a spreadsheet would take for a formula gets an apostrophe before it (`ecotf.strangers.as_cell`).
    """
    text = io.StringIO()
    plain = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)  # the plain one forgets a lone \\r
    for row in rows:
        cells = list(map(as_cell, row))
        (quoted if any("\r" in str(cell) for cell in cells) else plain).writerow(cells)
    return text.getvalue()


def _or_nothing(table: pd.DataFrame, name: str, nothing: object) -> list[Any]:
    """Return a column that may be absent or have gaps, with ``nothing`` in their place."""
    if name not in table:
        return [nothing] * len(table)
    return [nothing if missing else value for value, missing in zip(table[name], table[name].isna(), strict=True)]


def raven(calls: list[Call], recording: str, sample_rate: float) -> str:
    """Write a Raven selection table.

    An unknown edge of a call becomes the edge of the recording's band, a mix of channels channel 1: Raven needs
    numbers there.
    """
    lines = ["\t".join(_RAVEN_COLUMNS)]
    for number, call in enumerate(calls, start=1):
        low = call.low_hz if math.isfinite(call.low_hz) else 0.0
        high = call.high_hz if math.isfinite(call.high_hz) else sample_rate / 2
        cells = (
            str(number), f"Spectrogram {call.channel or 1}", str(call.channel or 1), f"{call.start_s:.6f}",
            f"{call.end_s:.6f}", f"{low:.1f}", f"{high:.1f}", one_line(os.path.abspath(recording)),
            one_line(Path(recording).name), f"{call.start_s:.6f}", one_line(call.label), f"{call.score:.4f}",
            f"{call.detection_score:.4f}" if math.isfinite(call.detection_score) else "", call.time,
        )  # fmt: skip
        lines.append("\t".join(cells))
    return "\n".join(lines) + "\n"


def audacity(calls: list[Call], recording: str, sample_rate: float) -> str:
    """Write Audacity labels with the spectral line (``\\``, low, high); -1 marks an unknown edge, as its manual says.

    Behind the label stands ``[score 0.9123, call 0.9876, channel 2]``, of which import makes numbers again.

    Manual: "Importing and Exporting Labels", https://manual.audacityteam.org/man/importing_and_exporting_labels.html
    """
    lines = []
    for call in calls:
        lines.append(f"{call.start_s:.6f}\t{call.end_s:.6f}\t{one_line(call.label)} {_in_brackets(call)}")
        if math.isfinite(call.low_hz) or math.isfinite(call.high_hz):
            low, high = (value if math.isfinite(value) else -1.0 for value in (call.low_hz, call.high_hz))
            lines.append(f"\\\t{low:.6f}\t{high:.6f}")
    return "".join(line + "\n" for line in lines)


def _in_brackets(call: Call) -> str:
    parts = [f"score {call.score:.4f}"]
    if math.isfinite(call.detection_score):
        parts.append(f"call {call.detection_score:.4f}")
    if call.channel is not None:
        parts.append(f"channel {call.channel}")
    return f"[{', '.join(parts)}]"


def audiotagger(calls: list[Call], recording: str, sample_rate: float) -> str:
    """AudioTagger rectangles with the columns of the published system, over the whole height as there.

    The published system ends every call after a made-up 1 ms; here a call ends where it ends, and the 1 ms remains
    for a call without a length.
    """
    rows: list[tuple[object, ...]] = [AUDIOTAGGER_COLUMNS]
    written_at = datetime.now().isoformat(timespec="seconds")
    for call in calls:
        end_s = call.end_s if call.end_s > call.start_s else call.start_s + _STEP_S
        rows.append((
            Path(recording).name, call.label, written_at, _STEP_S, _WINDOW_S, round(call.start_s / _STEP_S), 0,
            round(end_s / _STEP_S), sample_rate * _WINDOW_S / 2, round(call.start_s, 6), round(end_s, 6), "",
            round(call.score, 4),
        ))  # fmt: skip
    return csv_text(rows)
