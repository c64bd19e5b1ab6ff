"""Thresholds of segments say how few validation segments, or recordings, chose them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ecotf.tasks.clips.scored import ScoredSegments
from ecotf.tasks.clips.train import fit_segment_thresholds


def scored(recordings: list[str], targets: np.ndarray) -> ScoredSegments:
    table = pd.DataFrame({"recording": recordings, "start_s": 0.0})
    logits = np.where(targets > 0, 2.0, -2.0) + np.linspace(0, 1, len(targets))[:, None]
    return ScoredSegments(table, logits, targets, None)


def test_classes_of_few_segments_or_of_one_recording_are_named():
    targets = np.zeros((40, 4))
    targets[:12, 0] = targets[20:29, 1] = targets[5:30, 2] = 1  # 12 of one recording, 9 of two, 25 of two, and none
    fitted = fit_segment_thresholds(scored(["a"] * 24 + ["b"] * 16, targets), ["wren", "owl", "dove", "kite"])
    assert fitted.unfitted == ["kite"]
    at = fitted.thresholds
    assert fitted.notes == [
        f"thresholds of few segments, or of one recording: wren {at['wren']:.2f} (12 segments, 1 recording), "
        f"owl {at['owl']:.2f} (9 segments, 2 recordings); listen before you count"
    ]


def test_nothing_to_say_of_many_or_of_no_validation():
    targets = np.zeros((40, 1))
    targets[10:30] = 1
    assert fit_segment_thresholds(scored(["a"] * 20 + ["b"] * 20, targets), ["wren"]).notes == []
    fitted = fit_segment_thresholds(None, ["wren"])
    assert (fitted.thresholds, fitted.unfitted, list(fitted.notes)) == ({"wren": 0.5}, ["wren"], [])
