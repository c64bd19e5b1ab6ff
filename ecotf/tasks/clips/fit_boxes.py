"""Boxes in frequency of a training on clips: fitted to the training boxes of each class, and judged on others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ecotf.audio.recording import open_recording
from ecotf.datasets.coverage import WEAK, says_yes
from ecotf.detection.band_edges import ClassEdges, EdgeStream, Levels
from ecotf.detection.edge_fit import fit_class_edges, measured_each, searched_hz
from ecotf.detection.finders import Numbers
from ecotf.detection.frequency_boxes import unfitted
from ecotf.detection.segment_model import SegmentModel
from ecotf.errors import RecordingError
from ecotf.tasks.clips.data import ClipData
from ecotf.training.run_store import Log

if TYPE_CHECKING:
    import pandas as pd

_MOST = 150  # boxes of a class that are measured
_LONGEST_S = 60.0


class _Heard(NamedTuple):
    """A box with the sound around it: when it begins and ends in that, its edges, and the number of its recording."""

    sound: np.ndarray
    start_s: float
    end_s: float
    edges_hz: tuple[float, float]
    recording: int


def fit_boxes(data: ClipData, model: SegmentModel, classes: Sequence[str], log: Log) -> Numbers:
    """Fit the numbers of each class to boxes of the training recordings; a class without any has the usual ones."""
    config, band_hz, rate = data.plan.inference.boxes, model.band_hz, model.sample_rate
    assert config is not None
    settings, numbers, without = config.settings(band_hz), {}, []
    for name in classes:
        boxes = list(_heard(data, model, "train", name, log))
        if not boxes:
            numbers[name] = unfitted(band_hz)
            without.append(name)
            continue
        truth = np.array([box.edges_hz for box in boxes])
        within_hz, found = searched_hz(truth, band_hz), []
        for box in boxes:
            levels = Levels(settings, rate)
            levels.hear(box.sound)
            found.append(measured_each(levels, box.start_s, box.end_s, settings, within_hz))
        numbers[name] = fit_class_edges(np.stack(found), truth, np.array([box.recording for box in boxes]), within_hz)
    if without:
        log(
            f"no training box with low_hz and high_hz to fit edges in frequency on: {', '.join(without)}; usual numbers"
        )
    return numbers


def judge_boxes(
    data: ClipData, model: SegmentModel, classes: Sequence[str], numbers: Numbers, split: str, log: Log
) -> dict[str, dict[str, float]]:
    """Compute how far the edges of annotated events lie from their boxes; of each class that has such in the split.

    Measured where the annotation says that the event is. ``low_hz`` and ``high_hz`` are median distances in hertz,
    ``typical_low_hz`` and ``typical_high_hz`` those of the median box of the training recordings.
    """
    config = data.plan.inference.boxes
    assert config is not None
    judged = {}
    for name in classes:
        made, errors = ClassEdges.read(numbers[name]), []
        typical = np.array([made.low.typical_hz, made.high.typical_hz])
        for box in _heard(data, model, split, name, log):
            stream: EdgeStream[None] = EdgeStream(config.settings(model.band_hz), [made], model.sample_rate)
            stream.hear(box.sound)
            said = np.array(stream.edges_hz(box.start_s, box.end_s, 0))
            errors.append(np.abs([said - box.edges_hz, typical - box.edges_hz]))
        if errors:
            (low, high), (typical_low, typical_high) = np.median(errors, axis=0).tolist()
            judged[name] = {
                "n": len(errors), "low_hz": low, "high_hz": high,
                "typical_low_hz": typical_low, "typical_high_hz": typical_high,
            }  # fmt: skip
    return judged


def _heard(data: ClipData, model: SegmentModel, split: str, label: str, log: Log) -> Iterator[_Heard]:
    """Read the sound around boxes of a class, at most `_MOST` of them, drawn."""
    config, table = data.plan.inference.boxes, _boxes(data.manifest.of_split(split).table, label)
    assert config is not None
    table = table[table["recording"].isin(data.durations.keys())]
    rng = np.random.default_rng([data.plan.seed, 5])
    rows = np.sort(rng.choice(len(table), min(_MOST, len(table)), replace=False))
    least, most = model.band_hz[0], min(model.band_hz[1], model.sample_rate / 2)
    for recording, (name, own) in enumerate(table.iloc[rows].groupby("recording", sort=True)):
        name = str(name)
        try:
            source = open_recording(data.manifest.path_of(name), time_expansion=data.manifest.time_expansion_of(name))
            columns = own[["start_s", "end_s", "low_hz", "high_hz"]].to_numpy(float)
            for start, end, low, high in columns.tolist():
                low, high = max(low, least), min(high, most)
                if low >= high or start >= source.duration_s:
                    continue
                begin = max(0.0, start - 1.1 * config.around_s)
                until = min(source.duration_s, end + 1.1 * config.around_s)
                sound = source.read(begin, until, channel=data.plan.data.channel, sample_rate=model.sample_rate)
                yield _Heard(sound, start - begin, end - begin, (low, high), recording)
        except RecordingError as error:
            log(f"left out: {name}: {error}")


def _boxes(table: pd.DataFrame, label: str) -> pd.DataFrame:
    """Return the rows of a class that are boxes: with a start, an end, and both edges."""
    long = table["end_s"] - table["start_s"]
    sure = (long > 0) & (long <= _LONGEST_S) & (table["high_hz"] > table["low_hz"])
    return table[sure & (table["label"] == label) & ~says_yes(table, WEAK)]
