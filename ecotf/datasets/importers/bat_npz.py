"""The eight-field ``.npz`` of the published bat system (batML, and batdetect before it).

``train_files, train_durations, train_pos, train_class`` and the same four for ``test``: file names without ending,
lengths, and per file the positions of the calls and their class numbers. Two species calling at once are one position
listed twice. A detection set has no classes. A third file may hold the validation set, in its ``test_`` fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ecotf.datasets.importers.sources import AudioFolder, checked_factor
from ecotf.datasets.manifest import Manifest, make_manifest
from ecotf.datasets.npz_arrays import read_npz
from ecotf.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def import_bat_npz(
    path: str | Path,
    audio_dir: str | Path | None = None,
    *,
    time_units: Literal["expanded", "real"],
    time_expansion: float,
    audio_time_expansion: float | None = None,
    call_duration_s: float = 0.005,
    class_names: Mapping[int, str] | None = None,
    label: str = "bat",
    valid: str | Path | None = None,
) -> Manifest:
    """Read the published ``.npz``.

    Parameters
    ----------
    path
        The ``.npz``; its ``train`` and ``test`` fields become the splits of these names.
    audio_dir
        Folder of the recordings; by default that of the file.
    time_units
        ``expanded``: positions and durations are in time-expanded seconds (the published sets); ``real``: they are in
        real seconds. The file does not say, so it must be said.
    time_expansion
        How many times slower than life the recordings play; 10 for the published sets.
    audio_time_expansion
        The expansion of the audio files, where they were saved at another speed than the positions were taken at
        (1: at their true rate); by default ``time_expansion``.
    call_duration_s
        The file has points, not boxes: an annotation goes from the position to this many real seconds later, at most
        to the end of the recording.
    class_names
        Class number to label; without it class 3 is called ``class_3``.
    label
        The label of all calls where the file has no classes.
    valid
        Another ``.npz`` whose ``test`` fields become the split ``valid``.

    Raises
    ------
    DataError
        A damaged or unsafe file, a missing field, fields that do not fit each other, a position that is not in its
        recording, a class without a name, one recording in two splits.
    """

    import pandas as pd

    path = Path(path)
    if time_units not in ("expanded", "real"):
        raise DataError(f"{path}: time_units is {time_units!r}; allowed are 'expanded' and 'real'")
    if not call_duration_s >= 0:
        raise DataError(f"{path}: call_duration_s is {call_duration_s!r}; at least 0 s is needed")
    factor = checked_factor(time_expansion, str(path))
    slower = factor if time_units == "expanded" else 1.0
    names = None if class_names is None else {str(number): name for number, name in class_names.items()}
    audio = AudioFolder(audio_dir if audio_dir is not None else path.parent)

    arrays = read_npz(path)
    sides = [(path, arrays, side, side) for side in ("train", "test") if f"{side}_files" in arrays]
    if not sides:
        raise DataError(f"{path}: has neither train_files nor test_files; found are {', '.join(arrays) or 'no arrays'}")
    if valid is not None:
        sides.append((Path(valid), read_npz(valid), "test", "valid"))
    tables = []
    for file, fields, side, split in sides:
        table = _read_side(file, fields, side, names, label)
        table["recording"] = table["recording"].map({name: audio.find(name) for name in table["recording"].unique()})
        tables.append(table.assign(split=split))
    table = pd.concat(tables, ignore_index=True)
    calls = table["label"] != ""
    table["duration_s"] /= slower
    table["start_s"] /= slower
    ends = (table["start_s"] + call_duration_s).clip(upper=table["duration_s"])
    table["end_s"] = ends.where(calls, table["duration_s"])
    table["time_expansion"] = (
        factor if audio_time_expansion is None else checked_factor(audio_time_expansion, str(path))
    )
    return make_manifest(table, audio.folder, str(path))


def _read_side(
    path: Path, arrays: dict[str, np.ndarray], side: str, names: dict[str, str] | None, label: str
) -> pd.DataFrame:
    """One row per call, and one with an empty label per recording without calls; times as they stand in the file."""

    import pandas as pd

    for field in ("files", "durations", "pos"):
        if f"{side}_{field}" not in arrays:
            raise DataError(f"{path}: array {side}_{field} is missing; found are {', '.join(arrays)}")
    files = [_text(name) for name in arrays[f"{side}_files"].ravel()]
    durations = _numbers(arrays[f"{side}_durations"], f"{path}: {side}_durations")
    positions = arrays[f"{side}_pos"]
    classes = arrays.get(f"{side}_class")
    for field, values in (("durations", durations), ("pos", positions), ("class", classes)):
        if values is not None and len(values) != len(files):
            raise DataError(f"{path}: {side}_files names {len(files)} recordings, {side}_{field} has {len(values)}")
    rows: list[tuple[str, float, float, str]] = []
    for i, (file, duration) in enumerate(zip(files, durations, strict=True)):
        where = f"{path}: recording {file!r} in {side}"
        calls = _numbers(positions[i], f"{where}: positions")
        outside = ~((calls >= 0) & (calls <= duration))
        if outside.any():
            raise DataError(
                f"{where} has a call at {calls[outside][0]:g}, outside of 0 to {duration:g} (in the units of the file)"
            )
        numbers = [label] * len(calls) if classes is None else [_label(n, names, where) for n in np.ravel(classes[i])]
        if len(numbers) != len(calls):
            raise DataError(f"{where} has {len(calls)} positions and {len(numbers)} classes; one class each is needed")
        rows += [(file, float(call), float(duration), name) for call, name in zip(calls, numbers, strict=True)]
        if len(calls) == 0:
            rows.append((file, 0.0, float(duration), ""))
    return pd.DataFrame(rows, columns=["recording", "start_s", "duration_s", "label"])


def _numbers(values: Any, where: str) -> np.ndarray:
    try:
        return np.asarray(values, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        raise DataError(f"{where} are not numbers: {values!r:.60}") from None


def _text(name: Any) -> str:
    return name.decode("latin-1") if isinstance(name, bytes) else str(name)


def _label(number: Any, names: dict[str, str] | None, where: str) -> str:
    if isinstance(number, str | bytes):  # a set that was saved with names in place of numbers
        return _text(number)
    key = f"{float(number):g}"
    if names is None:
        return f"class_{key}"
    if key not in names:
        raise DataError(f"{where} has a call of class {key}, which class_names does not name ({', '.join(names)})")
    return names[key]
