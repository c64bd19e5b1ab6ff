"""The detections of one recording, in the files that people open beside it: Raven, Audacity, AudioTagger."""

from __future__ import annotations

import csv
import io
import math
import os
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd

AUDIOTAGGER_COLUMNS = (
    "Filename", "Label", "LabelTimeStamp", "Spec_NStep", "Spec_NWin", "Spec_x1", "Spec_y1", "Spec_x2", "Spec_y2",
    "LabelStartTime_Seconds", "LabelEndTime_Seconds", "LabelArea_DataPoints", "ClassifierConfidence",
)  # fmt: skip
_RAVEN_COLUMNS = (
    "Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)",
    "Begin Path", "Begin File", "File Offset (s)", "Species", "Score",
)  # fmt: skip
_STEP_S, _WINDOW_S = 0.001, 0.003  # AudioTagger draws its spectrogram with these; boxes are in its columns and rows


class Call(NamedTuple):
    """One row of a detections table."""

    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    label: str
    score: float


def calls_of(table: pd.DataFrame) -> list[Call]:
    """The rows of a detections table as plain values."""
    return [Call._make(row) for row in table[list(Call._fields)].itertuples(index=False, name=None)]


def raven(calls: list[Call], recording: str, sample_rate: float) -> str:
    """A Raven selection table. An unknown edge of a call becomes the edge of the recording's band."""
    lines = ["\t".join(_RAVEN_COLUMNS)]
    for number, call in enumerate(calls, start=1):
        low = call.low_hz if math.isfinite(call.low_hz) else 0.0
        high = call.high_hz if math.isfinite(call.high_hz) else sample_rate / 2
        cells = (
            str(number), "Spectrogram 1", "1", f"{call.start_s:.6f}", f"{call.end_s:.6f}", f"{low:.1f}", f"{high:.1f}",
            _one_cell(os.path.abspath(recording)), _one_cell(Path(recording).name), f"{call.start_s:.6f}",
            _one_cell(call.label), f"{call.score:.4f}",
        )  # fmt: skip
        lines.append("\t".join(cells))
    return "\n".join(lines) + "\n"


def audacity(calls: list[Call], recording: str, sample_rate: float) -> str:
    """Audacity labels with the spectral line (``\\``, low, high); -1 marks an unknown edge, as Audacity's manual says.

    Manual: "Importing and Exporting Labels", https://manual.audacityteam.org/man/importing_and_exporting_labels.html
    """
    lines = []
    for call in calls:
        lines.append(f"{call.start_s:.6f}\t{call.end_s:.6f}\t{_one_cell(call.label)} {call.score:.2f}")
        if math.isfinite(call.low_hz) or math.isfinite(call.high_hz):
            low, high = (value if math.isfinite(value) else -1.0 for value in (call.low_hz, call.high_hz))
            lines.append(f"\\\t{low:.6f}\t{high:.6f}")
    return "".join(line + "\n" for line in lines)


def audiotagger(calls: list[Call], recording: str, sample_rate: float) -> str:
    """AudioTagger rectangles with the columns of the published system, over the whole height as there.

    The published system ends every call after a made-up 1 ms; here a call ends where it ends, and the 1 ms remains
    for a call without a length.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(AUDIOTAGGER_COLUMNS)
    written_at = datetime.now().isoformat(timespec="seconds")
    for call in calls:
        end_s = call.end_s if call.end_s > call.start_s else call.start_s + _STEP_S
        writer.writerow((
            Path(recording).name, call.label, written_at, _STEP_S, _WINDOW_S, round(call.start_s / _STEP_S), 0,
            round(end_s / _STEP_S), sample_rate * _WINDOW_S / 2, round(call.start_s, 6), round(end_s, 6), "",
            round(call.score, 4),
        ))  # fmt: skip
    return text.getvalue()


def _one_cell(text: str) -> str:
    """A tab or a line end inside a label would shift every column after it."""
    return " ".join(text.split())
