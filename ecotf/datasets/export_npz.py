"""From a manifest back to the eight-field ``.npz`` of the published bat system."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ecotf.datasets.importers.sources import checked_factor
from ecotf.datasets.manifest import Manifest
from ecotf.errors import DataError


def export_npz(
    manifest: Manifest,
    path: str | Path,
    *,
    time_expansion: float,
    durations: Mapping[str, float] | None = None,
    valid_path: str | Path | None = None,
) -> dict[int, str]:
    """Write ``train_`` and ``test_`` fields, and the validation set as the published system has it: a file of its own.

    Parameters
    ----------
    manifest
        Every recording must be in ``train``, ``valid`` or ``test``.
    path
        The ``.npz`` for train and test.
    time_expansion
        The file gets time-expanded seconds, real ones times this: 10 as published, 1 for real seconds.
    durations
        Recording to real seconds, where the manifest has no column ``duration_s`` and no row that ends with the
        recording.
    valid_path
        The ``.npz`` whose ``test_`` fields get the split ``valid``; needed if there are such recordings.

    Returns
    -------
    dict
        Class number, from 1 in the order of ``manifest.labels``, to label: the ``class_names`` of the importer.

    Raises
    ------
    DataError
        A recording without a split or a known length, two recordings that differ only by their ending, validation
        recordings without ``valid_path``, a file that cannot be written.

    Notes
    -----
    The format has points only: ends, bands, weights and groups are lost. Names are relative to the manifest's root.
    """
    path = Path(path)
    factor = checked_factor(time_expansion, str(path))
    numbers = {label: number for number, label in enumerate(manifest.labels, start=1)}
    sides = {split: manifest.of_split(split) for split in ("train", "valid", "test")}
    unassigned = manifest.of_split("").recordings
    if unassigned:
        raise DataError(
            f"{path}: recording {unassigned[0]!r} has no split ({len(unassigned)} without one); split first"
        )
    if sides["valid"].recordings and valid_path is None:
        raise DataError(
            f"{path}: {len(sides['valid'].recordings)} recordings are for validation, which the format keeps in "
            "another file; give valid_path"
        )
    known = _durations(manifest, durations or {}, path)
    fields = {side: _fields(sides[side], known, numbers, factor, path) for side in sides}
    if valid_path is not None:
        # The published loader wants all eight fields; it reads only test_ of this file.
        nothing = _fields(manifest.subset([]), known, numbers, factor, path)
        _write({**_named("train", nothing), **_named("test", fields["valid"])}, Path(valid_path))
    _write({**_named("train", fields["train"]), **_named("test", fields["test"])}, path)
    return {number: label for label, number in numbers.items()}


def _durations(manifest: Manifest, given: Mapping[str, float], path: Path) -> dict[str, float]:
    table = manifest.table
    silent = table[(table["label"] == "") & table["end_s"].notna()]
    known = dict(zip(silent["recording"], silent["end_s"], strict=True))
    if "duration_s" in table.columns:
        stated = table[table["duration_s"].notna()]
        known.update(zip(stated["recording"], stated["duration_s"], strict=True))
    known.update(given)
    unknown = [recording for recording in manifest.recordings if recording not in known]
    if unknown:
        raise DataError(f"{path}: the length of {unknown[0]!r} is not known ({len(unknown)} such); give durations")
    return known


def _fields(
    manifest: Manifest, durations: Mapping[str, float], numbers: Mapping[str, int], factor: float, path: Path
) -> dict[str, np.ndarray]:
    calls = dict(tuple(manifest.annotations.groupby("recording", sort=False)))
    names = [os.path.splitext(recording)[0] for recording in manifest.recordings]
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise DataError(
            f"{path}: two recordings are called {twice!r} without their ending, which the format leaves out"
        )
    positions, classes = [], []
    for recording in manifest.recordings:
        rows = calls.get(recording, manifest.annotations.iloc[:0])
        positions.append(rows["start_s"].to_numpy(dtype=np.float64)[:, None] * factor)
        classes.append(rows["label"].map(numbers).to_numpy(dtype=np.int64)[:, None])
    return {
        "files": np.array(names, dtype=object),
        "durations": np.array([durations[recording] * factor for recording in manifest.recordings], dtype=np.float64),
        "pos": _ragged(positions),
        "class": _ragged(classes),
    }


def _ragged(arrays: Iterable[np.ndarray]) -> np.ndarray:
    arrays = list(arrays)
    ragged = np.empty(len(arrays), dtype=object)  # np.array would make one block of arrays that happen to be as long
    ragged[:] = arrays
    return ragged


def _named(side: str, fields: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{side}_{name}": values for name, values in fields.items()}


def _write(arrays: dict[str, np.ndarray], path: Path) -> None:
    partial = path.with_name(f".{path.name}.partial.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(partial, **arrays)
        os.replace(partial, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from None
    finally:
        partial.unlink(missing_ok=True)
