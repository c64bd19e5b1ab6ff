"""The parity report: how far a file may be from its run, and which figures are further."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ecotf.config import Config
from ecotf.evaluation.hit_rules import Overlap
from ecotf.evaluation.matching import match_detections
from ecotf.export.prove.recordings import Heard
from ecotf.export.stages.stage import DEFAULT, Precision
from ecotf.models.heads.trees import Trees

if TYPE_CHECKING:
    import pandas as pd

# As many detections, segments or sounds are within what one rounding can do, however few there are.
ROUNDING = 2
_TINY = 1e-9  # 1 - 4 / 6 and 2 / 6 are both two of six, and differ in the last bit
LOUD_DB = 40.0
_COMMON = 0.5  # of the time that two events cover, where they are the same event


class Tolerances(Config):
    """The largest allowed differences between a file and its run.

    Attributes
    ----------
    front_end
        Greatest difference of frames, in the units of the scale, up to 40 dB below the frame's greatest.
    network_max, network_rms
        Of the network's answers, which are from 0 to 1.
    trees
        Greatest difference of probabilities; margins must be the same to the bit.
    agreement
        Least share of patches whose likeliest class is the same.
    events
        Least share of events that both report, one for one: same label, half of their time in common.
    ap
        Most that an average precision may fall.
    point
        Most that precision or recall at a threshold may fall.
    """

    front_end: float = 2e-3
    network_max: float
    network_rms: float
    trees: float = 3e-7
    agreement: float
    events: float
    ap: float
    point: float


TOLERANCES: dict[Precision, Tolerances] = {
    "f32": Tolerances(network_max=1e-4, network_rms=1e-5, agreement=0.995, events=0.99, ap=0.002, point=0.005),
    "f16": Tolerances(network_max=0.02, network_rms=2e-3, agreement=0.99, events=0.97, ap=0.005, point=0.01),
    "dynamic": Tolerances(network_max=0.15, network_rms=0.02, agreement=0.95, events=0.9, ap=0.02, point=0.04),
    "int8": Tolerances(network_max=0.35, network_rms=0.04, agreement=0.92, events=0.8, ap=0.03, point=0.06),
}


def new_report(precision: Precision, heard: Heard) -> dict[str, Any]:
    """Begin a report: what was compared on, and how far the file may be; its parts are still None."""
    return {
        "precision": precision,
        "compared_on": heard.source,
        "recordings": [sound.name for sound in heard.sounds],
        "seconds": heard.seconds,
        "front_end": None,
        "network": None,
        "trees": None,
        DEFAULT: None,
        "detections": None,
        "tolerances": TOLERANCES[precision].model_dump(),
    }


def difference(expected: NDArray[Any], given: NDArray[Any]) -> dict[str, Any]:
    """Say how many there are, and how far apart at the most and as a rule."""
    apart = np.abs(np.asarray(expected, np.float64) - np.asarray(given, np.float64))
    return {"n": len(expected), "max": float(apart.max(initial=0)), "rms": float(np.sqrt(np.mean(apart**2)))}


def reference_margins(trees: Trees, features: NDArray[Any]) -> NDArray[np.float32]:
    """Compute XGBoost's own margins, float32 [n, outputs]: of each booster, or of each combination."""
    features = np.ascontiguousarray(features, np.float32)
    if trees.combinations is not None:
        margins = trees.boosters[0].inplace_predict(features, predict_type="margin")
        return np.asarray(margins, np.float32).reshape(len(features), -1)
    columns: list[NDArray[Any]] = []
    found = []
    for booster, constant in zip(trees.boosters, trees.constants, strict=True):
        seen = features
        if trees.config.strategy == "chain" and columns:
            seen = np.hstack([features, (np.stack(columns, axis=1) > 0.5).astype(np.float32)])
        if booster is None:
            columns.append(np.full(len(features), constant, np.float32))
            continue
        found.append(booster.inplace_predict(seen, predict_type="margin"))
        columns.append(booster.inplace_predict(seen))
    return np.stack(found, axis=1).astype(np.float32)


def shared(desktop: pd.DataFrame, device: pd.DataFrame, within_s: float = 1e-5) -> float:
    """Return the share of detections that both have: same label, times within ``within_s``, edges within 0.1 Hz.

    Times of events are interpolated from scores, which are the same to float precision, not bit for bit.
    """
    within = (within_s, within_s, 0.1, 0.1)
    boxes = ["start_s", "end_s", "low_hz", "high_hz"]
    others = {key: table[boxes].to_numpy(float) for key, table in device.groupby(["recording", "label"])}
    same = 0
    for key, table in desktop.groupby(["recording", "label"]):
        left = others.get(key, np.empty((0, len(boxes))))
        for box in table[boxes].to_numpy(float):
            near = np.flatnonzero((np.abs(left - box) <= within).all(axis=1))
            same += len(near) > 0
            left = np.delete(left, near[:1], axis=0)
    either = len(desktop) + len(device) - same
    return same / either if either else 1.0


def alike(desktop: pd.DataFrame, device: pd.DataFrame) -> int:
    """Count the events that both have, one for one: same label, and half of the time that they cover in common."""
    return int((match_detections(desktop, device, Overlap(_COMMON), by_label=True) >= 0).sum())


def failures(report: Mapping[str, Any], few: Callable[[Mapping[str, Any]], int]) -> list[str]:
    """List every tolerance that a report exceeds.

    Parameters
    ----------
    few
        How many figures of one label's row were counted from: among few, two may fall.
    """
    tolerances = Tolerances(**report["tolerances"])
    return [*_stages_too_far(report, tolerances), *_detections_too_far(report["detections"], tolerances, few)]


def _stages_too_far(report: Mapping[str, Any], tolerances: Tolerances) -> Iterator[str]:
    if report["front_end"] is not None:
        worst = report["front_end"]["max_within_40_db"]
        yield from _most("the front end's greatest error within 40 dB", worst, tolerances.front_end)
    network, whole, trees = report["network"], report[DEFAULT], report["trees"]
    yield from _most("the network's greatest error", network["max"], tolerances.network_max)
    yield from _most("the network's rms error", network["rms"], tolerances.network_rms)
    yield from _least("the network's agreement", network["agreement"], tolerances.agreement)
    if "apart" in whole:
        allowed = max(ROUNDING, (1 - tolerances.agreement) * whole["n"])
        yield from _most("the number of sounds with a wrong score", whole["apart"], allowed)
    if "frames" in whole:
        yield from _most("the frames' rms error", whole["frames"]["rms"], tolerances.network_rms)
    if trees is not None:
        yield from _least("the share of exact margins", trees["exact_margins"], 1.0)
        yield from _most("the trees' greatest error", trees["max"], tolerances.trees)


def _detections_too_far(
    detections: Mapping[str, Any] | None, tolerances: Tolerances, few: Callable[[Mapping[str, Any]], int]
) -> Iterator[str]:
    if detections is None:
        return
    before, after = detections.get("cmap", (None, None))
    if before is not None and after is not None:
        n = sum(few(row) for row in detections["labels"].values())
        yield from _least("the mean AP over classes", after, before - max(tolerances.ap, ROUNDING / max(n, 1)))
    if "alike" in detections:
        n, both = sum(detections["n_detections"]), detections["alike"]
        if n and not both:  # of few, too: nothing then says that the file finds what the run finds
            found = " and ".join(map(str, detections["n_detections"]))
            yield f"of {found} events none is common to the run and the file"
        elif n - 2 * both > max(ROUNDING, (1 - tolerances.events) * (n - both)):
            yield (
                f"of {' and '.join(map(str, detections['n_detections']))} events {both} are common to the run and the "
                f"file, {both / (n - both):.3g} of all; at least {tolerances.events:g} is asked for"
            )
    for label, row in detections["labels"].items():
        for key, bound in (("ap", tolerances.ap), ("precision", tolerances.point), ("recall", tolerances.point)):
            before, after = row[key]
            allowed = max(bound, ROUNDING / max(few(row), 1))
            if before is not None and after is not None and before - after > allowed + _TINY:
                yield f"{key} of {label!r} falls from {before:.3f} to {after:.3f}, by more than {allowed:.3f}"


def _least(name: str, value: float, bound: float) -> Iterator[str]:
    if not value >= bound - _TINY:
        yield f"{name} is {value:.4g}, at least {bound:g} is asked for"


def _most(name: str, value: float, bound: float) -> Iterator[str]:
    if not value <= bound + _TINY:
        yield f"{name} is {value:.3g}, at most {bound:g} is allowed"
