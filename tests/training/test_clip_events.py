"""Events of a training on clips, judged against annotations with a start and an end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ecotf.datasets.manifest import make_manifest
from ecotf.tasks.clips.plan import ClipEvaluationConfig
from ecotf.tasks.clips.train import ScoredSegments, fit_event_thresholds, judge_events


@pytest.fixture
def judged() -> tuple[Any, Any, ScoredSegments]:
    """A call that is found, a false alarm in a recording that has none, and one labelled as a whole: not judged."""
    rows = [("a.wav", 1.0, 2.0, "owl"), ("none.wav", 0.0, np.nan, ""), ("whole.wav", 0.0, np.nan, "owl")]
    manifest = make_manifest(pd.DataFrame(rows, columns=["recording", "start_s", "end_s", "label"]), "/", "test")
    found = [
        ("a.wav", 1.1, 1.9, 0.8),
        ("none.wav", 3.0, 4.0, 0.4),
        ("a.wav", 7.0, 8.0, 0.1),
        ("whole.wav", 2.0, 3.0, 0.9),
    ]
    one = pd.DataFrame(found, columns=["recording", "start_s", "end_s", "score"])
    candidates = pd.concat([one.assign(label="owl"), one.assign(label="call")], ignore_index=True)
    candidates = candidates.assign(low_hz=100.0, high_hz=1000.0)
    table = pd.DataFrame({"recording": ["a.wav", "none.wav", "whole.wav"], "start_s": 0.0})
    scored = ScoredSegments(table, np.zeros((3, 1)), np.array([[1.0], [0.0], [1.0]]), candidates)
    plan = SimpleNamespace(evaluation=ClipEvaluationConfig(events=True, bootstrap=20), seed=1)
    return plan, SimpleNamespace(manifest=manifest), scored


def test_recordings_without_calls_count(judged):
    plan, data, scored = judged
    fitted = fit_event_thresholds(plan, data, scored, ["owl"]).thresholds
    assert 0.4 < fitted["call"] <= 0.8
    metrics = judge_events(plan, data, scored, ["owl"], {"owl": 0.2, "call": 0.2})["detection"]
    assert metrics["n_calls"] == 1 and metrics["recall"] == 1.0 and metrics["precision"] == 0.5
