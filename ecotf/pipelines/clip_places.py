"""Clips of the recordings of a manifest: one for each, cropped anew every time, or windows at fixed places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ecotf.datasets.birdclef import rating_weights
from ecotf.datasets.coverage import half_known, known_to_hold_nothing
from ecotf.datasets.labels import is_background
from ecotf.datasets.manifest import Manifest
from ecotf.errors import DataError
from ecotf.pipelines.clips import Clips, ClipsConfig, ClipTable

if TYPE_CHECKING:
    import pandas as pd

_FIELDS = ("recording", "start_s", "targets", "weight", "foreground")


def clips_of_recordings(manifest: Manifest, classes: Sequence[str], config: ClipsConfig, seed: int = 0) -> Clips:
    """One clip for each recording, cropped anew every time, with the labels of the whole recording.

    Recordings whose ``role`` is ``background`` are left out (:func:`background_recordings` lists them), and so are
    those all of whose labels are outside of ``classes``. A recording without any label is a clip of no class.

    Raises
    ------
    DataError
        Nothing is left.
    """
    rows, outside = _labelled_rows(manifest, classes)
    recordings = rows["recording"].unique().tolist()
    number = {recording: index for index, recording in enumerate(recordings)}
    index = rows["recording"].map(number).to_numpy(int)
    targets = np.zeros((len(recordings), len(classes)), np.float32)
    _fill(targets, index, rows, config.secondary_value)
    weight = np.zeros(len(recordings), np.float32)
    np.maximum.at(weight, index, _weights(rows, config, seed))
    foreground = np.zeros(len(recordings), bool)
    np.logical_or.at(foreground, index, (rows["front"] | (rows["code"] < 0)).to_numpy(bool))
    table = ClipTable(np.arange(len(recordings)), np.full(len(recordings), np.nan), targets, weight, foreground)
    return Clips(table, recordings, list(classes), outside)


def segments_of_recordings(
    manifest: Manifest,
    durations: Mapping[str, float],
    classes: Sequence[str],
    config: ClipsConfig,
    hop_s: float | None = None,
    seed: int = 0,
    unnamed_labels: Sequence[str] = (),
) -> Clips:
    """Clips at fixed places, one after the other from the start of every recording: nothing in them is random.

    Parameters
    ----------
    durations
        Recording to its length in seconds; recordings that are not in it (they cannot be read) are left out.
    hop_s
        From one clip to the next; by default the length of a clip. The last one may reach past the end; it is left out
        where less than half of it has sound, but every recording has one.
    unnamed_labels
        Labels of events whose species is not known; clips that hold only those are left out.

    Raises
    ------
    DataError
        Nothing is left.

    Notes
    -----
    Where stretches without a call are annotated in a recording that is not fully annotated, clips of no class that lie
    elsewhere are left out: nobody has listened there. A window has the labels of the annotations that overlap it
    (`ClipsConfig.least_overlap`); a label without an end holds for the whole recording.
    """

    import pandas as pd

    rows, outside = _labelled_rows(manifest, classes)
    rows = rows[rows["recording"].isin(durations.keys())]
    step = hop_s or config.seconds
    recordings, tables = rows["recording"].unique().tolist(), []
    unnamed = manifest.table[manifest.table["label"].isin(unnamed_labels)]
    unknown = {str(name): some for name, some in unnamed.groupby("recording")}
    partly = half_known(manifest.table)
    weights = pd.Series(_weights(rows, config, seed), index=rows.index)
    for number, (recording, own) in enumerate(rows.groupby("recording", sort=False)):
        length = durations[str(recording)]
        starts = np.arange(max(1, 1 + int(np.floor((length - config.seconds / 2) / step)))) * step
        end = own["end_s"].fillna(length).to_numpy(float)
        start = own["start_s"].to_numpy(float)
        shared = np.minimum(starts[:, None] + config.seconds, end) - np.maximum(starts[:, None], start)
        least = config.least_overlap * np.clip(end - start, 1e-9, config.seconds)
        # Where the recording ends within the window, what is there is all that a label can share.
        least = np.minimum(least, config.least_overlap * np.maximum(1e-9, length - starts)[:, None])
        window, row = np.nonzero((shared >= least) | ((end == start) & (shared >= 0)))
        targets = np.zeros((len(starts), len(classes)), np.float32)
        _fill(targets, window, own.iloc[row], config.secondary_value)
        weight = np.full(len(starts), weights[own.index].max(), np.float32)
        foreground = (targets >= 1).any(axis=1) | ~(targets > 0).any(axis=1)
        made = ClipTable(np.full(len(starts), number), starts, targets, weight, foreground)
        if str(recording) in unknown:
            theirs = unknown[str(recording)]
            begins, ends = theirs["start_s"].to_numpy(float), theirs["end_s"].fillna(length).to_numpy(float)
            touched = ((starts[:, None] + config.seconds > begins) & (starts[:, None] <= ends)).any(axis=1)
            made = made.take(np.flatnonzero(~touched | (made.targets > 0).any(axis=1)))
        if str(recording) in partly:
            ends = np.minimum(made.start_s + config.seconds, length)
            nothing = known_to_hold_nothing(made.start_s, ends, partly[str(recording)])
            made = made.take(np.flatnonzero(nothing | (made.targets > 0).any(axis=1)))
        tables.append(made)
    if not tables:
        raise DataError("none of the recordings can be read, so there are no clips")
    table = ClipTable(*(np.concatenate([getattr(one, name) for one in tables]) for name in _FIELDS))
    return Clips(table, recordings, list(classes), outside)


def background_recordings(manifest: Manifest) -> list[str]:
    """Return the recordings that are there to be mixed into others."""
    return manifest.table.loc[is_background(manifest.table), "recording"].unique().tolist()


def _labelled_rows(manifest: Manifest, classes: Sequence[str]) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows with a class (``code``) or without any label (-1), and the labels that are neither."""
    table = manifest.table[~is_background(manifest.table)]
    codes = {label: index for index, label in enumerate(classes)}
    code = table["label"].map(lambda label: codes.get(label, -1))
    strange = (code < 0) & (table["label"] != "")
    outside = table.loc[strange, "label"].value_counts().to_dict()
    rows = table.assign(code=code.astype(int), front=in_front(table))[~strange]
    if not len(rows):
        raise DataError(
            f"no recording has any of the {len(classes)} classes ({', '.join(list(classes)[:3])}, ...)"
            + (f"; its labels are {', '.join(map(str, list(outside)[:3]))}, ..." if outside else "")
        )
    return rows, {str(label): int(count) for label, count in outside.items()}


def in_front(table: pd.DataFrame) -> pd.Series:
    """Whether the label of each row is in the foreground; it is, where the manifest does not say."""

    import pandas as pd

    if "foreground" not in table:
        return pd.Series(True, index=table.index)
    text = table["foreground"].fillna("").astype("str").str.strip().str.lower()
    return ~text.isin(("0", "0.0", "false", "no"))


def _fill(targets: np.ndarray, index: np.ndarray, rows: pd.DataFrame, secondary_value: float) -> None:
    code = rows["code"].to_numpy(int)
    value = np.where(rows["front"].to_numpy(bool), 1.0, secondary_value).astype(np.float32)
    known = code >= 0
    np.maximum.at(targets, (index[known], code[known]), value[known])


def _weights(rows: pd.DataFrame, config: ClipsConfig, seed: int) -> np.ndarray:
    import pandas as pd

    if config.unrated is None or "rating" not in rows:
        return rows["weight"].to_numpy(np.float32)
    first = rows.drop_duplicates("recording")  # one draw a recording
    rating = pd.to_numeric(first["rating"], errors="coerce")
    whole = dict(
        zip(first["recording"], rating_weights(rating, pd.Series(True, first.index), config.unrated, seed), strict=True)
    )
    factor = rating_weights(np.full(len(rows), 5.0), rows["front"], 5.0, seed)
    return (rows["recording"].map(whole).to_numpy(float) * factor).astype(np.float32)
