"""PSDS at all thresholds, against the definition at one threshold after the other."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from ecotf.config import validate
from ecotf.errors import ConfigError
from ecotf.evaluation.psds import (
    PsdsConfig,
    box_runs,
    class_curve,
    count_steps,
    frame_runs,
    joined_steps,
    score_of_curves,
)

STEP_S = 0.25
CONFIGS = (
    PsdsConfig(dtc=0.7, gtc=0.7, max_efpr=3000.0, alpha_st=1.0),
    PsdsConfig(dtc=0.5, gtc=0.2, cttc=0.3, alpha_ct=0.5, max_efpr=3000.0),
)


def scene(seed: int) -> tuple[list[np.ndarray], list[list[np.ndarray]], list[float]]:
    """Scores ``[frames, 3]`` and events of three recordings; each class has events somewhere."""
    rng = np.random.default_rng(seed)
    scores, events, durations = [], [], []
    for n in (40, 61, 25):
        values = np.round(rng.random((n, 3)) ** 2, 2)  # ties
        own = []
        for k in range(3):
            starts = np.arange(0.1, n * STEP_S - 2.5, rng.uniform(3, 6))
            own.append(np.column_stack([starts, starts + rng.uniform(0.3, 2.5, len(starts))]))
            for start, end in own[-1]:
                values[int(start / STEP_S) : int(end / STEP_S) + 1, k] += 0.1
        scores.append(values)
        events.append(own)
        durations.append(n * STEP_S)
    return scores, events, durations


def shared(a: tuple[float, float], b: tuple[float, float]) -> float:
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0]))


def runs_above(values: np.ndarray, threshold: float) -> list[tuple[float, float]]:
    marks = np.flatnonzero(np.diff(np.concatenate([[0], values >= threshold, [0]]).astype(int)))
    return [(a * STEP_S, b * STEP_S) for a, b in zip(marks[::2], marks[1::2], strict=True)]


def plain_psds(scores: list, events: list, durations: list[float], config: PsdsConfig) -> float:
    """The definition: counts at each threshold, curves, and the area under what is left of them."""
    curves = []
    for k in range(3):
        points = []
        for threshold in np.unique(np.concatenate([one[:, k] for one in scores])):
            found = wrong = total = 0
            crossed = {j: 0 for j in range(3) if j != k}
            for values, truth in zip(scores, events, strict=True):
                runs = runs_above(values[:, k], threshold)
                inside = [sum(shared(run, event) for event in truth[k]) for run in runs]
                right = [i + 1e-7 >= config.dtc * (run[1] - run[0]) for run, i in zip(runs, inside, strict=True)]
                wrong += right.count(False)
                total += len(truth[k])
                for event in truth[k]:
                    covered = sum(shared(run, event) for run, ok in zip(runs, right, strict=True) if ok)
                    found += covered + 1e-7 >= config.gtc * (event[1] - event[0])
                for j in crossed:
                    crossed[j] += sum(
                        not ok and sum(shared(run, e) for e in truth[j]) + 1e-7 >= config.cttc * (run[1] - run[0])
                        for run, ok in zip(runs, right, strict=True)
                        if config.cttc
                    )
            hours = sum(durations) / 3600
            lengths = {j: sum(float(np.diff(truth[j]).sum()) for truth in events) / 3600 for j in crossed}
            rate = wrong / hours + config.alpha_ct * np.mean([crossed[j] / lengths[j] for j in crossed])
            points.append((rate, found / total))
        curves.append(points)
    rates = sorted({0.0, config.max_efpr, *(r for points in curves for r, _ in points if r < config.max_efpr)})
    area = 0.0
    for left, right in pairwise(rates):
        best = [max([share for rate, share in points if rate <= left], default=0.0) for points in curves]
        area += (right - left) * max(0.0, float(np.mean(best) - config.alpha_st * np.std(best)))
    return area / config.max_efpr


def fast_psds(scores: list, events: list, durations: list[float], config: PsdsConfig) -> float:
    curves = []
    for k in range(3):
        others = [j for j in range(3) if j != k]
        parts = [
            count_steps(
                frame_runs(values[:, k], np.arange(len(values) + 1) * STEP_S), truth[k], [truth[j] for j in others],
                config, number,
            )
            for number, (values, truth) in enumerate(zip(scores, events, strict=True))
        ]  # fmt: skip
        lengths = np.array([sum(float(np.diff(truth[j]).sum()) for truth in events) / 3600 for j in others])
        n = sum(len(truth[k]) for truth in events)
        curves.append(class_curve(joined_steps(parts, 2), n, sum(durations) / 3600, lengths, config))
    return score_of_curves(curves, config)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("seed", range(5))
def test_all_thresholds_at_once_are_one_after_the_other(seed, config):
    sounds = scene(seed)
    expected = plain_psds(*sounds, config)
    assert 0.02 < expected < 0.98
    assert fast_psds(*sounds, config) == pytest.approx(expected, abs=1e-9)


def test_boxes_stay_what_they_are():
    """A hit at 0.9, one false alarm at 0.5, a hit at 0.3: one hour of sound, up to two false alarms an hour."""
    config = PsdsConfig(max_efpr=2.0)
    boxes = np.array([[1.0, 2.0], [50.0, 51.0], [10.0, 11.0]])
    steps = count_steps(
        box_runs(np.array([0.9, 0.5, 0.3]), boxes), np.array([[1.0, 2.1], [10.1, 11.0]]), [], config
    )  # fmt: skip
    rate, share = class_curve(joined_steps([steps], 0), 2, 1.0, np.empty(0), config)
    assert rate.tolist() == [0.0, 1.0] and share.tolist() == [0.5, 1.0]
    assert score_of_curves([(rate, share)], config) == pytest.approx(0.75)


def test_an_event_is_found_at_its_best_score_whatever_comes_first():
    """Detections lie in a table by their times: the first of two on the same event may be the weaker one."""
    config, event = PsdsConfig(max_efpr=2.0), np.array([[1.0, 2.0]])
    boxes, scores = np.array([[1.0, 1.9], [1.1, 2.0], [5.0, 6.0]]), np.array([0.2, 0.9, 0.5])
    for order in ([0, 1, 2], [2, 1, 0]):
        steps = joined_steps([count_steps(box_runs(scores[order], boxes[order]), event, [], config)], 0)
        rate, share = class_curve(steps, 1, 1.0, np.empty(0), config)
        assert rate.tolist() == [0.0, 1.0] and share.tolist() == [1.0, 1.0]


def test_settings_that_do_not_go_together():
    with pytest.raises(ConfigError, match=r"cttc = 0\.3 with alpha_ct = 0: both, or neither of them"):
        validate(PsdsConfig, {"cttc": 0.3}, "r")
