"""The JSON of batdetect2 and its annotation tool: one object per recording, alone in a file or many in a list.

Its times are real seconds and its frequencies real hertz, whatever ``time_exp`` says: the tool multiplies the sample
rate of the file by ``time_exp`` before anything is drawn, and batdetect2 reads the boxes onto recordings opened with
that expansion (its proposal for the format says so too: github.com/batdetect/data_format, "un-time expanded time").
``time_exp`` only says how to read the audio, and is kept as ``time_expansion``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ecotf.datasets.importers.sources import AudioFolder, annotation_files, beside, read_json
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.errors import DataError

_BOX = {"start_s": "start_time", "end_s": "end_time", "low_hz": "low_freq", "high_hz": "high_freq"}


def import_batdetect2(
    path: str | Path,
    audio_dir: str | Path | None = None,
    *,
    only_annotated: bool = True,
    with_issues: bool = False,
) -> Manifest:
    """Read batdetect2 annotations.

    Parameters
    ----------
    path
        A ``.json`` file (one recording, or a list of them) or a folder of such files.
    audio_dir
        Folder of the recordings; by default that of the annotations.
    only_annotated
        Leave out recordings whose ``annotated`` is false: nobody has listened to them yet. A recording that is
        annotated and has no boxes is one without calls.
    with_issues
        Also take recordings that the annotator marked with ``issues``.

    Raises
    ------
    DataError
        Not JSON, a missing field, a box that is not one; the file, the recording and the box are named. Also when
        nothing is left after the two filters.

    Notes
    -----
    ``event`` ("Echolocation", "Social", ...) is kept as ``call_type``, ``individual`` and ``duration_s`` as columns.
    """

    import pandas as pd

    files = annotation_files(path, (".json",))
    audio = AudioFolder(audio_dir if audio_dir is not None else files[0].parent if Path(path).is_file() else path)
    rows: list[dict[str, Any]] = []
    for file in files:
        content = read_json(file, "batdetect2 JSON")
        for entry in content if isinstance(content, list) else [content]:
            where = _where(file, entry)
            unfinished = only_annotated and not entry.get("annotated", False)
            doubtful = entry.get("issues", False) and not with_issues
            if not (unfinished or doubtful):
                rows += _rows_of(entry, audio.find(beside(file, path, entry["id"])), where)
    if not rows:
        raise DataError(f"{path}: no recording is marked as annotated and free of issues (see only_annotated)")
    return make_manifest(pd.DataFrame(rows), audio.folder, str(path))


def _where(file: Path, entry: Any) -> str:
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str) or "annotation" not in entry:
        raise DataError(f"{file}: not batdetect2 JSON; every recording needs the fields id and annotation")
    return f"{file}: recording {entry['id']!r}"


def _rows_of(entry: dict[str, Any], recording: str, where: str) -> list[dict[str, Any]]:
    duration = _number(entry, "duration", where) if entry.get("duration") is not None else None
    common = {
        "recording": recording,
        "time_expansion": _number(entry, "time_exp", where) if entry.get("time_exp") is not None else None,
        "duration_s": duration,
    }
    boxes = entry["annotation"]
    if not isinstance(boxes, list):
        raise DataError(f"{where}: annotation is {boxes!r}; a list of boxes is needed")
    if not boxes:
        return [{**common, "start_s": 0.0, "end_s": duration, "label": ""}]
    rows = []
    for number, box in enumerate(boxes, start=1):
        which = f"{where}, box {number}"
        if not isinstance(box, dict) or not isinstance(box.get("class"), str) or not box["class"].strip():
            raise DataError(f"{which} has no class; every box needs class, {', '.join(_BOX.values())}")
        row: dict[str, Any] = {ours: _number(box, theirs, which) for ours, theirs in _BOX.items()}
        if row["start_s"] < 0 or row["end_s"] < row["start_s"] or row["high_hz"] < row["low_hz"]:
            raise DataError(
                f"{which} is {', '.join(f'{theirs} {row[ours]:g}' for ours, theirs in _BOX.items())}; "
                "times from 0 and low before high are needed"
            )
        kept = {
            "label": box["class"],
            "call_type": _text(box.get("event")),
            "individual": _text(box.get("individual")),
        }
        rows.append({**common, **row, **kept})
    return rows


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _number(fields: dict[str, Any], name: str, where: str) -> float:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{where}: {name} is {value!r}; a number is needed")
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        raise DataError(f"{where}: {name} has {len(str(abs(value)))} digits; a number is needed") from None
