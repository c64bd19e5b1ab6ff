"""What `events.py` says of a class over all folds together, and a detector that learns nothing but a level."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ecotf.audio.recording import open_recording
from ecotf.datasets.coverage import fully_annotated, half_known, in_known_time, known_seconds
from ecotf.evaluation.average_precision import average_precision
from ecotf.evaluation.edges import Listened, judge_edges
from ecotf.evaluation.evaluation_config import EvaluationConfig
from ecotf.evaluation.event_overlap import LEAST_IOU, Counts, count_overlaps
from ecotf.evaluation.hit_rules import Collars, Overlap, Rule
from ecotf.evaluation.matching import Track, match_track, scored_tables

_CUT_DB = np.arange(1.0, 30.5, 0.5)
_GAPS_S = (0.0, 0.05, 0.2)
_HOP_S, _WINDOW_S = 0.005, 0.02
_FALLBACK_HZ = (100.0, 1000.0)  # of boxes without a band: the fly's


def judged(
    found: pd.DataFrame, table: pd.DataFrame, classes: Sequence[str], collar_s: float
) -> dict[str, dict[str, Any]]:
    """Judge detections of tested recordings.

    Parameters
    ----------
    found
        ``recording, start_s, end_s, label, score``, and ``kept``: at or above the threshold of its own fold.
    table
        Of `events_sets.event_table`. In recordings that are not fully annotated only detections are judged that
        `in_known_time` says can be right or wrong.
    """
    partly = table[table["fully_annotated"] != "yes"]
    known = ~found["recording"].isin(partly["recording"]).to_numpy()
    for name, rows in partly.groupby("recording"):
        here = np.flatnonzero(found["recording"] == name)
        known[here] = in_known_time(found["start_s"].iloc[here], found["end_s"].iloc[here], rows)
    found = found[known]
    truth = table[table["label"].isin(classes)]
    names = sorted(table["recording"].unique())
    complete = fully_annotated(table)
    lengths = {name: open_recording(Path(name)).duration_s for name in names}
    parts = {name: known_seconds(rows, lengths[name]) for name, rows in half_known(table).items()}
    listened = {name: Listened(length, name in complete, known_s=parts.get(name)) for name, length in lengths.items()}
    config = EvaluationConfig(collar_s=collar_s, collar_share=0.0)
    shared = {"labels": tuple(classes), "ignored_labels": (), "config": config}
    judge = found.assign(low_hz=np.nan, high_hz=np.nan) if "low_hz" not in found else found
    always = dict.fromkeys(classes, 0.0)
    kept = judge_edges(judge[judge["kept"]], table, listened, thresholds=always, **shared)
    every = judge_edges(judge, table, listened, thresholds=always, **shared)
    points = bool((truth["end_s"] <= truth["start_s"]).any())
    rule: Rule = collar_s if points else Overlap(LEAST_IOU)  # a number: the middle within it
    tables = scored_tables(found, table, names, ())
    fold_of = table.groupby("recording")["number"].first().loc[names].to_numpy()
    rows = {}
    for label in classes:
        iou, edge = (kept[key]["per_label"][label] for key in ("iou_0.3", "collars"))
        best = edge if points else iou
        track = match_track(*(one[one["label"] == label] for one in tables), len(names), rule)
        alarms = kept["false_alarms"]["per_label"][label]
        rows[label] = {
            "recordings": int((truth["label"] == label).groupby(truth["recording"]).any().sum()),
            "events": int((truth["label"] == label).sum()),
            "ap": average_precision(track.scores, track.hits, track.n_calls),
            "ap_folds": _ap_of_folds(track, fold_of),
            "f": best["f1"], "f_interval": best["f1_interval"], "precision": best["precision"],
            "recall": best["recall"], "edges_f": edge["f1"], "edges_f_interval": edge["f1_interval"],
            "psds": every["psds"]["per_label"].get(label), "alarms": alarms["per_hour"],
            "alarms_interval": alarms["per_hour_interval"], "alarms_n": alarms["n"], "alarms_hours": alarms["hours"],
        }  # fmt: skip
    return rows


def _ap_of_folds(track: Track, fold_of: np.ndarray) -> float:
    """Return the mean of the folds' average precisions: scores of two networks are not on one scale."""
    found, own = [], fold_of[track.recording_index]
    for fold in np.unique(fold_of[track.calls_per_recording > 0]):
        here, calls = own == fold, int(track.calls_per_recording[fold_of == fold].sum())
        found.append(average_precision(track.scores[here], track.hits[here], calls))
    return float(np.mean(found))


def by_energy(sides: pd.Series, table: pd.DataFrame, classes: Sequence[str], collar_s: float) -> pd.DataFrame:
    """Find events as stretches in which the band of a class's training boxes is louder than the recording's median.

    Level over the median and the least pause are chosen on the recordings that choose for the networks, too, and as
    their finders are: by the mean F of IoU 0.3, IoU 0.5 and both edges.

    Parameters
    ----------
    sides
        Recording to ``train``, ``valid`` or ``test``.

    Returns
    -------
    As `judged` takes; the score is the highest level of the stretch in dB over the median, as a part of 100 dB.
    """
    made = []
    for label in classes:
        train = table[(table["recording"].map(sides) == "train") & (table["label"] == label)]
        low, high = float(train["low_hz"].median()), float(train["high_hz"].median())
        if not np.isfinite(low + high):
            low, high = _FALLBACK_HZ
        levels = {str(name): _levels(str(name), low, high) for name in sides.index if sides[name] != "train"}
        best, chosen = -1.0, (_CUT_DB[0], _GAPS_S[0])
        for cut in _CUT_DB:
            for gap in _GAPS_S:
                f = _valid_f(levels, sides, table, label, float(cut), gap, collar_s)
                if f > best:
                    best, chosen = f, (float(cut), gap)
        for name in levels:
            if sides[name] != "test":
                continue
            boxes, peaks = _stretches(levels[name], *chosen)
            made.append(
                pd.DataFrame(
                    {
                        "recording": name, "start_s": boxes[:, 0], "end_s": boxes[:, 1], "label": label,
                        "score": np.clip(peaks / 100, 0, 1), "kept": True,
                    }
                )
            )  # fmt: skip
    return pd.concat(made, ignore_index=True)


def _valid_f(
    levels: dict[str, np.ndarray],
    sides: pd.Series,
    table: pd.DataFrame,
    label: str,
    cut: float,
    gap: float,
    collar_s: float,
) -> float:
    rules = (Overlap(LEAST_IOU), Overlap(0.5), Collars(collar_s, collar_s))
    counts = [Counts(0, 0, 0)] * len(rules)
    for name, level in levels.items():
        if sides[name] == "valid":
            own = table[(table["recording"] == name) & (table["label"] == label)]
            found, truth = _stretches(level, cut, gap)[0], own[["start_s", "end_s"]].to_numpy(float)
            counts = [one + count_overlaps(found, truth, rule=rule) for one, rule in zip(counts, rules, strict=True)]
    return float(np.mean([one.f for one in counts]))


def _levels(path: str, low_hz: float, high_hz: float) -> np.ndarray:
    """Level of a band over its median, dB ``[frames]``, every 5 ms."""
    recording = open_recording(Path(path))
    sound, rate = recording.read(0.0, recording.duration_s), recording.sample_rate
    hop, window = max(1, round(_HOP_S * rate)), max(8, round(_WINDOW_S * rate))
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(sound, (window // 2, window)), window)[::hop]
    frames = frames[: -(-len(sound) // hop)]
    hertz = np.fft.rfftfreq(window, 1 / rate)
    band = (hertz >= low_hz) & (hertz <= high_hz)
    if not band.any():
        band[np.abs(hertz - (low_hz + high_hz) / 2).argmin()] = True
    power = (np.abs(np.fft.rfft(frames * np.hanning(window), axis=1)[:, band]) ** 2).sum(axis=1)
    smooth = np.convolve(power, np.full(5, 0.2), mode="same")
    level = 10 * np.log10(smooth + 1e-14)
    return np.asarray(level - np.median(level))


def _stretches(level: np.ndarray, cut_db: float, gap_s: float) -> tuple[np.ndarray, np.ndarray]:
    above = np.concatenate([[False], level >= cut_db, [False]])
    edges = np.flatnonzero(np.diff(above.astype(int)))
    first, last = edges[::2], edges[1::2]
    if len(first) > 1:
        apart = (first[1:] - last[:-1]) * _HOP_S > gap_s
        first, last = first[np.concatenate([[True], apart])], last[np.concatenate([apart, [True]])]
    peaks = np.array([level[a:b].max() for a, b in zip(first, last, strict=True)])
    return np.stack([first, last], 1) * _HOP_S, peaks
