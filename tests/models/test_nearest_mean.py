"""The nearest mean of a class: as published, in both forms, from one example or several."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecotf.errors import ConfigError, DataError
from ecotf.models.heads.nearest_mean import NearestMeanConfig, fit_nearest_mean, load_nearest_mean, platt

CL2N, PLAIN = NearestMeanConfig(), NearestMeanConfig(centred=False, normalised=False)


def episode(shots: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    places = 3 + rng.normal(size=(4, 6))
    support, query = np.repeat(np.arange(4), shots), np.repeat(np.arange(4), 15)
    rows = [places[labels] + 0.5 * rng.normal(size=(len(labels), 6)) for labels in (support, query)]
    return rows[0], np.eye(4)[support], rows[1], query


@pytest.mark.parametrize("shots", [1, 5])
@pytest.mark.parametrize("config", [CL2N, PLAIN], ids=["CL2N", "plain"])
def test_the_likeliest_class_has_the_nearest_mean(config, shots, tmp_path):
    rows, targets, unseen, truth = episode(shots)
    centre = rows.mean(axis=0) if config.centred else 0 * rows[0]
    own, others = rows - centre, unseen - centre
    if config.normalised:
        own, others = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (own, others))
    means = np.stack([own[targets[:, k] > 0].mean(axis=0) for k in range(4)])
    nearest = np.linalg.norm(others[:, None] - means, axis=2).argmin(axis=1)
    head = fit_nearest_mean(config, rows, targets)
    scores = head.predict(unseen)
    np.testing.assert_array_equal(scores.argmax(axis=1), nearest)
    assert (nearest == truth).mean() > 0.7
    # each class by itself: what is likely is above a half, and a bias moves one class alone
    assert ((scores > 0.5) == np.eye(4, dtype=bool)[truth]).mean() > 0.75
    stricter = replace(head, bias=head.bias - np.array([2.0, 0, 0, 0], np.float32)).predict(unseen)
    assert (stricter[:, 0] < scores[:, 0]).all()
    np.testing.assert_array_equal(stricter[:, 1:], scores[:, 1:])
    head.save(tmp_path)
    np.testing.assert_array_equal(load_nearest_mean(tmp_path).predict(unseen), scores)


def test_rows_of_one_recording_do_not_vouch_for_each_other():
    """Copies of an example lie on their own mean; left out together, examples are as far from it as new ones are."""
    rows, targets, _, _ = episode(3)
    rows, targets, groups = np.repeat(rows, 5, axis=0), np.repeat(targets, 5, axis=0), np.repeat(np.arange(12), 5)
    apart, together = (fit_nearest_mean(CL2N, rows, targets, groups=number) for number in (np.arange(60), groups))
    np.testing.assert_array_equal(apart.means, together.means)
    borders = [-head.bias[0] / head.scale for head in (apart, together)]
    assert borders[1] < borders[0] < 0


def test_one_class_alone_needs_a_centre():
    rows, targets, _, _ = episode(5)
    one = rows[targets[:, 0] > 0]
    with pytest.raises(DataError, match=r"all 1 examples have the same embedding.*set centred to false") as error:
        fit_nearest_mean(CL2N, one[:1], np.ones((1, 1)))
    assert "\n" not in str(error.value)
    centre = rows[targets[:, 0] < 1].mean(axis=0)
    head = fit_nearest_mean(CL2N, one, np.ones((5, 1)), centre=centre)
    others = rows[targets[:, 0] < 1]
    assert head.predict(one).min() > 0.5 and head.predict(one).min() > head.predict(others).max()


def test_a_damaged_head_is_one_line(tmp_path):
    rows, targets, _, _ = episode(1)
    fit_nearest_mean(CL2N, rows, targets).save(tmp_path)
    path = tmp_path / "means.npz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ConfigError, match="damaged") as error:
        load_nearest_mean(tmp_path)
    assert "\n" not in str(error.value)


def test_scores_become_probabilities():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=4000)
    slope, offset = platt(scores, rng.uniform(size=4000) < 1 / (1 + np.exp(-(2 * scores - 1))))
    assert slope == pytest.approx(2, rel=0.1) and offset == pytest.approx(-1, rel=0.1)
    slope, _ = platt(-scores, scores > 0)
    assert slope > 0
